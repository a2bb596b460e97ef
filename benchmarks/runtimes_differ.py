"""Where LiteRT and ONNX Runtime part over the same int8 network: two tables for docs/quantization.md.

    .venv/bin/python -m benchmarks.runtimes_differ --network NAME=PATH.keras [--network ...] [--dataset DATASET]
        [--images N] [--operator-images N] [--store FOLDER]

Networks and files are those of `benchmarks.quantization_vs_peers`, whose store it shares; they end with logits. First
every runtime names the classes of the test pictures. Then each operator computes alone, in every runtime, from the
integers that LiteRT's operators before it gave, so that nothing that differs before it counts; "in float" is ONNX
Runtime without its optimizations, which computes as the file spells it out. Run it from the repository's root.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.command import add_options, progress, read_options, subjects
from benchmarks.peers.operators import (
    IMAGE,
    Compute,
    Integers,
    load_onnx_operator,
    load_session,
    load_tflite_operator,
    onnx_operators,
    tflite_operators,
)
from benchmarks.peers.store import make_once
from benchmarks.peers.subject import Subject, prepare
from benchmarks.peers.tools import OURS_INT8_EDGES, OURS_ONNX, Tool
from export.tflite_file import read_model
from export.verify import load_tflite
from models.data import Pixels, lazy_pixels, load_dataset, normalise
from models.worker import run_in_worker

BUILTIN, FUSED, PLAIN = "LiteRT, builtin kernels", "ONNX Runtime", "ONNX Runtime, in float"
OTHERS = (BUILTIN, FUSED, PLAIN)
WHOLES = ("network", "against LiteRT with XNNPACK", "same class", "same logits", "most steps")
ALONE = ("network", "operator", "number", "values", *OTHERS)


@dataclass(slots=True, kw_only=True)
class Tally:
    """How often integers differ."""

    values: int = 0
    different: int = 0
    steps: int = 0
    """The most that one value differs by."""

    def add(self, one: Integers, other: Integers) -> None:
        """Takes the same tensor from two runtimes into account."""
        apart = np.abs(one.astype(np.int16) - other.reshape(one.shape))
        self.values += apart.size
        self.different += int(np.count_nonzero(apart))
        self.steps = max(self.steps, int(apart.max()))

    def cell(self) -> str:
        """In a table."""
        return f"{self.different / self.values:.4%} ({self.steps})" if self.different else "never"


def main() -> None:
    """Prints both tables."""
    arguments = parse_arguments()
    alone: list[str] = []
    print(f"| {' | '.join(WHOLES)} |\n|{'---|' * len(WHOLES)}", flush=True)
    for subject in subjects(arguments, twins=False):
        run_in_worker(prepare, subject, report=progress)
        tflite, onnx = (content(tool, subject) for tool in (OURS_INT8_EDGES, OURS_ONNX))
        for row in whole_rows(subject, tflite, onnx, pictures(subject, arguments.images)):
            print(row, flush=True)
        alone += operator_rows(subject, tflite, onnx, pictures(subject, arguments.operator_images))
    print(f"\n| {' | '.join(ALONE)} |\n|{'---|' * len(ALONE)}\n" + "\n".join(alone))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="where LiteRT and ONNX Runtime part over the same int8 network")
    add_options(parser)
    parser.add_argument("--operator-images", type=int, default=32, help="of single operators (%(default)s)")
    parser.set_defaults(images=1000)
    return read_options(parser)


def content(tool: Tool, subject: Subject) -> bytes:
    """A tool's file of a subject."""
    made = make_once(tool, subject, progress)
    if made.file is None:
        sys.exit(f"{tool.name} refuses {subject.title}: {made.reason}")
    return (subject.folder / made.file).read_bytes()


def pictures(subject: Subject, images: int) -> Pixels:
    """The first test pictures, uint8 `[N, H, W, 3]`."""
    data, spec = load_dataset(subject.dataset), subject.spec
    pixels: Pixels = lazy_pixels(data, data.splits["test"][:images], spec.preprocessing, spec.resolution_px)[:]
    return pixels


