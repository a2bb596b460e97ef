"""MobileNetV3 (arXiv:1905.02244), large and small, and their minimalistic twins from the authors' release."""

from __future__ import annotations

from dataclasses import replace

from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Stage, make_divisible
from models.zoo.conventions import published, variant_name

PAPER = "arXiv:1905.02244"
RELEASE = "tensorflow/models research/slim/nets/mobilenet/README.md"
WIDTHS = (0.75, 1.0)
SQUEEZE = 0.25

# kernel, expansion, channels, squeeze-and-excite, activation, stride: Tables 1 and 2. The tables print the hidden
# channels; their ratio to the block's input is what a width leaves as it is.
Row = tuple[int, float, int, bool, str, int]
LARGE: tuple[Row, ...] = (
    (3, 1, 16, False, "relu", 1),
    (3, 4, 24, False, "relu", 2),
    (3, 3, 24, False, "relu", 1),
    (5, 3, 40, True, "relu", 2),
    (5, 3, 40, True, "relu", 1),
    (5, 3, 40, True, "relu", 1),
    (3, 6, 80, False, "hard_swish", 2),
    (3, 2.5, 80, False, "hard_swish", 1),
    (3, 2.3, 80, False, "hard_swish", 1),
    (3, 2.3, 80, False, "hard_swish", 1),
    (3, 6, 112, True, "hard_swish", 1),
    (3, 6, 112, True, "hard_swish", 1),
    (5, 6, 160, True, "hard_swish", 2),
    (5, 6, 160, True, "hard_swish", 1),
    (5, 6, 160, True, "hard_swish", 1),
)
SMALL: tuple[Row, ...] = (
    (3, 1, 16, True, "relu", 2),
    (3, 72 / 16, 24, False, "relu", 2),
    (3, 88 / 24, 24, False, "relu", 1),
    (5, 4, 40, True, "hard_swish", 2),
    (5, 6, 40, True, "hard_swish", 1),
    (5, 6, 40, True, "hard_swish", 1),
    (5, 3, 48, True, "hard_swish", 1),
    (5, 3, 48, True, "hard_swish", 1),
    (5, 6, 96, True, "hard_swish", 2),
    (5, 6, 96, True, "hard_swish", 1),
    (5, 6, 96, True, "hard_swish", 1),
)
SIZES = {"large": (LARGE, 1280), "small": (SMALL, 1024)}
"""The blocks, and the channels of the layer before the classifier."""

# Table 3; the minimalistic networks stand in the release alone.
PRINTED = {
    "large": {(1.0, 224): (219, 5.4), (0.75, 224): (155, 4.0)},
    "small": {(1.0, 224): (56, 2.5), (0.75, 224): (44, 2.0)},
}
TOP1 = {
    "large": {(1.0, 224): 75.2, (0.75, 224): 73.3},
    "small": {(1.0, 224): 67.4, (0.75, 224): 65.4},
}
MINIMALISTIC_PRINTED = {"large": {(1.0, 224): (209, 3.9)}, "small": {(1.0, 224): (65, 2.0)}}
MINIMALISTIC_TOP1 = {"large": {(1.0, 224): 72.3}, "small": {(1.0, 224): 61.9}}


def stages(size: str, width: float) -> tuple[Stage, ...]:
    """The first convolution, the blocks and the last convolution of a size."""
    blocks = tuple(
        Stage(
            block="inverted_residual", channels=make_divisible(channels * width), stride=stride, kernel=kernel,
            expansion=expansion, squeeze_excite=SQUEEZE if squeezed else 0.0, activation=activation,
        )
        for kernel, expansion, channels, squeezed, activation, stride in SIZES[size][0]
    )  # fmt: skip
    return (
        # The release leaves this one as it is in every width.
        Stage(block="conv", channels=16, stride=2, activation="hard_swish"),
        *blocks,
        Stage(block="conv", channels=make_divisible(6 * blocks[-1].channels), kernel=1, activation="hard_swish"),
    )


def rows() -> list[ModelSpec]:
    """Both sizes in both widths, then minimalistic."""
    networks = [_row(size, width) for size in SIZES for width in WIDTHS]
    return [*networks, *(_minimalistic(size) for size in SIZES)]


def _row(size: str, width: float) -> ModelSpec:
    head = Stage(block="dense", channels=SIZES[size][1], activation="hard_swish", norm=False)
    family = f"mobilenet_v3_{size}"
    return ModelSpec(
        name=variant_name(family, width, 224),
        family=family,
        width=width,
        resolution_px=224,
        stages=stages(size, width),
        # keras.applications has it inside the network, as a Rescaling; here it is the contract of all families.
        preprocessing=MINUS_ONE_TO_ONE,
        dropout=0.2,
        head=(head,),
        published=published(width, 224, printed=PRINTED[size], paper=PAPER, top1=TOP1[size], release=PAPER),
    )


def _minimalistic(size: str) -> ModelSpec:
    """Without 5x5 kernels, squeeze-and-excite and hard-swish, for hardware that has none of them."""
    network, family = _row(size, 1.0), f"mobilenet_v3_{size}_minimalistic"

    def plain(stage: Stage) -> Stage:
        return replace(stage, kernel=min(stage.kernel, 3), squeeze_excite=0.0, activation="relu")

    return replace(
        network,
        name=variant_name(family, 1.0, 224),
        family=family,
        stages=tuple(plain(stage) for stage in network.stages),
        head=tuple(plain(stage) for stage in network.head),
        published=published(
            1.0,
            224,
            printed=MINIMALISTIC_PRINTED[size],
            paper=RELEASE,
            top1=MINIMALISTIC_TOP1[size],
            release=RELEASE,
        ),
    )
