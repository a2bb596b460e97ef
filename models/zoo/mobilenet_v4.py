"""MobileNetV4 (arXiv:2404.10518), its three networks of convolutions only.

The tables are those of the paper's appendix as the authors' release has them (tensorflow/models
official/vision/modeling/backbones/mobilenet.py). No weights were released, so that the input range is free; one mean
and one deviation for all channels is what integer inputs can express.
"""

from __future__ import annotations

from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Published, Stage

PAPER = "arXiv:2404.10518"


def _conv(kernel: int, stride: int, channels: int) -> Stage:
    return Stage(block="conv", channels=channels, stride=stride, kernel=kernel, activation="relu")


def _fused(channels: int) -> Stage:
    return Stage(block="fused_inverted_residual", channels=channels, stride=2, expansion=4, activation="relu")


def _uib(channels: int, stride: int, *kernels_and_expansions: tuple[int, int, float]) -> tuple[Stage, ...]:
    """Blocks of equal channels, the first with the stride; each is (start kernel, middle kernel, expansion)."""
    return tuple(
        Stage(
            block="universal_inverted_bottleneck", channels=channels, stride=stride if number == 0 else 1,
            start_kernel=start, kernel=middle, expansion=expansion, activation="relu",
        )
        for number, (start, middle, expansion) in enumerate(kernels_and_expansions)
    )  # fmt: skip


SMALL = (
    _conv(3, 2, 32),
    _conv(3, 2, 32),
    _conv(1, 1, 32),
    _conv(3, 2, 96),
    _conv(1, 1, 64),
    *_uib(96, 2, (5, 5, 3), (0, 3, 2), (0, 3, 2), (0, 3, 2), (0, 3, 2), (3, 0, 4)),
    *_uib(128, 2, (3, 3, 6), (5, 5, 4), (0, 5, 4), (0, 5, 3), (0, 3, 4), (0, 3, 4)),
    _conv(1, 1, 960),
)
MEDIUM = (
    _conv(3, 2, 32),
    _fused(48),
    *_uib(80, 2, (3, 5, 4), (3, 3, 2)),
    *_uib(160, 2, (3, 5, 6), (3, 3, 4), (3, 3, 4), (3, 5, 4), (3, 3, 4), (3, 0, 4), (0, 0, 2), (3, 0, 4)),
    *_uib(
        256, 2, (5, 5, 6), (5, 5, 4), (3, 5, 4), (3, 5, 4), (0, 0, 4), (3, 0, 4), (3, 5, 2), (5, 5, 4), (0, 0, 4),
        (0, 0, 4), (5, 0, 2),
    ),
    _conv(1, 1, 960),
)  # fmt: skip
LARGE = (
    _conv(3, 2, 24),
    _fused(48),
    *_uib(96, 2, (3, 5, 4), (3, 3, 4)),
    *_uib(192, 2, (3, 5, 4), *[(3, 3, 4)] * 3, (3, 5, 4), *[(5, 3, 4)] * 5, (3, 0, 4)),
    *_uib(
        512, 2, *[(5, 5, 4)] * 4, (5, 0, 4), (5, 3, 4), (5, 0, 4), (5, 0, 4), (5, 3, 4), (5, 5, 4), *[(5, 0, 4)] * 3
    ),
    _conv(1, 1, 960),
)  # fmt: skip


def rows() -> list[ModelSpec]:
    """The three, each at the resolution of its row in the paper's table of ImageNet results (Table 5)."""
    return [
        _row("small", SMALL, 224, Published(source=PAPER, mult_adds=0.2e9, parameters=3.8e6, top1=0.738)),
        _row("medium", MEDIUM, 256, Published(source=PAPER, mult_adds=1.0e9, parameters=9.2e6, top1=0.799)),
        _row("large", LARGE, 384, Published(source=PAPER, mult_adds=5.9e9, parameters=31e6, top1=0.829)),
    ]


def _row(size: str, stages: tuple[Stage, ...], resolution_px: int, published: Published) -> ModelSpec:
    name = f"mobilenet_v4_conv_{size}"
    return ModelSpec(
        name=name,
        family=name,
        width=1.0,
        resolution_px=resolution_px,
        stages=stages,
        preprocessing=MINUS_ONE_TO_ONE,
        dropout=0.2,
        head=(Stage(block="dense", channels=1280, activation="relu"),),
        published=published,
    )
