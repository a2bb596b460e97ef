"""What each lever of 8-bit quantization is worth, alone and together: a table for docs/quantization.md.

    .venv/bin/python -m benchmarks.quantization_levers --network NAME=PATH.keras [--network ...] [--dataset DATASET]
        [--images N] [--calibration N] [--rounds N] [--store FOLDER] [--levers WORDS] [--no-twins]

NAME is a network of the zoo (`mobilenet_v2_0.35_96`), PATH its trained weights; each is measured as it is and as its
stress twin. A row is what `--quantization` was given (`--levers`, which may be repeated, chooses others), `PRECISION:`
before it another precision than int8. What is finished is kept under the store. Files end with logits. Run it from the
repository's root.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from benchmarks.peers.command import add_options, progress, read_options, subjects
from benchmarks.peers.latency import interleaved
from benchmarks.peers.measures import Loss, loss
from benchmarks.peers.store import Result, result_of, true_classes
from benchmarks.peers.subject import Subject, prepare
from benchmarks.peers.tools import FLOAT, OURS, Ours, Tool
from device_bench.stats.ratios import paired_ratio
from models.worker import run_in_worker

NAIVE = "min-max,no-exact,no-equalize,no-bias"
AS_IS = "no-equalize"
"""Equalization by measuring is of the network, and so measured in rows of its own."""
DEFAULTS = ""
LEVERS = (
    NAIVE,
    "min-max,no-equalize,no-bias",
    "percentile,no-exact,no-equalize,no-bias",
    "mse,no-exact,no-equalize,no-bias",
    "entropy,no-exact,no-equalize,no-bias",
    "min-max,no-exact,equalize,no-bias",
    "min-max,no-exact,no-equalize",
    "min-max,no-exact,no-equalize,no-bias,round",
    DEFAULTS,
    AS_IS,
    "equalize",
    "no-exact",
    "no-bias",
    "min-max",
    "percentile",
    "round",
    "per-tensor",
    "per-tensor,no-equalize",
    "per-tensor,round",
    f"int8_mixed: {AS_IS}",
    "int8_mixed:",
    "int16x8:",
)


def main() -> None:
    """Prints a table with a row for each lever and a column for each network, once all is measured."""
    arguments = parse_arguments()
    levers = [lever(words) for words in (arguments.levers or LEVERS)]
    cells: dict[str, dict[str, str]] = {}
    for subject in subjects(arguments, twins=not arguments.no_twins):
        run_in_worker(prepare, subject, report=progress)
        cells[subject.title] = cells_of(subject, levers, arguments)
    print(f"| levers | {' | '.join(f'`{title}`' for title in cells)} |\n|{'---|' * (len(cells) + 1)}")
    for tool in levers:
        print(f"| `{tool.name}` | {' | '.join(found[tool.name] for found in cells.values())} |")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="the levers, each alone")
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=30, help="of latency; 0 leaves it out (default: %(default)s)")
    parser.add_argument("--levers", action="append", metavar="WORDS", help="a row; may be repeated (default: all)")
    parser.add_argument("--no-twins", action="store_true")
    return read_options(parser)


def lever(words: str) -> Tool:
    """Our export with these words, as a row of the table."""
    precision, colon, rest = words.rpartition(":")
    made = Ours(words=rest.strip(), precision=precision if colon else "int8")
    return replace(OURS, name=words or "(the defaults)", make=made)


def cells_of(subject: Subject, levers: list[Tool], arguments: argparse.Namespace) -> dict[str, str]:
    """What each lever gives for a network, by its name."""
    classes = true_classes(subject, arguments.images)
    wanted = result_of(FLOAT, subject, arguments.images, progress).logits
    results: dict[str, Result] = {}
    for tool in levers:
        print(f"{subject.title}: {tool.name}", file=sys.stderr, flush=True)
        results[tool.name] = result_of(tool, subject, arguments.images, progress)
    made = {name: result for name, result in results.items() if result.made.file}
    times = times_of(subject, made, arguments.rounds)
    return {
        name: cell(loss(wanted, result.logits, classes), times.get(name)) if name in made else result.made.reason
        for name, result in results.items()
    }


def times_of(subject: Subject, made: dict[str, Result], rounds: int) -> dict[str, float]:
    """The time of a picture, of the float file's; nothing for twins, whose files run the same operators."""
    if subject.twin or not rounds:
        return {}
    files = {FLOAT.name: subject.work.float_tflite.read_bytes()} | {name: one.content for name, one in made.items()}
    found = interleaved(files, rounds)
    whole = found.pop(FLOAT.name)
    return {name: paired_ratio(whole, times).ratio for name, times in found.items()}


def cell(lost: Loss, time: float | None) -> str:
    """In the words of the table."""
    words = f"{lost.sqnr_db:.1f} dB, {lost.disagreement:.2%}, {100 * lost.drop:.2f}"
    return words if time is None else f"{words}, {time:.2f} x"


if __name__ == "__main__":
    main()
