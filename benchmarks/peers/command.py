"""What the command lines of the benchmarks on the peers' store have in common."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.peers.subject import Subject, find_subject
from models.data import load_dataset
from models.worker import Progress
from models.zoo import lookup


def add_options(parser: argparse.ArgumentParser) -> None:
    """Networks, pictures and the store."""
    parser.add_argument("--network", action="append", required=True, metavar="NAME=PATH.keras")
    parser.add_argument("--dataset", default="shapes:test=10000", help="default: %(default)s")
    parser.add_argument("--images", type=int, default=None, help="test pictures (default: all)")
    parser.add_argument("--calibration", type=int, default=128, help="pictures (default: %(default)s)")
    parser.add_argument("--store", type=Path, default=Path("build/peers"), help="default: %(default)s")


def read_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The command line; `images` is a number."""
    arguments = parser.parse_args()
    if arguments.images is None:
        arguments.images = len(load_dataset(arguments.dataset).splits["test"])
    return arguments


def subjects(arguments: argparse.Namespace, *, twins: bool) -> Iterator[Subject]:
    """Every network, and its twin where twins are wanted."""
    classes = len(load_dataset(arguments.dataset).labels)
    for given in arguments.network:
        name, path = given.split("=", 1)
        spec, weights, store = (
            replace(lookup(name), num_classes=classes),
            Path(path).resolve(),
            arguments.store.resolve(),
        )
        for twin in (False, True) if twins else (False,):
            yield find_subject(spec, weights, arguments.dataset, arguments.calibration, store, twin=twin)


def progress(step: Progress) -> None:
    """Shows the beginning and the end of a stage."""
    if step.done in (0, step.total):
        print(f"  {step.stage} {step.done}/{step.total} {step.detail}", file=sys.stderr, flush=True)
