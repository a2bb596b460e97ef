"""Types of command line options."""

from __future__ import annotations

import argparse

from models.cli import words


def count(text: str) -> int:
    """A whole number from 1 on."""
    value = number(text)
    if value == 0:
        raise argparse.ArgumentTypeError("0 is outside 1..1000000")
    return value


def number(text: str) -> int:
    """A whole number from 0 on."""
    value = int(text)
    if not 0 <= value <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{value} is outside 0..1000000")
    return value


def numbers(text: str) -> tuple[int, ...]:
    """Thread counts."""
    values = tuple(dict.fromkeys(count(word) for word in words(text)))
    if values and max(values) > 1024:
        raise argparse.ArgumentTypeError(f"{max(values)} threads are more than 1024")
    return values


def seconds(text: str) -> float:
    """A duration."""
    value = float(text)
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is outside 0..86400")
    return value
