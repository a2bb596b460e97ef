"""Keras networks to verified TFLite and ONNX files."""

import models  # noqa: F401  # before anything loads ONNX Runtime: see there
