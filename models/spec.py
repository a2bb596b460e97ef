"""The frozen values that describe a network. Ground floor: standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Channels rounded to a multiple of `divisor`, never more than 10 % below the wish.

    The rounding of the MobileNetV2 authors' release, without which its published weights do not fit.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A run of equal blocks, as one row of a paper's architecture table.

    Channel counts are concrete: the width multiplier has been applied by the zoo.
    """

    block: str
    """Name of a function in `models.blocks.BLOCKS`."""
    channels: int
    """Output channels of every block of the stage."""
    stride: int = 1
    """Stride of the first block; the others have stride 1."""
    repeats: int = 1
    kernel: int = 3
    """Side of the square spatial kernel; 0 leaves out the depthwise convolution of a universal inverted bottleneck."""
    start_kernel: int = 0
    """Side of the kernel of a further depthwise convolution before the expansion (universal inverted bottlenecks)."""
    expansion: float = 1
    """Ratio of hidden to input channels (inverted residual blocks)."""
    squeeze_excite: float = 0.0
    """Ratio of the squeezed to the hidden channels (inverted residual blocks); 0 for no squeeze-and-excite."""
    activation: str | None = "relu6"
    """`relu6`, `relu` or `hard_swish`; None for a linear stage."""
    norm: bool = True
    """Whether batch normalization follows each convolution; without it, a bias is added."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """The one contract between a picture and the network's input, kept with the model wherever it goes.

    A picture is decoded to RGB, fitted to the input size with the given filter (antialiased when it shrinks), kept as
    bytes 0..255, put into the network's channel order, and then normalised per channel: `x = (byte - mean) / std`.
    """

    mean: tuple[float, float, float]
    """Per channel, in grey levels 0..255."""
    std: tuple[float, float, float]
    """Per channel, in grey levels 0..255."""
    channel_order: str = "RGB"
    """`RGB` or `BGR`; mean and std are in this order too."""
    resize: str = "bilinear"
    """`nearest`, `box`, `bilinear`, `bicubic` or `lanczos`."""
    fit: str = "stretch"
    """How a picture becomes square: `stretch`, `crop` (its middle) or `pad` (black bars)."""
    crop_share: float = 1.0
    """Of `crop`: side of the square that is cut out, as a share of the shorter side."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Preprocessing:
        """Value from `to_json`'s form."""
        known = dict(value)
        return cls(**{**known, "mean": tuple(known["mean"]), "std": tuple(known["std"])})


FITS = ("stretch", "crop", "pad")
"""How a picture becomes square."""

MINUS_ONE_TO_ONE = Preprocessing(mean=(127.5, 127.5, 127.5), std=(127.5, 127.5, 127.5))
"""Bytes mapped to [-1, 1]: the input range of the MobileNetV1 and V2 releases (slim's `inception_preprocessing`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the source paper states of a variant, to be set beside what is computed and measured."""

    source: str
    parameters: float | None = None
    """As printed, e.g. 4.2e6."""
    mult_adds: float | None = None
    """As printed, e.g. 569e6."""
    top1: float | None = None
    """ImageNet top-1 accuracy, 0..1."""


OWN = "own"
"""Family of a user's own network, and source of its weights, which came with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnNetwork:
    """What is known of a user's own network, which is its file and no table of stages."""

    path: str
    """Of the `.keras` file."""
    parameters: int
    """Trainable ones."""
    mult_adds: int | None
    """Of its kernels for one picture; None where a layer's cannot be counted."""
    gives: Literal["probabilities", "logits"]
    """What its last layer computes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """One network: a table of stages, its input, its head and its preprocessing."""

    name: str
    family: str
    width: float
    """The width multiplier."""
    resolution_px: int
    """Side of the square RGB input."""
    stages: tuple[Stage, ...]
    preprocessing: Preprocessing
    dropout: float
    """Rate before the classifier while training."""
    head: tuple[Stage, ...] = ()
    """What stands between the pooling and the classifier: `dense` stages."""
    pooling: Literal["average", "flatten"] = "average"
    """How the last feature map becomes a vector."""
    num_classes: int = 1000
    published: Published | None = None
    own: OwnNetwork | None = None
    """Set for a network that is no row of the zoo; it has no stages, family and width then."""
