"""`run`: what a person is told to type next."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from export.commands.run import diagnosis_command
from export.request import ExportRequest
from models.zoo import lookup

NAME = "vgg_small"


def request(dataset: str, weights: str, build_dir: str) -> ExportRequest:
    return ExportRequest(
        spec=lookup(NAME), dataset=dataset, weights=weights, precisions=(), calibration_images=None, seed=0,
        output="probabilities", build_dir=Path(build_dir),
    )  # fmt: skip


def artifacts(**passed: bool) -> Any:
    return [SimpleNamespace(format="tflite", precision=name, passed=good) for name, good in passed.items()]


@pytest.mark.parametrize(
    ("files", "dataset", "weights", "command"),
    [
        (artifacts(float32=True, int8=False), "digits", "auto", "make diagnose MODEL=vgg_small"),
        (
            artifacts(int8=False, int8_npu=False),
            "allow-broken:my pictures",
            "qat",
            "make diagnose MODEL=vgg_small WEIGHTS=qat 'DATASET=allow-broken:my pictures'",
        ),
        (artifacts(int8=True, int8_npu=False), "digits", "auto", "make diagnose MODEL=vgg_small PRECISION=int8_npu"),
    ],
)
def test_a_failed_integer_file_comes_with_the_command_that_finds_out_why(
    files: Any, dataset: str, weights: str, command: str
) -> None:
    assert diagnosis_command(files, NAME, request(dataset, weights, "build")) == command


@pytest.mark.parametrize(
    ("files", "build_dir"), [(artifacts(float16=False, int8=True), "build"), (artifacts(int8=False), "elsewhere")]
)
def test_no_command_is_offered_that_would_not_help(files: Any, build_dir: str) -> None:
    assert diagnosis_command(files, NAME, request("digits", "auto", build_dir)) is None
