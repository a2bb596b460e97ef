"""Stages to layers: one function per block kind. `build` makes Keras layers of them, `cost` adds them up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from models.spec import ModelSpec, Stage

Kind = Literal["input", "conv", "depthwise", "add", "pool", "dense"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operation and the shape of its output, before Keras knows of it.

    Convolutions have `same` padding and are followed by batch normalization and then by the activation.
    """

    name: str
    kind: Kind
    inputs: tuple[str, ...]
    """Names of the layers it reads; `INPUT` is the picture."""
    in_channels: int
    channels: int
    size_px: int
    """Side of the square output; 1 from the pooling on."""
    kernel: int = 1
    stride: int = 1
    activation: str | None = None


INPUT = "image"


def _conv(x: Layer, name: str, channels: int, kernel: int, stride: int, activation: str | None) -> Layer:
    return Layer(
        name=name, kind="conv", inputs=(x.name,), in_channels=x.channels, channels=channels,
        size_px=-(-x.size_px // stride), kernel=kernel, stride=stride, activation=activation,
    )  # fmt: skip


def _depthwise(x: Layer, name: str, kernel: int, stride: int, activation: str | None) -> Layer:
    return replace(_conv(x, name, x.channels, kernel, stride, activation), kind="depthwise")


def _add(x: Layer, y: Layer, name: str) -> Layer:
    return Layer(
        name=name, kind="add", inputs=(x.name, y.name), in_channels=x.channels, channels=y.channels, size_px=y.size_px
    )  # fmt: skip


def conv(x: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    """One full convolution."""
    yield _conv(x, name, stage.channels, stage.kernel, stride, stage.activation)


def separable(x: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    """Depthwise separable convolution, both halves activated (Figure 3, arXiv:1704.04861)."""
    y = _depthwise(x, f"{name}_depthwise", stage.kernel, stride, stage.activation)
    yield y
    yield _conv(y, f"{name}_project", stage.channels, 1, 1, stage.activation)


def inverted_residual(x: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    """Expansion, depthwise convolution, linear projection; a residual if shapes agree (Table 1, arXiv:1801.04381)."""
    y = x
    if stage.expansion != 1:
        y = _conv(y, f"{name}_expand", x.channels * stage.expansion, 1, 1, stage.activation)
        yield y
    y = _depthwise(y, f"{name}_depthwise", stage.kernel, stride, stage.activation)
    yield y
    y = _conv(y, f"{name}_project", stage.channels, 1, 1, None)
    yield y
    if stride == 1 and x.channels == stage.channels:
        yield _add(x, y, f"{name}_add")


Block = Callable[[Layer, str, Stage, int], Iterator[Layer]]
BLOCKS: Mapping[str, Block] = MappingProxyType(
    {"conv": conv, "separable": separable, "inverted_residual": inverted_residual}
)


def plan_layers(spec: ModelSpec) -> tuple[Layer, ...]:
    """All layers of the network in order, from the first convolution to the classifier (which gives logits)."""
    x = Layer(name=INPUT, kind="input", inputs=(), in_channels=3, channels=3, size_px=spec.resolution_px)
    layers: list[Layer] = []
    counts: dict[str, int] = {}
    for stage in spec.stages:
        for repeat in range(stage.repeats):
            counts[stage.block] = number = counts.get(stage.block, 0) + 1
            stride = stage.stride if repeat == 0 else 1
            layers += BLOCKS[stage.block](x, f"{stage.block}_{number}", stage, stride)
            x = layers[-1]
    pool = Layer(name="pool", kind="pool", inputs=(x.name,), in_channels=x.channels, channels=x.channels, size_px=1)
    classifier = replace(pool, name="classifier", kind="dense", inputs=("pool",), channels=spec.num_classes)
    return (*layers, pool, classifier)
