"""A small VGG for 32 px and its depthwise separable twin: what factorized convolutions save, in textbook numbers."""

from __future__ import annotations

from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Stage


def rows() -> list[ModelSpec]:
    """The pair: 1,186,378 and 174,821 parameters with 10 classes."""
    return [_row("vgg_small", "conv"), _row("vgg_small_separable", "factorized")]


def _row(name: str, block: str) -> ModelSpec:
    """Three times two 3x3 convolutions and a maximum over 2x2 (the pattern of Table 1, arXiv:1409.1556)."""
    stages = []
    for channels in (64, 128, 256):
        stages.append(Stage(block=block, channels=channels, repeats=2, activation="relu", norm=False))
        stages.append(Stage(block="max_pool", channels=channels, stride=2, activation=None))
    return ModelSpec(
        name=name,
        family=name,
        width=1.0,
        resolution_px=32,
        stages=tuple(stages),
        preprocessing=MINUS_ONE_TO_ONE,
        dropout=0.2,
        pooling="flatten",
        num_classes=10,
    )
