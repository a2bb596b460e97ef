"""Our 8-bit files beside those of other tools, of the same float network and pictures: tables for docs/quantization.md.

    .venv/bin/python -m benchmarks.quantization_vs_peers --network NAME=PATH.keras [--network ...] [--dataset DATASET]
        [--images N] [--calibration N] [--rounds N] [--store FOLDER] [--only TOOL] [--no-twins]

NAME is a network of the zoo (`mobilenet_v2_0.35_96`), PATH its trained weights. Peers have their own defaults;
onnx2tf is installed into an environment of its own at the first run (needs uv). Every network is measured as it is and
as its stress twin, which computes the same with channels rescaled by 2^U(-4,4). What is finished is kept under the
store, so that a run can be stopped and goes on; ours is made again when its code has changed. Files end with logits.
Run it from the repository's root.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.peers import goals
from benchmarks.peers.command import add_options, progress, read_options, subjects
from benchmarks.peers.latency import interleaved
from benchmarks.peers.measures import Loss, loss
from benchmarks.peers.store import Result, result_of, true_classes
from benchmarks.peers.subject import Subject, prepare
from benchmarks.peers.tools import (
    CONVERTER_UINT8,
    FLOAT,
    OURS,
    OURS_FEW,
    OURS_INT8_EDGES,
    OURS_MANY,
    OURS_ONNX,
    PEERS,
    TOOLS,
    Tool,
)
from device_bench.stats.ratios import noise_floor, paired_ratio
from models.worker import run_in_worker

PLAIN = (*PEERS, CONVERTER_UINT8, OURS, OURS_INT8_EDGES, OURS_ONNX, OURS_FEW, OURS_MANY)
TWIN = (*PEERS, OURS)
TIMED = (OURS, OURS_INT8_EDGES)
AGAIN = f"{OURS.name} again"
HEADS = (
    "network",
    "tool",
    "top-1",
    "drop, points (95 %)",
    "disagrees",
    "SQNR, dB",
    "per picture",
    "bytes",
    "ms",
    "made in, s",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """All results of one subject."""

    subject: Subject
    results: Mapping[str, Result]
    losses: Mapping[str, Loss]
    latencies_us: Mapping[str, list[float]]
    float_top1: float


def main() -> None:
    """Prints a table per network, then all goals."""
    arguments = parse_arguments()
    verdicts: list[goals.Goal] = []
    print(f"| {' | '.join(HEADS)} |\n|{'---|' * len(HEADS)}", flush=True)
    for subject in subjects(arguments, twins=not arguments.no_twins):
        run_in_worker(prepare, subject, report=progress)
        found = measure(subject, arguments.images, arguments.rounds, arguments.only)
        for row in rows(found):
            print(row, flush=True)
        verdicts += judge(found)
    print("\n| network | goal | |\n|---|---|---|")
    for verdict in verdicts:
        print(f"| {verdict.network} | {verdict.text} | {'hit' if verdict.met else '**missed**'} |")


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="8-bit files beside those of other tools")
    add_options(parser)
    parser.add_argument("--rounds", type=int, default=60, help="of latency; 0 leaves it out (default: %(default)s)")
    parser.add_argument("--only", action="append", choices=list(TOOLS), help="tool; may be repeated (default: all)")
    parser.add_argument("--no-twins", action="store_true")
    return read_options(parser)


def measure(subject: Subject, images: int, rounds: int, only: list[str] | None) -> Found:
    """All tools' results for a subject."""
    tools: tuple[Tool, ...] = TWIN if subject.twin else PLAIN
    results = {FLOAT.name: result_of(FLOAT, subject, images, progress)}
    for tool in tools:
        if not only or tool.name in only:
            print(f"{subject.title}: {tool.name}", file=sys.stderr, flush=True)
            results[tool.name] = result_of(tool, subject, images, progress)
    classes, wanted = true_classes(subject, images), results[FLOAT.name].logits
    losses = {
        name: loss(wanted, r.logits, classes) for name, r in results.items() if r.made.file and name != FLOAT.name
    }
    timed = {
        t.name: results[t.name].content
        for t in (*PEERS, CONVERTER_UINT8, *TIMED)
        if t.format == "tflite" and t.name in losses
    }
    timed |= {AGAIN: timed[OURS.name]} if OURS.name in timed else {}
    latencies = interleaved(timed, rounds) if rounds and not subject.twin else {}
    return Found(
        subject=subject,
        results=results,
        losses=losses,
        latencies_us=latencies,
        float_top1=float(np.mean(wanted.argmax(axis=1) == classes)),
    )


def rows(found: Found) -> Iterator[str]:
    """The table's rows for a subject."""
    title = found.subject.title
    size = found.results[FLOAT.name].made.size_bytes
    yield f"| `{title}` | float32 | {found.float_top1:.2%} | | | | | {size:,} | | |"
    for name, result in found.results.items():
        made = result.made
        if name == FLOAT.name:
            continue
        if made.file is None or made.size_bytes is None or made.seconds is None:
            yield f"| `{title}` | {name} | {'refused' if made.refused else 'not tried'}: {made.reason} | | | | | | | |"
            continue
        lost, times = found.losses[name], found.latencies_us.get(name)
        cells = (
            f"`{title}`",
            name,
            f"{lost.top1:.2%}",
            f"{100 * lost.drop:.2f} ({100 * lost.drop_low:.2f} to {100 * lost.drop_high:.2f})",
            f"{lost.disagreement:.2%}",
            f"{lost.sqnr_db:.1f}",
            f"{lost.picture_sqnr_db:.1f}",
            f"{made.size_bytes:,}",
            f"{statistics.median(times) / 1e3:.2f}" if times else "",
            f"{made.seconds:.1f}",
        )
        yield f"| {' | '.join(cells)} |"


def judge(found: Found) -> list[goals.Goal]:
    """Which goals this subject meets."""
    title, losses = found.subject.title, found.losses
    peers = {peer.name: losses[peer.name] for peer in PEERS if peer.name in losses}
    if found.subject.twin:
        return [goals.twin_goal(title, losses[OURS.name])] if OURS.name in losses else []
    if OURS.name not in losses:
        return []
    verdicts = goals.goals(title, peers, losses[OURS.name])
    sizes = {t.name: len(found.results[t.name].content) for t in PEERS if t.format == "tflite" and t.name in peers}
    if sizes:
        verdicts.append(goals.size_goal(title, sizes, len(found.results[OURS.name].content)))
    times = found.latencies_us
    timed = [name for name in sizes if name in times]
    if timed:
        # Like with like: bytes in and out cost two operators more, whoever made the file.
        fastest = min(timed, key=lambda name: statistics.median(times[name]))
        for tool, rival in ((OURS, CONVERTER_UINT8.name), (OURS_INT8_EDGES, fastest)):
            if tool.name in times and rival in times:
                ratio = paired_ratio(times[rival], times[tool.name])
                verdicts.append(goals.latency_goal(title, tool.name, rival, ratio))
        floor = noise_floor(paired_ratio(times[OURS.name], times[AGAIN]))
        print(f"{title}: ours differs from itself by {floor:.1%}", file=sys.stderr, flush=True)
    if OURS_ONNX.name in losses:
        named = [found.results[tool.name].logits.argmax(axis=1) for tool in (OURS, OURS_ONNX)]
        verdicts.append(goals.formats_goal(title, float(np.mean(named[0] != named[1]))))
    if OURS_FEW.name in losses and OURS_MANY.name in losses:
        verdicts.append(goals.pictures_goal(title, losses[OURS_FEW.name], losses[OURS_MANY.name]))
    return verdicts


if __name__ == "__main__":
    main()
