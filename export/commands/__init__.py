"""What `python -m export` can do: a module for each command, which says what it found to a person."""
