"""TFLite metadata: composed, written into exported classifiers, and read from any file."""
