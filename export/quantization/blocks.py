"""`Block`: a run of a network's operators that stays float or becomes int8 as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from export.quantization.kernels import CHANNEL_LAST
from export.tflite_file import builtin_name, read_model


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Operators that follow each other."""

    name: str
    layers: tuple[str, ...]
    """Names of the operators' outputs in the float TFLite file."""
    mult_add_share: float
    """Of the network's mult-adds, 0..1: how much of it would be computed in float."""
    gain_db: float | None = None
    """By how much the logits' SQNR rises when it is float, too, behind those before it; None: not measured."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "layers": list(self.layers)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Block:
        """Value from `to_json`'s form."""
        return cls(**{**value, "layers": tuple(value["layers"])})


_NUMBERED = re.compile(r"(.+?_\d+)_.+")
"""`inverted_residual_3_expand`, `block_3_project_BN`: part of a block."""


def find_blocks(tflite: bytes) -> tuple[Block, ...]:
    """All blocks of a float TFLite file, in the order of their computation; each operator is in one.

    Operators with a common numbered prefix make a block; any other operator with a kernel is one of its own, and what
    has no kernel (additions, pools, the softmax) belongs to the block before it.
    """
    model = read_model(tflite)
    graph = model.subgraphs[0]
    runs: list[tuple[str, list[str], list[int]]] = []
    pending: list[str] = []
    for operator in graph.operators:
        name = graph.tensors[operator.outputs[0]].name.decode()
        match = _NUMBERED.fullmatch(name)
        key, work = match.group(1) if match else name, _mult_adds(model, operator)
        if runs and (runs[-1][0] == key or work is None):
            runs[-1][1].append(name)
            runs[-1][2].append(work or 0)
        elif work is None:
            pending.append(name)
        else:
            runs.append((key, [*pending, name], [work]))
            pending = []
    total = sum(sum(work) for _, _, work in runs) or 1
    names = _unique([key for key, _, _ in runs])
    return tuple(
        Block(name=name, layers=tuple(layers), mult_add_share=sum(work) / total)
        for name, (_, layers, work) in zip(names, runs, strict=True)
    )


def _unique(keys: list[str]) -> list[str]:
    """The same names, a number behind those that were there before."""
    return [key if keys.index(key) == row else f"{key}#{keys[:row].count(key) + 1}" for row, key in enumerate(keys)]


def _mult_adds(model: Any, operator: Any) -> int | None:
    """Of an operator for one picture; None if it has no kernel."""
    kind = builtin_name(model.operatorCodes[operator.opcodeIndex])
    if kind not in CHANNEL_LAST:
        return None
    kernel, output = (model.subgraphs[0].tensors[index] for index in (operator.inputs[1], operator.outputs[0]))
    positions = prod(int(side) for side in output.shape[1:-1])
    return positions * prod(int(side) for side in kernel.shape)
