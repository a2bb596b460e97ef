"""Keras networks to verified TFLite and ONNX files."""
