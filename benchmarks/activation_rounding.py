"""What the rounding of activations alone costs, kernels and biases being exact: a table for docs/quantization.md.

    .venv/bin/python -m benchmarks.activation_rounding --network NAME=PATH.keras [--network ...] [--dataset DATASET]
        [--images N] [--calibration N] [--store FOLDER]

Our int8 ONNX file spells out where activations are rounded. With the float file's kernels and biases in it, and the
pictures as they are, ONNX Runtime computes in float what no choice of weights can mend. Files end with logits; what is
finished is kept under the store of `benchmarks.quantization_vs_peers`. Run it from the repository's root.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray

from benchmarks.peers.command import add_options, progress, read_options, subjects
from benchmarks.peers.measures import loss
from benchmarks.peers.store import result_of, true_classes
from benchmarks.peers.subject import Subject, prepare
from benchmarks.peers.tools import FLOAT, OURS_ONNX, Ours
from benchmarks.runtimes_differ import run_onnx
from models.data import lazy_pixels, load_dataset
from models.worker import run_in_worker

AS_IS = replace(OURS_ONNX, name="ours, ONNX, no-equalize", make=Ours(file="onnx", words="no-equalize"))
"""Of the network as it is, whose float file has the same kernels."""
STORED = "_quantized"
"""Ends the names of integer constants."""


def main() -> None:
    """Prints a Markdown table row for row, as they are found."""
    parser = argparse.ArgumentParser(description="the rounding of activations alone")
    add_options(parser)
    arguments = read_options(parser)
    print("| network | file | disagrees | SQNR, dB |\n|---|---|---|---|", flush=True)
    for subject in subjects(arguments, twins=False):
        run_in_worker(prepare, subject, report=progress)
        for words, logits in measure(subject, arguments.images):
            wanted = result_of(FLOAT, subject, arguments.images, progress).logits
            lost = loss(wanted, logits, true_classes(subject, arguments.images))
            print(f"| `{subject.title}` | {words} | {lost.disagreement:.2%} | {lost.sqnr_db:.1f} |", flush=True)


def measure(subject: Subject, images: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The logits of our int8 file, and of the same with exact kernels, biases and pictures."""
    ours = result_of(AS_IS, subject, images, progress)
    yield "int8, not equalized", ours.logits
    data, spec = load_dataset(subject.dataset), subject.spec
    pixels = lazy_pixels(data, data.splits["test"][:images], spec.preprocessing, spec.resolution_px)[:]
    exact = with_exact_constants(ours.content, subject.work.float_onnx.read_bytes())
    # Optimized, ONNX Runtime leaves some of the roundings out of such a file.
    yield "activations alone", run_onnx(exact, pixels, subject, optimized=False)


def with_exact_constants(int8: bytes, source: bytes) -> bytes:
    """An int8 ONNX file with the pictures, kernels and biases of its float file: only activations are rounded."""
    model, known = onnx.load_from_string(int8), {t.name: t for t in onnx.load_from_string(source).graph.initializer}
    graph, instead, gone = model.graph, dict[str, str](), list[onnx.NodeProto]()
    picture = {graph.input[0].name}
    for node in graph.node:
        first = node.input[0]
        if node.op_type == "DequantizeLinear" and first.endswith(STORED):
            instead[node.output[0]] = first.removesuffix(STORED)
            gone.append(node)
        elif first in picture and node.op_type in ("Sub", "QuantizeLinear", "DequantizeLinear"):
            instead[node.output[0]] = instead.get(first, first)
            gone.append(node)
        if first in picture and (node.op_type == "Transpose" or node in gone):
            picture.add(node.output[0])
    for node in gone:
        graph.node.remove(node)
    for node in graph.node:
        node.input[:] = [instead.get(name, name) for name in node.input]
    used, there = {name for node in graph.node for name in node.input}, {t.name for t in graph.initializer}
    graph.initializer.extend(known[name] for name in sorted(used & set(known) - there))
    return bytes(model.SerializeToString())


if __name__ == "__main__":
    main()
