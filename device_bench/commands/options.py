"""Options that several commands have, and types of options."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any, Protocol

from device_bench.measuring.plan import REPEATS
from models.cli import inert, seed, words
from models.errors import UsageError


class Durations(Protocol):
    """How long one process measures."""

    @property
    def runs(self) -> int:
        """Least number of timed inferences."""

    @property
    def min_s(self) -> float:
        """Least time."""

    @property
    def max_s(self) -> float:
        """Longest time."""


def add_model_option(group: Any) -> None:
    """`--model`, which must be given."""
    group.add_argument("--model", required=True, metavar="NAME", help="a name from `.venv/bin/python -m models list`")


def add_weights_options(group: Any) -> None:
    """`--weights` and `--dataset`: which export of a model."""
    group.add_argument("--weights", default="auto", metavar="auto|qat|random|imagenet|PATH", help="as for export")
    group.add_argument("--dataset", default="digits", metavar="NAME", help="as for export (default: %(default)s)")


def next_line(target: str, arguments: argparse.Namespace, *more: str) -> str:
    """What to type next about the same export, `make bench MODEL=... ...`, for a rich console."""
    defaults = {"weights": "auto", "dataset": "digits", "device": None}
    given = {name: getattr(arguments, name, default) for name, default in defaults.items()}
    chosen = {"model": arguments.model} | {name: text for name, text in given.items() if text != defaults[name]}
    pairs = (f"{name.upper()}={shlex.quote(text)}" for name, text in chosen.items())
    return "next:  " + " ".join(["make", target, *map(inert, pairs), *more])


def add_precision_option(group: Any, default: str, note: str = "") -> None:
    """`--precision`, a tuple of names."""
    group.add_argument(
        "--precision", type=words, default=words(default), metavar="NAMES",
        help=f"comma separated (default: {default}{note})",
    )  # fmt: skip


def add_process_options(group: Any, default: Durations, what: str) -> None:
    """How many processes measure a case in which order, and how long each of them does.

    Args:
        group: Receives the options.
        default: Of the durations.
        what: What a process counts.
    """
    group.add_argument(
        "--runs", type=count, default=default.runs, metavar="N", help=f"{what}, at least (default: %(default)s)"
    )
    group.add_argument(
        "--min-seconds", type=seconds, default=default.min_s, metavar="S",
        help="… and seconds, at least (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--max-seconds", type=seconds, default=default.max_s, metavar="S",
        help="… and seconds, at most (default: %(default)s)",
    )  # fmt: skip
    group.add_argument(
        "--repeats", type=count, default=REPEATS, metavar="N",
        help="processes per case, interleaved (default: %(default)s)",
    )  # fmt: skip
    group.add_argument("--seed", type=seed, default=0, help="of the order (default: %(default)s)")


def check_durations(arguments: argparse.Namespace) -> None:
    """Refuses what cannot be.

    Raises:
        UsageError: the longest time of a process is not above the least.
    """
    if arguments.max_seconds <= arguments.min_seconds:
        raise UsageError(
            f"--max-seconds {arguments.max_seconds} must be more than --min-seconds {arguments.min_seconds}"
        )


def add_build_dir_option(group: Any) -> None:
    """`--build-dir`."""
    group.add_argument(
        "--build-dir", type=Path, default=Path("build"), metavar="DIR", help="where results are (default: %(default)s)"
    )


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
