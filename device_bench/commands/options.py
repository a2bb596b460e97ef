"""Types of command line options."""

from __future__ import annotations

import argparse

from models.cli import words


def count(text: str) -> int:
    """A whole number from 1 on."""
    return _whole(text, 1)


def number(text: str) -> int:
    """A whole number from 0 on."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None
    if not least <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{value} is outside {least}..1000000")
    return value


def numbers(text: str) -> tuple[int, ...]:
    """Thread counts."""
    values = tuple(dict.fromkeys(count(word) for word in words(text)))
    if values and max(values) > 1024:
        raise argparse.ArgumentTypeError(f"{max(values)} threads are more than 1024")
    return values


def seconds(text: str) -> float:
    """A duration."""
    try:
        value = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is outside 0..86400")
    return value