def stored(image: Pixels) -> Mapping[str, Integers]:
    """A picture, uint8 `[H, W, 3]`, as int8 files take it."""
    return {IMAGE: (image[None].astype(np.int16) - 128).astype(np.int8)}


def whole_rows(subject: Subject, tflite: bytes, onnx: bytes, pixels: Pixels) -> Iterator[str]:
    """A row per runtime: how often it names the class that LiteRT with XNNPACK names, and gives the same logits."""
    spread = steps(tflite)
    meant = run_tflite(tflite, pixels, builtin_only=False)
    for name in OTHERS:
        if name == BUILTIN:
            found = run_tflite(tflite, pixels, builtin_only=True)
        else:
            logits = run_onnx(onnx, pixels, subject, optimized=name == FUSED)
            found = np.rint(logits / spread[0]).astype(np.int64) + spread[1]
        same, equal = meant.argmax(axis=1) == found.argmax(axis=1), (meant == found).all(axis=1)
        apart = int(np.abs(meant - found).max())
        yield f"| `{subject.title}` | {name} | {same.mean():.2%} | {equal.mean():.2%} | {apart} |"


def steps(tflite: bytes) -> tuple[np.float32, int]:
    """Scale and zero point of a file's logits."""
    graph = read_model(tflite).subgraphs[0]
    stored = graph.tensors[graph.outputs[0]].quantization
    return np.float32(stored.scale[0]), int(stored.zeroPoint[0])


def run_tflite(content: bytes, pixels: Pixels, *, builtin_only: bool) -> NDArray[np.int64]:
    """The logits, in steps, `[N, classes]`."""
    with tempfile.TemporaryDirectory(prefix="differ-") as folder:
        path = Path(folder) / "network.tflite"
        path.write_bytes(content)
        predict = load_tflite(path, builtin_only=builtin_only)
        return np.concatenate([predict(stored(image)[IMAGE]) for image in pixels]).astype(np.int64)


def run_onnx(content: bytes, pixels: Pixels, subject: Subject, *, optimized: bool) -> NDArray[np.float32]:
    """The logits, `[N, classes]`."""
    session = load_session(content, optimized=optimized)
    pictures = (normalise(image[None], subject.spec.preprocessing) for image in pixels)
    return np.concatenate([session.run(None, {IMAGE: picture})[0] for picture in pictures])


def operator_rows(subject: Subject, tflite: bytes, onnx: bytes, pixels: Pixels) -> Iterator[str]:
    """A row per kind of operator."""
    ours = {operator.layer: operator for operator in tflite_operators(tflite)}
    theirs = onnx_operators(onnx, ours)
    reference = {layer: load_tflite_operator(operator, builtin_only=False) for layer, operator in ours.items()}
    others: dict[str, dict[str, Compute]] = {
        BUILTIN: {layer: load_tflite_operator(operator, builtin_only=True) for layer, operator in ours.items()},
        FUSED: {layer: load_onnx_operator(operator, optimized=True) for layer, operator in theirs.items()},
        PLAIN: {layer: load_onnx_operator(operator, optimized=False) for layer, operator in theirs.items()},
    }
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    for image in pixels:
        known = dict(stored(image))
        for layer, operator in ours.items():
            computed = reference[layer](known)
            for name, computes in others.items():
                tallies[operator.kind, name].add(computed, computes[layer](known))
            known[layer] = computed
    kinds = [operator.kind for operator in ours.values()]
    for kind in dict.fromkeys(kinds):
        cells = " | ".join(tallies[kind, name].cell() for name in OTHERS)
        yield f"| `{subject.title}` | {kind} | {kinds.count(kind)} | {tallies[kind, FUSED].values:,} | {cells} |"


if __name__ == "__main__":
    main()
