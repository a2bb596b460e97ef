"""Kernels and biases of an int8 file against those of the float file."""

from __future__ import annotations

import numpy as np

from export.diagnosis.graph import Graph, Step, Tensor, Values
from export.diagnosis.sqnr import sqnr
from export.diagnosis.values import WeightReading

KERNELS = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "DEPTHWISE_CONV_2D": -1}
"""The axis of a kernel's output channels, by operator."""


def read_weights(float_graph: Graph, int8_graph: Graph) -> tuple[WeightReading, ...]:
    """One reading per kernel that both files have, the worst first."""
    readings = [
        _read(step, exact, kernel, float_graph, int8_graph)
        for step in int8_graph.steps
        if step.operator in KERNELS and len(step.inputs) > 1
        if (kernel := int8_graph.constant(step.inputs[1])) and (exact := float_graph.constant(step.inputs[1]))
        if kernel.shape == exact.shape
    ]
    return tuple(sorted(readings, key=lambda r: np.inf if r.sqnr_db is None else r.sqnr_db))


def _read(step: Step, exact: Tensor, kernel: Tensor, float_graph: Graph, int8_graph: Graph) -> WeightReading:
    axis = KERNELS[step.operator]
    true, stored = (_by_channel(tensor, axis) for tensor in (exact, kernel))
    strongest = np.abs(true).max(axis=1)
    worst = [found for a, b in zip(true, stored, strict=True) if (found := sqnr(a, b)) is not None]
    median = float(np.median(strongest))
    return WeightReading(
        name=kernel.name,
        layer=step.output,
        operator=step.operator,
        sqnr_db=sqnr(true, stored),
        worst_channel_db=min(worst, default=None),
        per_channel=kernel.scale is not None and len(np.unique(kernel.scale)) > 1,
        spread=float(strongest.max()) / median if median > 0 else 1.0,
        bias_error_steps=_bias_error(step, float_graph, int8_graph),
    )


def _by_channel(tensor: Tensor, axis: int) -> Values:
    values = np.moveaxis(tensor.values(), axis, 0)
    return values.reshape(len(values), -1)


def _bias_error(step: Step, float_graph: Graph, int8_graph: Graph) -> float:
    if len(step.inputs) < 3:
        return 0.0
    exact, stored = (graph.constant(step.inputs[2]) for graph in (float_graph, int8_graph))
    output = int8_graph.tensors[step.output].step
    if exact is None or stored is None or exact.shape != stored.shape or not output:
        return 0.0
    return float(np.abs(exact.values() - stored.values()).max()) / output
