"""What a finished training suggests: only where it can be done, and may help."""

from typing import Any

import pytest

from models.training.advice import suggest_start


def record(**changes: Any) -> dict[str, Any]:
    values = {"model": "mobilenet_v2_0.35_96", "pictures": 999, "top1": 0.799, "fine_tune": None} | changes
    return {
        "model": values["model"],
        "dataset": {"images": {"train": values["pictures"], "validation": 100, "test": 200}},
        "accuracy": {"test_top1": values["top1"]},
        "settings": {"fine_tune": values["fine_tune"]},
    }


def test_few_pictures_learned_badly_from_scratch_suggest_imagenets_weights() -> None:
    assert suggest_start(record(), "my pictures") == (
        "999 pictures are few to learn everything from; with ImageNet's weights as the start: make train "
        "MODEL=mobilenet_v2_0.35_96 DATASET='my pictures' FINE_TUNE=imagenet"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"pictures": 1000},
        {"top1": 0.8},
        {"fine_tune": "imagenet"},
        {"fine_tune": "build/x/trained.keras"},
        {"model": "vgg_small"},
        {"model": "mobilenet_v3_small_1.0_96"},
    ],
    ids=str,
)
def test_nothing_is_suggested_where_it_would_not_help_or_cannot_be_done(changes: dict[str, Any]) -> None:
    assert suggest_start(record(**changes), "pictures") is None
