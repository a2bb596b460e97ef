"""MobileNetV2 (arXiv:1801.04381) in all published widths and resolutions."""

from __future__ import annotations

from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Stage, make_divisible
from models.zoo.conventions import published, variant_name

PAPER = "arXiv:1801.04381"
RELEASE = "tensorflow/models research/slim/nets/mobilenet/README.md"
WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
RESOLUTIONS = (96, 128, 160, 192, 224)

# Above width 1, only 224 was released.
TOP1 = {
    (1.4, 224): 75.0, (1.3, 224): 74.4,
    (1.0, 224): 71.8, (1.0, 192): 70.7, (1.0, 160): 68.8, (1.0, 128): 65.3, (1.0, 96): 60.3,
    (0.75, 224): 69.8, (0.75, 192): 68.7, (0.75, 160): 66.4, (0.75, 128): 63.2, (0.75, 96): 58.8,
    (0.5, 224): 65.4, (0.5, 192): 63.9, (0.5, 160): 61.0, (0.5, 128): 57.7, (0.5, 96): 51.2,
    (0.35, 224): 60.3, (0.35, 192): 58.2, (0.35, 160): 55.7, (0.35, 128): 50.8, (0.35, 96): 45.5,
}  # fmt: skip
# Table 4.
PRINTED = {(1.0, 224): (300, 3.4), (1.4, 224): (585, 6.9)}


def stages(width: float) -> tuple[Stage, ...]:
    """Table 2: inverted residuals with linear bottlenecks, between two full convolutions."""
    table = (  # expansion, channels, repeats, stride
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    )
    return (
        Stage(block="conv", channels=make_divisible(32 * width), stride=2),
        *(
            Stage(block="inverted_residual", channels=make_divisible(c * width), stride=s, repeats=n, expansion=t)
            for t, c, n, s in table
        ),
        # Section 3 of the paper: the last layer is not made thinner by a width below 1.
        Stage(block="conv", channels=make_divisible(1280 * max(width, 1.0)), kernel=1),
    )


def rows() -> list[ModelSpec]:
    """All variants."""
    return [
        ModelSpec(
            name=variant_name("mobilenet_v2", width, resolution_px),
            family="mobilenet_v2",
            width=width,
            resolution_px=resolution_px,
            stages=stages(width),
            preprocessing=MINUS_ONE_TO_ONE,
            dropout=0.2,
            published=published(width, resolution_px, printed=PRINTED, paper=PAPER, top1=TOP1, release=RELEASE),
        )
        for width in WIDTHS
        for resolution_px in RESOLUTIONS
    ]
