"""A healthy network gets a clean bill, and each planted fault its name, its evidence and a command."""

import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from export.artifact import Artifact, Verification, load_manifest
from export.diagnosis.examine import Sizes, diagnose
from export.diagnosis.subject import open_subject
from export.diagnosis.values import Diagnosis
from export.precision import PRECISIONS
from export.quantization.settings import DEFAULTS, NAIVE, RANGE_METHODS, RangeMethod
from export.quantize import quantize_tflite
from models.files import sha256_file
from tests.export.conftest import Exported
from tests.export.diagnosis.conftest import examine
from tests.export.diagnosis.plants import (
    PLANTS,
    Patient,
    dark_pictures,
    dead_channel,
    names_off_by_one,
    noise,
    noise_calibration,
    outputs_swapped,
    recalibrate,
    wrong_preprocessing,
)

ROOT = Path(__file__).parent.parent.parent.parent


# Each takes some eight seconds: by default one of every kind.
USUAL = (noise_calibration, wrong_preprocessing, dead_channel, dark_pictures, names_off_by_one, outputs_swapped)


@pytest.mark.parametrize(
    "plant", [pytest.param(p, marks=() if p in USUAL else pytest.mark.slow, id=p.__name__) for p in PLANTS]
)
def test_each_planted_fault_is_the_only_one_named(
    healthy: Path, tmp_path: Path, plant: Callable[[Patient], None]
) -> None:
    patient = Patient(healthy, tmp_path / "patient")
    plant(patient)
    found = examine(patient.folder)
    assert [finding.cause for finding in found.findings] == [PLANTS[plant]]
    (finding,) = found.findings
    assert finding.evidence
    assert any(character.isdigit() for fact in finding.evidence for character in fact)
    assert not found.healthy
    words = shlex.split(finding.command)
    assert words[:1] == ["make"]
    assert words[1] in ("export", "train")
    assert "MODEL=mobilenet_v1_0.25_128" in words


def test_commands_use_variables_that_make_knows() -> None:
    makefile = (ROOT / "Makefile").read_text()
    given = makefile[makefile.index("GIVEN :=") : makefile.index("$(foreach name,$(GIVEN)")].split()
    for name in ("MODEL", "DATASET", "WEIGHTS", "PREPROCESSING", "CALIBRATION_IMAGES", "PRECISION", "OUTPUT", "LABELS"):
        assert name in given


def test_healthy_digits_network_gets_a_clean_bill(healthy_diagnosis: Diagnosis) -> None:
    assert healthy_diagnosis.findings == ()
    assert healthy_diagnosis.healthy
    assert healthy_diagnosis.calibration.known
    assert healthy_diagnosis.unmatched == ()


def test_accuracy_is_that_of_the_export_own_verification(full: Exported) -> None:
    manifest = load_manifest(full.folder)
    assert manifest is not None
    artifacts = {a.precision: a for a in manifest.artifacts if a.format == "tflite"}

    def verified(artifact: Artifact) -> Verification:
        assert artifact.verification is not None
        return artifact.verification

    accuracy = examine(full.folder, Sizes(test=1000, layers=1)).accuracy
    assert accuracy.images == verified(artifacts["int8"]).images
    assert accuracy.int8_top1 == pytest.approx(verified(artifacts["int8"]).top1)
    assert accuracy.float_top1 == pytest.approx(verified(artifacts["float32"]).top1)


def test_every_kernel_and_every_computed_tensor_is_read_and_ranked(healthy_diagnosis: Diagnosis) -> None:
    kernels = [reading.sqnr_db for reading in healthy_diagnosis.weights_read]
    assert len(kernels) == 28
    assert kernels == sorted(kernels, key=lambda value: np.inf if value is None else value)
    assert min(value for value in kernels if value is not None) > 35
    losses = [reading.loss_db for reading in healthy_diagnosis.activations]
    assert len(losses) == 30
    known = [loss for loss in losses if loss is not None]
    assert known == sorted(known, reverse=True)
    names = {reading.name for reading in healthy_diagnosis.activations}
    assert {"conv_1", "pool", "classifier", "probabilities"} <= names


def test_a_dead_channel_is_named_with_its_layer_and_number(healthy: Path, tmp_path: Path) -> None:
    patient = Patient(healthy, tmp_path / "patient")
    dead_channel(patient)
    (finding,) = examine(patient.folder).findings
    assert finding.layers[0] == "separable_3_project"
    assert finding.evidence[0] == "separable_3_project: channel 7 of 32 never changes in the int8 file"


# The default's is planted above; each other one takes ten seconds.
@pytest.mark.parametrize("method", [pytest.param(m, marks=pytest.mark.slow) for m in RANGE_METHODS if m != "mse"])
def test_noise_and_health_are_told_apart_by_the_method_on_record(
    method: RangeMethod, healthy: Path, tmp_path: Path
) -> None:
    patient = Patient(healthy, tmp_path / "patient")
    settings = replace(DEFAULTS, ranges=method)
    recalibrate(patient, settings)
    (guess,) = examine(patient.folder).guesses
    assert (guess.kind, guess.differing) == ("pictures", 0)
    assert guess.distance < 0.001
    patient.quantize(patient.ranges(noise(), settings=settings))
    assert [finding.cause for finding in examine(patient.folder).findings] == ["noise_calibration"]


def test_ranges_of_16_bits_are_explained_by_the_pictures_too(full: Exported, tmp_path: Path) -> None:
    patient = Patient(full.folder, tmp_path / "patient")
    wide = PRECISIONS["tflite", "int16x8"]
    record = patient.manifest.calibration
    ranges = patient.ranges(patient.pictures(record["images"]), settings=NAIVE)
    content = quantize_tflite(patient.float_file, wide, ranges)
    artifact = next(a for a in patient.manifest.artifacts if a.precision == "int8" and a.format == "tflite")
    path = patient.path(wide)
    path.write_bytes(content)
    added = replace(artifact, file=path.name, precision="int16x8", sha256=sha256_file(path))
    patient.change(artifacts=(*patient.manifest.artifacts, added))
    found = diagnose(lambda _: None, open_subject(patient.folder, "int16x8", None), Sizes(test=60, layers=4))
    (guess,) = found.guesses
    assert guess.kind == "pictures"
    assert guess.distance < 0.001
    assert found.healthy


def test_noise_explains_the_ranges_better_than_the_pictures_do(healthy: Path, tmp_path: Path) -> None:
    patient = Patient(healthy, tmp_path / "patient")
    noise_calibration(patient)
    guesses = examine(patient.folder).guesses
    assert guesses[0].kind == "noise"
    assert guesses[0].distance < 0.1
    assert next(guess.distance for guess in guesses if guess.kind == "pictures") > 2 * guesses[0].distance


def test_the_pictures_on_record_give_the_stored_ranges(healthy_diagnosis: Diagnosis) -> None:
    (guess,) = healthy_diagnosis.guesses
    assert healthy_diagnosis.calibration.exact
    assert (guess.kind, guess.differing) == ("pictures", 0)
    assert guess.distance < 0.001
