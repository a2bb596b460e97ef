"""One file per command of `python -m models`: its options, and what it prints."""
