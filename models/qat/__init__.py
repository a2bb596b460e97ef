"""Quantization-aware training: a network learns as its int8 TFLite file is going to compute."""
