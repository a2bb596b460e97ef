"""How 8-bit files keep their accuracy: ranges of activations, equalized channels, corrected biases."""
