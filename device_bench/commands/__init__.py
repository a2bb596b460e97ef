"""One module per command of `python -m device_bench`: its options, and what it prints."""
