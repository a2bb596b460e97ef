"""A command line up to the cursor, to the words that may stand there."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

from device_bench.completion.makefile import complete_make, read_makefile
from device_bench.completion.programs import complete_program

PROGRAMS = ("models", "export", "device_bench")
LONGEST = 10_000
"""Characters of a line; nobody waits for a word after more."""


def complete_line(line: str, root: Path) -> list[str]:
    """Words that may stand at the end of a line, in place of the one begun there.

    Args:
        line: What is typed before the cursor.
        root: The clone.
    """
    words, typed = split_line(line)
    # `MODEL=x make`: settings for one command.
    while words and re.fullmatch(r"\w+=.*", words[0]):
        words = words[1:]
    if not words:
        return []
    program = words[0].rpartition("/")[2]
    if program == "make":
        return complete_make(read_makefile(root / "Makefile"), words[1:], typed)
    if re.fullmatch(r"python[0-9.]*", program) and words[1:2] == ["-m"]:
        if len(words) == 2:
            return [name for name in PROGRAMS if name.startswith(typed)]
        if words[2] in PROGRAMS:
            parser = importlib.import_module(f"{words[2]}.__main__").make_parser()
            return complete_program(parser, words[3:], typed)
    return []


def split_line(line: str) -> tuple[list[str], str]:
    """The whole words of the last command on a line, and the one begun, which may be empty."""
    if len(line) > LONGEST:
        return [], ""
    reader = shlex.shlex(line, posix=True, punctuation_chars=";&|()")
    reader.whitespace_split = True
    reader.commenters = ""
    words: list[str] = []
    try:
        for word in reader:
            words = [] if re.fullmatch(r"[;&|()]+", word) else [*words, word]
    except ValueError:
        # An open quote: what is in it is not completed.
        return [], ""
    if not words or line[-1:].isspace():
        return words, ""
    return words[:-1], words[-1]
