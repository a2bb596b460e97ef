"""Whether float files are equalized where nothing is to be measured."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from export.artifact import Manifest, save_manifest
from export.describe import tool_versions
from export.float_settings import float_settings
from export.precision import PRECISIONS
from export.quantization.decision import Decision
from export.quantization.settings import DEFAULTS, QuantizationSettings
from export.request import ExportRequest
from export.stages import Prepared

if TYPE_CHECKING:
    from tests.export.conftest import Network

FLOAT32, INT8 = (PRECISIONS["tflite", name] for name in ("float32", "int8"))
PREPARED = Prepared(
    dataset="digits", labels=("a",), dataset_sha256="", calibration_images=128, calibration_sha256="c" * 64
)
TAKEN = Decision(groups=3, sqnr_db=15.0, equalized_sqnr_db=30.0)
LEFT = Decision(groups=3, sqnr_db=30.0, equalized_sqnr_db=30.1)


def settings_for(
    trained: "Network", folder: Path, *, wanted: QuantizationSettings = DEFAULTS, **changes: Any
) -> tuple[QuantizationSettings, Decision | None]:
    request = ExportRequest(
        spec=trained.spec, dataset="digits", weights="auto", precisions=(FLOAT32,), calibration_images=None, seed=0,
        output="logits", build_dir=folder, quantization=wanted,
    )  # fmt: skip
    return float_settings(replace(request, **changes), folder, trained.weights, PREPARED)


def record(trained: "Network", folder: Path, calibration: Mapping[str, Any], tools: Mapping[str, str]) -> None:
    made = {"images": 128, "seed": 0, "sha256": "c" * 64, **DEFAULTS.to_json(), **calibration}
    manifest = Manifest(
        model={}, weights={"sha256": trained.weights.sha256}, preprocessing={}, labels={}, calibration=made,
        tools=tools, artifacts=(), failures={},
    )  # fmt: skip
    save_manifest(folder, manifest)


def test_with_8_bit_files_it_is_measured(trained: "Network", tmp_path: Path) -> None:
    assert settings_for(trained, tmp_path, precisions=(FLOAT32, INT8)) == (DEFAULTS, None)


@pytest.mark.parametrize("word", [True, False])
def test_what_is_asked_for_is_done(word: bool, trained: "Network", tmp_path: Path) -> None:
    wanted = replace(DEFAULTS, equalize=word)
    assert settings_for(trained, tmp_path, wanted=wanted) == (wanted, None)


def test_the_ladder_begins_with_the_network_as_it_is(trained: "Network", tmp_path: Path) -> None:
    found, known = settings_for(trained, tmp_path, precisions=(INT8,), max_drop=0.01)
    assert (found.equalize, known) == (False, None)


def test_float_files_alone_are_those_of_the_network(trained: "Network", tmp_path: Path) -> None:
    found, known = settings_for(trained, tmp_path)
    assert (found.equalize, known) == (False, None)


@pytest.mark.parametrize("decision", [TAKEN, LEFT])
def test_float_files_follow_the_8_bit_files_in_the_folder(
    decision: Decision, trained: "Network", tmp_path: Path
) -> None:
    record(trained, tmp_path, {"equalized": decision.to_json()}, tool_versions())
    found, known = settings_for(trained, tmp_path)
    assert (found.equalize, known) == (decision.taken, decision)


@pytest.mark.parametrize(
    "calibration",
    [
        {"seed": 1},
        {"images": 64},
        {"sha256": "d" * 64},
        {"ranges": "min-max"},
        {"equalized": {**TAKEN.to_json(), "taken": False}},
        {"equalized": 5},
    ],
)
def test_a_record_of_something_else_or_forged_is_not_followed(
    calibration: dict[str, Any], trained: "Network", tmp_path: Path
) -> None:
    record(trained, tmp_path, {"equalized": TAKEN.to_json(), **calibration}, tool_versions())
    found, known = settings_for(trained, tmp_path)
    assert (found.equalize, known) == (False, None)


def test_a_record_of_other_programs_is_not_followed(trained: "Network", tmp_path: Path) -> None:
    record(trained, tmp_path, {"equalized": TAKEN.to_json()}, {"this program": "sha256 0"})
    assert settings_for(trained, tmp_path)[1] is None
