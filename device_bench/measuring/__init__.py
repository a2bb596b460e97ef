"""The benchmark: planned, checked, measured, recorded."""
