"""A network that is no row of the zoo and a data set, so small that a real training takes seconds."""

from dataclasses import replace

import pytest

from models.data import Dataset, load_digits, stratified_split
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


@pytest.fixture(scope="session")
def least() -> ModelSpec:
    """One of everything that learns, at 16 px, for the ten digits: what is traced in a second or two."""
    return ModelSpec(
        name="least_1.0_16",
        family="least",
        width=1.0,
        resolution_px=16,
        stages=(Stage(block="conv", channels=8, stride=4),),
        preprocessing=MINUS_ONE_TO_ONE,
        dropout=0.2,
        num_classes=10,
    )


@pytest.fixture(scope="session")
def few() -> Dataset:
    """100 digits."""
    digits = load_digits()
    splits = stratified_split(digits.classes[:100], validation=0.2, test=0.2, seed=0)
    return replace(
        digits, images=tuple(digits.images[i] for i in range(100)), classes=digits.classes[:100], splits=splits
    )
