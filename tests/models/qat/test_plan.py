"""`--qat`: from what a training starts, how long it lasts, and what does not go with it."""

import json
from pathlib import Path
from typing import Any

import keras
import pytest

from models.checkpoint import save_trained
from models.errors import UsageError, WeightsError
from models.qat.plan import check_name, plan_qat, qat_folder, train_command
from models.training.plan import Wishes
from models.zoo import MODELS

SPEC = MODELS["mobilenet_v1_0.25_128"]


def leave_training(folder: Path, *phases: dict[str, Any], **method: Any) -> None:
    """What a float training leaves, with another network in it."""
    folder.mkdir(parents=True)
    made = folder / "made.keras"
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)]).save(made)
    settings = {"phases": phases, "seed": 0, "method": method}
    record = {"model": SPEC.name, "dataset": {"name": "digits"}, "settings": json.loads(json.dumps(settings))}
    save_trained(made, folder, record)


def phase(size_px: int, epochs: int, shift: float = 0.125) -> dict[str, Any]:
    return {"resolution_px": size_px, "epochs": epochs, "shift": shift}


@pytest.mark.parametrize(("epochs", "expected"), [(3, 1), (14, 1), (29, 2), (100, 10)])
def test_it_lasts_a_tenth_of_the_float_epochs_on_pictures_of_full_size(
    tmp_path: Path, epochs: int, expected: int
) -> None:
    leave_training(tmp_path / f"{SPEC.name}-digits", phase(32, 50), phase(128, epochs))
    settings = plan_qat(SPEC, "digits", tmp_path, seed=3, wishes=Wishes())
    (own,) = settings.phases
    assert (own.epochs, own.resolution_px, own.shift, settings.seed) == (expected, 128, 0.125, 3)
    assert settings.quantization_aware
    assert settings.fine_tune == str(tmp_path / f"{SPEC.name}-digits" / "trained.keras")
    assert (settings.recipe, settings.method.mixed_precision) == ("qat", "off")


def test_wishes_stand_above_that(tmp_path: Path) -> None:
    leave_training(tmp_path / f"{SPEC.name}-digits", phase(128, 20))
    wishes = Wishes(epochs=7, batch=8, flip=True, learning_rate=1e-4)
    settings = plan_qat(SPEC, "digits", tmp_path, seed=0, wishes=wishes)
    (only,) = settings.phases
    assert (only.epochs, only.batch, only.learning_rate, settings.method.flip) == (7, 8, 1e-4, True)


@pytest.mark.parametrize(("flipped", "dataset"), [(True, "shapes"), (False, "shapes")])
def test_pictures_are_mirrored_as_they_were(tmp_path: Path, flipped: bool, dataset: str) -> None:
    leave_training(tmp_path / f"{SPEC.name}-shapes", phase(128, 20), flip=flipped)
    assert plan_qat(SPEC, dataset, tmp_path, seed=0, wishes=Wishes()).method.flip is flipped


def test_another_checkpoint_can_be_named(tmp_path: Path) -> None:
    leave_training(tmp_path / "elsewhere", phase(128, 20))
    path = tmp_path / "elsewhere" / "trained.keras"
    settings = plan_qat(SPEC, "digits", tmp_path, seed=0, wishes=Wishes(fine_tune=str(path)))
    assert (settings.fine_tune, settings.phases[0].epochs) == (str(path), 1)


def test_without_a_float_training_the_command_for_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as raised:
        plan_qat(SPEC, "shapes:test=100", tmp_path, seed=0, wishes=Wishes())
    assert str(raised.value) == (
        f"quantization-aware training starts from a trained network, and {tmp_path}/{SPEC.name}-shapes-test100 holds "
        f"none; train it with `make train MODEL={SPEC.name} DATASET=shapes:test=100`, or name a checkpoint with "
        "--fine-tune"
    )


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        (Wishes(recipe="scratch"), "--recipe scratch and --qat"),
        (Wishes(frozen_epochs=2), "--frozen-epochs 2 and --qat"),
        (Wishes(fine_tune="imagenet"), "--fine-tune imagenet and --qat"),
        (Wishes(mixed_precision="on"), "--mixed-precision on and --qat"),
        (Wishes(epochs=0), "--epochs 0: 1 to 1000000 is possible"),
        (Wishes(batch=0), "--batch-size 0: 1 to 1000000 is possible"),
    ],
)
def test_what_does_not_go_with_it_is_refused(tmp_path: Path, wishes: Wishes, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        plan_qat(SPEC, "digits", tmp_path, seed=0, wishes=wishes)
    assert message in str(raised.value)


def test_a_data_set_of_that_ending_is_refused() -> None:
    check_name("flowers")
    with pytest.raises(UsageError, match=r"data set flowers-qat would go where .* on flowers go; rename its folder$"):
        check_name("flowers-qat")


def test_its_folder_and_command() -> None:
    assert qat_folder(Path("build"), "m", "digits") == Path("build/m-digits-qat")
    assert train_command("m", "my pictures", qat=True) == "make train MODEL=m DATASET='my pictures' QAT=1"
    assert train_command("m", "digits", qat=False) == "make train MODEL=m"
