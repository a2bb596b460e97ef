"""Programs that travel in a bundle as they stand here: NumPy and a TFLite runtime, Python 3.9 or later."""
