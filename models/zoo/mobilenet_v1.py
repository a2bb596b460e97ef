"""MobileNetV1 (arXiv:1704.04861) in all widths and resolutions, and the two networks its paper sets beside it."""

from __future__ import annotations

from dataclasses import replace

from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Published, Stage
from models.zoo.conventions import published, variant_name

PAPER = "arXiv:1704.04861"
RELEASE = "tensorflow/models research/slim/nets/mobilenet_v1.md"
WIDTHS = (0.25, 0.5, 0.75, 1.0)
RESOLUTIONS = (128, 160, 192, 224)

TOP1 = {
    (1.0, 224): 70.9, (1.0, 192): 70.0, (1.0, 160): 68.0, (1.0, 128): 65.2,
    (0.75, 224): 68.4, (0.75, 192): 67.2, (0.75, 160): 65.3, (0.75, 128): 62.1,
    (0.5, 224): 63.3, (0.5, 192): 61.7, (0.5, 160): 59.1, (0.5, 128): 56.3,
    (0.25, 224): 49.8, (0.25, 192): 47.7, (0.25, 160): 45.5, (0.25, 128): 41.5,
}  # fmt: skip
# Tables 6, 7 and 9.
PRINTED = {
    (1.0, 224): (569, 4.2), (0.75, 224): (325, 2.6), (0.5, 224): (149, 1.3), (0.25, 224): (41, 0.5),
    (1.0, 192): (418, 4.2), (1.0, 160): (290, 4.2), (1.0, 128): (186, 4.2), (0.5, 160): (76, 1.32),
}  # fmt: skip


def stages(width: float) -> tuple[Stage, ...]:
    """Table 1: a full convolution, then 13 depthwise separable blocks."""
    table = (  # channels, stride, repeats
        (64, 1, 1),
        (128, 2, 1),
        (128, 1, 1),
        (256, 2, 1),
        (256, 1, 1),
        (512, 2, 1),
        (512, 1, 5),
        (1024, 2, 1),
        # The paper prints stride 2 here too; its own output sizes and its release have 1.
        (1024, 1, 1),
    )
    return (
        Stage(block="conv", channels=int(32 * width), stride=2),
        *(Stage(block="separable", channels=int(c * width), stride=s, repeats=n) for c, s, n in table),
    )


def rows() -> list[ModelSpec]:
    """All variants, and the two ablations."""
    return [*(_row(width, resolution_px) for width in WIDTHS for resolution_px in RESOLUTIONS), *_ablations()]


def _row(width: float, resolution_px: int) -> ModelSpec:
    return ModelSpec(
        name=variant_name("mobilenet_v1", width, resolution_px),
        family="mobilenet_v1",
        width=width,
        resolution_px=resolution_px,
        stages=stages(width),
        preprocessing=MINUS_ONE_TO_ONE,
        dropout=0.001,
        published=published(width, resolution_px, printed=PRINTED, paper=PAPER, top1=TOP1, release=RELEASE),
    )


def _ablations() -> tuple[ModelSpec, ModelSpec]:
    """MobileNet with full convolutions (Table 4), and without the five equal blocks of 512 channels (Table 5)."""
    network = _row(1.0, 224)
    full = replace(
        network,
        name="conv_mobilenet",
        family="conv_mobilenet",
        stages=tuple(replace(stage, block="conv") for stage in network.stages),
        published=Published(source=PAPER, mult_adds=4866e6, parameters=29.3e6, top1=0.717),
    )
    shallow = replace(
        network,
        name="mobilenet_v1_shallow",
        family="mobilenet_v1_shallow",
        stages=tuple(stage for stage in network.stages if stage.repeats == 1),
        published=Published(source=PAPER, mult_adds=307e6, parameters=2.9e6, top1=0.653),
    )
    return full, shallow
