"""Every computed tensor of both files on the same pictures, matched by name."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.diagnosis.graph import Graph, Tensor, Values
from export.diagnosis.sqnr import best_sqnr, rounded, sqnr, to_db
from export.diagnosis.values import ActivationReading
from models.errors import VerificationError
from models.worker import Progress, Report

STAGE = "compare layers"
SAMPLE = 2048
"""Values per tensor and picture that are kept for trying ranges; sums and extremes take all of them."""

FIXED = ("SOFTMAX", "LOGISTIC", "TANH")
"""Operators whose integer output has a range by the specification."""

SAME_RANGE = ("RESHAPE", "PAD", "MAX_POOL_2D", "QUANTIZE", "TRANSPOSE", "CONCATENATION", "AVERAGE_POOL_2D")
"""Operators whose output takes the range of its input."""

DROWNED_STEPS = 4
"""Span of a channel in steps of its tensor, below which little is left of it."""

ALIVE_STEPS, ALIVE_ERRORS = 16, 10
"""Span of a channel in steps of its tensor, and in the tensor's root mean square errors, above which rounding does not
make it stand still. In squeezed tensors, of one value per picture, weak channels end below zero and are cut off."""

Run = Callable[[NDArray[Any]], Callable[[Tensor], NDArray[Any]]]


def open_probe(content: bytes, graph: Graph, file: str) -> Run:
    """Runs one input at a time by the builtin kernels; the answer gives any tensor of that run.

    Raises:
        VerificationError: the kernels refuse the file.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        with warnings.catch_warnings():
            # It warns that keeping all tensors takes memory, and they are what is wanted.
            warnings.simplefilter("ignore")
            interpreter = Interpreter(
                model_content=content,
                num_threads=2,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise VerificationError(f"LiteRT's builtin kernels refuse {file}: {' '.join(str(error).split())}") from error

    def run(given: NDArray[Any]) -> Callable[[Tensor], NDArray[Any]]:
        interpreter.set_tensor(graph.input.index, given)
        interpreter.invoke()
        return lambda tensor: np.asarray(interpreter.get_tensor(tensor.index))

    return run


@dataclass(slots=True)
class _Sums:
    """What is gathered of one tensor over the pictures."""

    signal: float = 0.0
    noise: float = 0.0
    count: int = 0
    clipped: int = 0
    sample: list[Values] = field(default_factory=list)
    float_channels: tuple[Values, Values] = (np.full(1, np.inf), np.full(1, -np.inf))
    """Least and greatest value of each channel."""
    int8_channels: tuple[Values, Values] = (np.full(1, np.inf), np.full(1, -np.inf))

    def add(self, exact: Values, other: Values, tensor: Tensor) -> None:
        low, high = tensor.range or (-np.inf, np.inf)
        half = (tensor.step or 0.0) / 2
        self.signal += float(np.square(exact).sum())
        self.noise += float(np.square(exact - other).sum())
        self.count += exact.size
        self.clipped += int(np.count_nonzero((exact < low - half) | (exact > high + half)))
        flat = exact.ravel()
        self.sample.append(flat[:: max(1, flat.size // SAMPLE)].copy())
        self.float_channels = _extended(self.float_channels, exact)
        self.int8_channels = _extended(self.int8_channels, other)


def _extended(before: tuple[Values, Values], values: Values) -> tuple[Values, Values]:
    by_channel = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    return np.minimum(before[0], by_channel.min(axis=0)), np.maximum(before[1], by_channel.max(axis=0))


def compare_activations(
    float_graph: Graph,
    int8_graph: Graph,
    run_float: Run,
    run_int8: Run,
    inputs: list[tuple[NDArray[Any], NDArray[Any]]],
    report: Report,
) -> tuple[ActivationReading, ...]:
    """One reading per tensor that both files compute, in the order of computation.

    Args:
        float_graph: Of the float file.
        int8_graph: Of the int8 file.
        run_float: Its probe.
        run_int8: Its probe.
        inputs: What both files are given for each picture.
        report: Receives the progress.
    """
    pairs = matched(float_graph, int8_graph)
    sums = {name: _Sums() for name in pairs}
    for done, (float_input, int8_input) in enumerate(inputs):
        exact, other = run_float(float_input), run_int8(int8_input)
        for name, (mine, theirs) in pairs.items():
            sums[name].add(mine.real(exact(mine)), theirs.real(other(theirs)), theirs)
        report(Progress(stage=STAGE, done=done + 1, total=len(inputs)))
    own = {name: to_db(total.signal, total.noise) for name, total in sums.items()}
    # The picture itself is rounded to bytes before either file sees it.
    reached = {name: np.inf if value is None else value for name, value in own.items()}
    readings = []
    for step in int8_graph.steps:
        if step.output in pairs:
            before = min((reached[name] for name in step.inputs if name in reached), default=np.inf)
            loss = before - reached[step.output] if np.isfinite(before - reached[step.output]) else None
            tensor = pairs[step.output][1]
            readings.append(_reading(step.output, step.operator, tensor, sums[step.output], own[step.output], loss))
    return tuple(readings)


def matched(float_graph: Graph, int8_graph: Graph) -> dict[str, tuple[Tensor, Tensor]]:
    """Computed tensors, float and quantized, that have the same name and shape in both files."""
    computed = {step.output for step in float_graph.steps}
    found = {}
    for step in int8_graph.steps:
        theirs, mine = int8_graph.tensors[step.output], float_graph.tensors.get(step.output)
        if step.output in computed and mine is not None and mine.shape == theirs.shape and theirs.step:
            found[step.output] = (mine, theirs)
    return found


def _reading(
    name: str, operator: str, tensor: Tensor, total: _Sums, sqnr_db: float | None, loss: float | None
) -> ActivationReading:
    low, high = tensor.range or (0.0, 0.0)
    step = tensor.step or 1.0
    levels = int(np.iinfo(tensor.dtype).max) - int(np.iinfo(tensor.dtype).min) + 1
    (least, greatest), int8 = total.float_channels, total.int8_channels
    # With the extremes, which a sample would miss.
    values = np.concatenate([*total.sample, least, greatest])
    span, int8_span = (greatest - least) / step, (int8[1] - int8[0]) / step
    varying = span > 1e-6
    alive = max(ALIVE_STEPS, ALIVE_ERRORS * math.sqrt(total.noise / max(1, total.count)) / step)
    order = np.argsort(span)[::-1]
    ratio = None
    if len(order) > 1 and span[order[1]] > 0:
        ratio = float(span[order[0]] / span[order[1]])
    return ActivationReading(
        name=name,
        operator=operator,
        sqnr_db=sqnr_db,
        loss_db=None if loss is None else float(loss),
        own_db=sqnr(values, rounded(values, low, high, levels)),
        best_db=best_sqnr(values, levels),
        stored=(low, high),
        observed=(float(least.min()), float(greatest.max())),
        clipped_share=total.clipped / max(1, total.count),
        fixed=operator in FIXED + SAME_RANGE,
        channels=len(span),
        dead_channels=tuple(int(n) for n in np.flatnonzero((span >= alive) & (int8_span < 1e-6))),
        strongest_channel=int(order[0]) if len(order) > 1 else None,
        channel_ratio=ratio,
        drowned_share=float(np.mean(span[varying] < DROWNED_STEPS)) if varying.any() else 0.0,
    )
