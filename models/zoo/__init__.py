"""The networks that exist. A new variant is a row; a new family is a stage table."""

from __future__ import annotations

from collections.abc import Mapping

from models.errors import UnknownNameError
from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Published, Stage

V1_PAPER = "arXiv:1704.04861"
V2_PAPER = "arXiv:1801.04381"
V1_RELEASE = "tensorflow/models research/slim/nets/mobilenet_v1.md"
V2_RELEASE = "tensorflow/models research/slim/nets/mobilenet/README.md"


def make_divisible(channels: float, divisor: int = 8) -> int:
    """Channels rounded to a multiple of `divisor`, never more than 10 % below the wish.

    The rounding of the MobileNetV2 authors' release, without which its published weights do not fit.
    """
    rounded = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * channels else rounded


def mobilenet_v1_stages(width: float) -> tuple[Stage, ...]:
    """Table 1, arXiv:1704.04861: a full convolution, then 13 depthwise separable blocks."""
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


def mobilenet_v2_stages(width: float) -> tuple[Stage, ...]:
    """Table 2, arXiv:1801.04381: inverted residuals with linear bottlenecks, between two full convolutions."""
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


V1_WIDTHS = (0.25, 0.5, 0.75, 1.0)
V1_RESOLUTIONS = (128, 160, 192, 224)
V2_WIDTHS = (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)
V2_RESOLUTIONS = (96, 128, 160, 192, 224)

# ImageNet top-1 in percent as the releases state it; V2 above width 1 was only released at 224.
V1_TOP1 = {
    (1.0, 224): 70.9, (1.0, 192): 70.0, (1.0, 160): 68.0, (1.0, 128): 65.2,
    (0.75, 224): 68.4, (0.75, 192): 67.2, (0.75, 160): 65.3, (0.75, 128): 62.1,
    (0.5, 224): 63.3, (0.5, 192): 61.7, (0.5, 160): 59.1, (0.5, 128): 56.3,
    (0.25, 224): 49.8, (0.25, 192): 47.7, (0.25, 160): 45.5, (0.25, 128): 41.5,
}  # fmt: skip
V2_TOP1 = {
    (1.4, 224): 75.0, (1.3, 224): 74.4,
    (1.0, 224): 71.8, (1.0, 192): 70.7, (1.0, 160): 68.8, (1.0, 128): 65.3, (1.0, 96): 60.3,
    (0.75, 224): 69.8, (0.75, 192): 68.7, (0.75, 160): 66.4, (0.75, 128): 63.2, (0.75, 96): 58.8,
    (0.5, 224): 65.4, (0.5, 192): 63.9, (0.5, 160): 61.0, (0.5, 128): 57.7, (0.5, 96): 51.2,
    (0.35, 224): 60.3, (0.35, 192): 58.2, (0.35, 160): 55.7, (0.35, 128): 50.8, (0.35, 96): 45.5,
}  # fmt: skip

# (mult-adds, parameters) in millions as printed: Tables 6 and 7 of arXiv:1704.04861, Table 4 of arXiv:1801.04381.
V1_PRINTED = {
    (1.0, 224): (569, 4.2), (0.75, 224): (325, 2.6), (0.5, 224): (149, 1.3), (0.25, 224): (41, 0.5),
    (1.0, 192): (418, 4.2), (1.0, 160): (290, 4.2), (1.0, 128): (186, 4.2),
}  # fmt: skip
V2_PRINTED = {(1.0, 224): (300, 3.4), (1.4, 224): (585, 6.9)}


def variant_name(family: str, width: float, resolution_px: int) -> str:
    """`<family>_<width>`, with `_<resolution>` unless it is the papers' default of 224."""
    return f"{family}_{width}" if resolution_px == 224 else f"{family}_{width}_{resolution_px}"


def _published(
    key: tuple[float, int],
    printed: Mapping[tuple[float, int], tuple[float, float]],
    top1: Mapping[tuple[float, int], float],
    paper: str,
    release: str,
) -> Published | None:
    mult_adds, parameters = printed.get(key, (None, None))
    accuracy = top1.get(key)
    sources = [paper] if mult_adds else []
    sources += [release] if accuracy else []
    return Published(
        source="; ".join(sources),
        mult_adds=None if mult_adds is None else mult_adds * 1e6,
        parameters=None if parameters is None else parameters * 1e6,
        top1=None if accuracy is None else accuracy / 100,
    ) if sources else None  # fmt: skip


def _rows() -> list[ModelSpec]:
    rows = [
        ModelSpec(
            name=variant_name("mobilenet_v1", width, resolution_px),
            family="mobilenet_v1",
            width=width,
            resolution_px=resolution_px,
            stages=mobilenet_v1_stages(width),
            preprocessing=MINUS_ONE_TO_ONE,
            dropout=0.001,
            published=_published((width, resolution_px), V1_PRINTED, V1_TOP1, V1_PAPER, V1_RELEASE),
        )
        for width in V1_WIDTHS
        for resolution_px in V1_RESOLUTIONS
    ]
    rows += [
        ModelSpec(
            name=variant_name("mobilenet_v2", width, resolution_px),
            family="mobilenet_v2",
            width=width,
            resolution_px=resolution_px,
            stages=mobilenet_v2_stages(width),
            preprocessing=MINUS_ONE_TO_ONE,
            dropout=0.2,
            published=_published((width, resolution_px), V2_PRINTED, V2_TOP1, V2_PAPER, V2_RELEASE),
        )
        for width in V2_WIDTHS
        for resolution_px in V2_RESOLUTIONS
    ]
    return rows


MODELS: dict[str, ModelSpec] = {spec.name: spec for spec in _rows()}


def lookup(name: str) -> ModelSpec:
    """The row called `name`.

    Raises:
        UnknownNameError: there is none; the message names the nearest, or what the family offers.
    """
    if name in MODELS:
        return MODELS[name]
    family = next((f for f in sorted({s.family for s in MODELS.values()}) if name.startswith(f + "_")), None)
    see = "`python -m models list` shows all"
    if family:
        members = [spec for spec in MODELS.values() if spec.family == family]
        widths = ", ".join(str(w) for w in sorted({spec.width for spec in members}))
        sizes = ", ".join(str(r) for r in sorted({spec.resolution_px for spec in members}))
        see = f"{family} has widths {widths} and resolutions {sizes}; {see}"
    raise UnknownNameError("model", name, MODELS, see=see)
