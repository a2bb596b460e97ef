"""A network that is no row of the zoo, so small that a real training of it takes seconds."""

import pytest

from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Stage


@pytest.fixture(scope="session")
def tiny() -> ModelSpec:
    """Every kind of block once, at 16 px, for the ten digits."""
    return ModelSpec(
        name="tiny_1.0_16",
        family="tiny",
        width=1.0,
        resolution_px=16,
        stages=(
            Stage(block="conv", channels=8, stride=2),
            Stage(block="separable", channels=16, stride=2),
            Stage(block="inverted_residual", channels=16, repeats=2, expansion=2),
            Stage(block="conv", channels=32, kernel=1),
        ),
        preprocessing=MINUS_ONE_TO_ONE,
        dropout=0.0,
        num_classes=10,
    )
