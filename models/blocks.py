"""Stages to layers: one function per block kind. `build` makes Keras layers of them, `cost` adds them up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

from models.spec import ModelSpec, Stage, make_divisible

Kind = Literal["input", "conv", "depthwise", "dense", "add", "multiply", "squeeze", "pool", "max_pool", "flatten"]
Shift = Literal["norm", "bias", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One operation and the shape of its output, before Keras knows of it. Convolutions have `same` padding."""

    name: str
    kind: Kind
    """`pool` and `squeeze` are averages over the whole map; a squeeze keeps its two dimensions of size 1."""
    inputs: tuple[str, ...]
    """Names of the layers it reads; `INPUT` is the picture."""
    in_channels: int
    channels: int
    size_px: int
    """Side of the square output; 1 from the pooling on."""
    kernel: int = 1
    stride: int = 1
    shift: Shift = "none"
    """What follows the kernel of a convolution or a dense layer: batch normalization, a bias, or nothing."""
    activation: str | None = None
    """`relu6`, `relu`, `hard_swish` or `hard_sigmoid`, behind the shift."""


INPUT = "image"


def _conv(x: Layer, name: str, channels: int, kernel: int, stride: int, activation: str | None) -> Layer:
    return Layer(
        name=name, kind="conv", inputs=(x.name,), in_channels=x.channels, channels=channels,
        size_px=-(-x.size_px // stride), kernel=kernel, stride=stride, shift="norm", activation=activation,
    )  # fmt: skip


def _depthwise(x: Layer, name: str, kernel: int, stride: int, activation: str | None) -> Layer:
    return replace(_conv(x, name, x.channels, kernel, stride, activation), kind="depthwise")


def _pointwise(x: Layer, kind: Kind, name: str) -> Layer:
    return Layer(
        name=name, kind=kind, inputs=(x.name,), in_channels=x.channels, channels=x.channels, size_px=x.size_px
    )  # fmt: skip


def _both(x: Layer, y: Layer, kind: Kind, name: str) -> Layer:
    return replace(_pointwise(x, kind, name), inputs=(x.name, y.name))


def conv(x: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    """One full convolution."""
    y = _conv(x, name, stage.channels, stage.kernel, stride, stage.activation)
    yield y if stage.norm else replace(y, shift="bias")


def max_pool(x: Layer, name: str, _stage: Stage, stride: int) -> Iterator[Layer]:
    """The greatest value of each square of `stride` by `stride`."""
    yield replace(_pointwise(x, "max_pool", name), size_px=x.size_px // stride, kernel=stride, stride=stride)


def dense(x: Layer, name: str, stage: Stage, _stride: int) -> Iterator[Layer]:
    """A fully connected layer, behind the pooling."""
    shift: Shift = "norm" if stage.norm else "bias"
    y = replace(_pointwise(x, "dense", name), channels=stage.channels)
    yield replace(y, shift=shift, activation=stage.activation)


def separable(x: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    """Depthwise separable convolution, both halves activated (Figure 3, arXiv:1704.04861)."""
    y = _depthwise(x, f"{name}_depthwise", stage.kernel, stride, stage.activation)
    yield y
    yield _conv(y, f"{name}_project", stage.channels, 1, 1, stage.activation)


def factorized(x: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    """A full convolution written as a product of two, as Keras' `SeparableConv2D` does: nothing between the halves."""
    y = replace(_depthwise(x, f"{name}_depthwise", stage.kernel, stride, None), shift="none")
    yield y
    yield replace(_conv(y, f"{name}_project", stage.channels, 1, 1, stage.activation), shift="bias")


def inverted_residual(x: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    """Expansion, depthwise convolution, linear projection; a residual if shapes agree (Table 1, arXiv:1801.04381).

    With squeeze-and-excite in front of the projection where a stage asks for it (Figure 4, arXiv:1905.02244).
    """
    y = x
    if stage.expansion != 1:
        y = _conv(y, f"{name}_expand", make_divisible(x.channels * stage.expansion), 1, 1, stage.activation)
        yield y
    y = _depthwise(y, f"{name}_depthwise", stage.kernel, stride, stage.activation)
    yield y
    if stage.squeeze_excite:
        gated = tuple(_squeeze_excite(y, name, stage.squeeze_excite))
        yield from gated
        y = gated[-1]
    yield from _projected(x, y, name, stage, stride)


def fused_inverted_residual(x: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    """Expansion by a full convolution, linear projection (FusedIB in arXiv:2404.10518, after EfficientNet-EdgeTPU)."""
    hidden = make_divisible(x.channels * stage.expansion)
    y = _conv(x, f"{name}_expand", hidden, stage.kernel, stride, stage.activation)
    yield y
    yield from _projected(x, y, name, stage, stride)


def universal_inverted_bottleneck(x: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    """Linear depthwise convolution, expansion, depthwise convolution, linear projection (Figure 4, arXiv:2404.10518).

    Either depthwise convolution may be missing: without the first it is an inverted residual, without the second a
    ConvNext block, without both a feed-forward one. The second takes the stride.
    """
    y = x
    if stage.start_kernel:
        y = _depthwise(y, f"{name}_start", stage.start_kernel, 1, None)
        yield y
    y = _conv(y, f"{name}_expand", make_divisible(x.channels * stage.expansion), 1, 1, stage.activation)
    yield y
    if stage.kernel:
        y = _depthwise(y, f"{name}_depthwise", stage.kernel, stride, stage.activation)
        yield y
    yield from _projected(x, y, name, stage, stride)


def _projected(x: Layer, y: Layer, name: str, stage: Stage, stride: int) -> Iterator[Layer]:
    y = _conv(y, f"{name}_project", stage.channels, 1, 1, None)
    yield y
    if stride == 1 and x.channels == stage.channels:
        yield _both(x, y, "add", f"{name}_add")


def _squeeze_excite(x: Layer, name: str, ratio: float) -> Iterator[Layer]:
    """Each channel times a gate between 0 and 1, computed from the averages of all channels."""
    averages = replace(_pointwise(x, "squeeze", f"{name}_squeeze"), size_px=1)
    yield averages
    reduced = _conv(averages, f"{name}_reduce", make_divisible(x.channels * ratio), 1, 1, "relu")
    yield replace(reduced, shift="bias")
    gate = _conv(reduced, f"{name}_gate", x.channels, 1, 1, "hard_sigmoid")
    yield replace(gate, shift="bias")
    yield _both(x, gate, "multiply", f"{name}_excite")


Block = Callable[[Layer, str, Stage, int], Iterator[Layer]]
BLOCKS: Mapping[str, Block] = MappingProxyType(
    {
        function.__name__: function
        for function in (
            conv, max_pool, dense, separable, factorized, inverted_residual, fused_inverted_residual,
            universal_inverted_bottleneck,
        )
    }
)  # fmt: skip


def plan_layers(spec: ModelSpec) -> tuple[Layer, ...]:
    """All layers of the network in order, from the first convolution to the classifier (which gives logits)."""
    x = Layer(name=INPUT, kind="input", inputs=(), in_channels=3, channels=3, size_px=spec.resolution_px)
    layers: list[Layer] = []
    counts: dict[str, int] = {}

    def add(stages: tuple[Stage, ...], x: Layer) -> Layer:
        for stage in stages:
            for repeat in range(stage.repeats):
                counts[stage.block] = number = counts.get(stage.block, 0) + 1
                stride = stage.stride if repeat == 0 else 1
                layers.extend(BLOCKS[stage.block](x, f"{stage.block}_{number}", stage, stride))
                x = layers[-1]
        return x

    x = add(spec.stages, x)
    if spec.pooling == "flatten":
        layers.append(replace(_pointwise(x, "flatten", "flatten"), channels=x.channels * x.size_px**2, size_px=1))
    else:
        layers.append(replace(_pointwise(x, "pool", "pool"), size_px=1))
    x = add(spec.head, layers[-1])
    return (*layers, replace(_pointwise(x, "dense", "classifier"), channels=spec.num_classes, shift="bias"))


def is_normalized(layers: tuple[Layer, ...]) -> bool:
    """Whether there is any batch normalization."""
    return any(layer.shift == "norm" for layer in layers)
