"""The quantization doctor: where an int8 file loses what the float file has, why, and what to try next."""
