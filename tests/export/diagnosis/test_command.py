"""The command line: exit codes, files, and one line for each bad input."""

import json
import shutil
from pathlib import Path

import pytest

from export.artifact import MANIFEST_FILE
from tests.export.conftest import Cli
from tests.export.diagnosis.plants import FLOAT, INT8, Patient, dead_channel

MODEL = "mobilenet_v1_0.25_128"
FEW = ("--images", "60", "--layer-images", "4")


@pytest.fixture
def patient(healthy: Path, tmp_path: Path) -> Patient:
    return Patient(healthy, tmp_path / "build" / f"{MODEL}-digits")


def test_healthy_exits_with_0_and_leaves_page_and_json(run_script: Cli, patient: Patient, tmp_path: Path) -> None:
    run = run_script("-m", "export", "diagnose", MODEL, *FEW, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert "healthy" in run.stdout
    assert "Healthy" in (patient.folder / "diagnosis.html").read_text("utf-8")
    assert json.loads((patient.folder / "diagnosis.json").read_text("utf-8"))["healthy"] is True


def test_a_cause_exits_with_1_and_the_command_comes_last(run_script: Cli, patient: Patient, tmp_path: Path) -> None:
    dead_channel(patient)
    run = run_script("-m", "export", "diagnose", str(patient.folder), *FEW, cwd=tmp_path)
    assert run.returncode == 1, run.stderr
    assert "dead_channel  Channels are dead in the int8 file" in run.stdout
    assert run.stdout.splitlines()[-1] == f"next:  make export MODEL={MODEL}"


def test_json_is_what_the_file_holds(run_script: Cli, patient: Patient, tmp_path: Path) -> None:
    run = run_script("-m", "export", "diagnose", str(patient.folder), *FEW, "--json", cwd=tmp_path)
    assert json.loads(run.stdout) == json.loads((patient.folder / "diagnosis.json").read_text("utf-8"))


def refused(run_script: Cli, tmp_path: Path, *words: str) -> str:
    run = run_script("-m", "export", "diagnose", *words, cwd=tmp_path)
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    error = run.stderr.splitlines()[-1]
    assert error.startswith("error: ")
    return error.removeprefix("error: ")


def test_an_unknown_name_offers_the_nearest(run_script: Cli, tmp_path: Path) -> None:
    message = refused(run_script, tmp_path, "mobilenet_v1_0.25_12")
    assert message.startswith("unknown model 'mobilenet_v1_0.25_12'; did you mean ")
    assert "mobilenet_v1_0.25_128" in message


def test_a_network_without_export_names_the_command_that_makes_one(run_script: Cli, tmp_path: Path) -> None:
    message = refused(run_script, tmp_path, MODEL, "--dataset", "shapes")
    assert message.endswith(
        f"holds no export that can be read; make one with `make export MODEL={MODEL} DATASET=shapes`"
    )


def test_a_folder_that_does_not_exist_is_said(run_script: Cli, tmp_path: Path) -> None:
    message = refused(run_script, tmp_path, "build/nothing")
    assert message == "build/nothing is no folder; give the one that `make export` made, build/<model>-<weights>"


def test_a_missing_int8_file_names_the_command_that_makes_it(run_script: Cli, patient: Patient, tmp_path: Path) -> None:
    patient.path(INT8).unlink()
    message = refused(run_script, tmp_path, MODEL)
    assert "has no int8 TFLite file as its manifest describes it" in message
    assert message.endswith(f"make them with `make export MODEL={MODEL} PRECISION=float32,int8 FORMAT=tflite`")


def test_a_changed_file_counts_as_missing(run_script: Cli, patient: Patient, tmp_path: Path) -> None:
    patient.path(FLOAT).write_bytes(b"x" * 100)
    assert "has no float32 TFLite file" in refused(run_script, tmp_path, MODEL)


def test_a_damaged_manifest_is_no_export(run_script: Cli, patient: Patient, tmp_path: Path) -> None:
    (patient.folder / MANIFEST_FILE).write_text("{")
    assert "holds no export that can be read" in refused(run_script, tmp_path, MODEL)


def test_another_data_set_is_refused(run_script: Cli, patient: Patient, tmp_path: Path) -> None:
    patient.change(weights=dict(patient.manifest.weights) | {"dataset_sha256": "0" * 64})
    message = refused(run_script, tmp_path, str(patient.folder), *FEW)
    assert message.startswith("data set digits is not the one that ")
    assert message.endswith("was verified with; give that with --dataset")


def test_missing_class_names_are_said(run_script: Cli, patient: Patient, tmp_path: Path) -> None:
    (patient.folder / "labels.txt").unlink()
    message = refused(run_script, tmp_path, str(patient.folder))
    assert message.endswith("labels.txt cannot be read: No such file or directory; export again")
    shutil.rmtree(patient.folder)


@pytest.mark.parametrize("number", ["0", "-3", "many"])
def test_numbers_of_pictures_are_checked(run_script: Cli, tmp_path: Path, number: str) -> None:
    assert f"'{number}' is not a whole number from 1 up" in refused(run_script, tmp_path, MODEL, "--images", number)
