"""Networks of a few layers, that have together every kind of layer of the zoo, with random weights."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import keras

from models.build import build
from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Stage
from tests.models.random_networks import randomise

SIDE_PX = 16


def spec(name: str, *stages: Stage, **more: object) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="small",
        width=1.0,
        resolution_px=SIDE_PX,
        stages=stages,
        preprocessing=MINUS_ONE_TO_ONE,
        dropout=0.0,
        num_classes=10,
        **more,  # type: ignore[arg-type]
    )


_FIRST = Stage(block="conv", channels=16, stride=2)
LEAST = spec("least", _FIRST)
"""What is traced in a second or two."""
SPECS: Mapping[str, ModelSpec] = MappingProxyType(
    {
        row.name: row
        for row in (
            spec("v1", _FIRST, Stage(block="separable", channels=24, stride=2), Stage(block="separable", channels=32)),
            spec("v2", _FIRST, Stage(block="inverted_residual", channels=16, repeats=3, expansion=2)),
            spec(
                "v3",
                Stage(block="conv", channels=16, stride=2, activation="hard_swish"),
                Stage(block="inverted_residual", channels=16, expansion=2, squeeze_excite=0.25, activation="relu"),
                Stage(
                    block="inverted_residual",
                    channels=16,
                    expansion=3,
                    kernel=5,
                    squeeze_excite=0.25,
                    activation="hard_swish",
                ),
                head=(Stage(block="dense", channels=32, norm=False, activation="hard_swish"),),
            ),
            spec(
                "v4",
                Stage(block="conv", channels=16, stride=2, activation="relu"),
                Stage(block="fused_inverted_residual", channels=16, expansion=2, activation="relu"),
                Stage(
                    block="universal_inverted_bottleneck",
                    channels=16,
                    repeats=2,
                    expansion=2,
                    start_kernel=5,
                    activation="relu",
                ),
            ),
            spec(
                "vgg",
                Stage(block="factorized", channels=16, norm=False, activation="relu"),
                Stage(block="max_pool", channels=16, stride=2),
                Stage(block="conv", channels=16, norm=False, activation="relu"),
                Stage(block="max_pool", channels=16, stride=2),
                pooling="flatten",
            ),
        )
    }
)


@cache
def random_network(given: ModelSpec) -> keras.Model:
    """With random weights and statistics, the same in every run; not to be changed."""
    keras.utils.set_random_seed(5)
    model = build(given)
    randomise(model, given.resolution_px)
    return model
