"""Programs that tests write."""

import sys


def first_lines(*options: str) -> str:
    """The head of an executable Python file, for this interpreter wherever it lies: a `#!` line knows no spaces."""
    quoted = sys.executable.replace("'", "'\\''")
    # A string to Python, and to the shell the command that replaces it.
    return f"#!/bin/sh\n'''exec' '{quoted}' {' '.join(options)} \"$0\" \"$@\"\n' '''\n"
