"""What a person reads of a baseline."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from device_bench.baseline.attempt import EngineOutcome
from device_bench.baseline.case import PHASES
from device_bench.baseline.plan import BaselineRequest
from device_bench.baseline.program.request import Settings
from device_bench.baseline.record import BaselineRecord
from device_bench.baseline.summary import Knee
from device_bench.baseline.tables import baseline_notes, baseline_table, baseline_title
from tests.device_bench.baseline import values


def text(record: BaselineRecord) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(baseline_title(record), soft_wrap=True)
    console.print(baseline_table(record))
    for note in baseline_notes(record, Path("record.json")):
        console.print(note, soft_wrap=True)
    return console.export_text()


def gpu_record(**changes: Any) -> BaselineRecord:
    """Two processes on a GPU, with copies."""
    state = {
        "name": "NVIDIA T4", "driver_version": "550.54", "slowed": False, "clock_reasons": ["idle"],
        "utilization": 0.0, "other_processes": 0,
    }  # fmt: skip
    state |= changes
    samples = {phase: (us, us, us) for phase, us in zip(PHASES, (1500.0, 200.0, 20.0, 1800.0), strict=True)}
    measured = values.measured()
    full = type(measured)(**{name: getattr(measured, name) for name in measured.__slots__} | {"samples_us": samples})
    telemetry = {when: {"gpu": state, "load_1min": 0.2} for when in ("before", "after")}
    run = values.attempt(
        case="onnxruntime-cuda-float32-b8", measured=full, placement=values.on_gpu(), telemetry=telemetry
    )
    record = values.record(
        cases=[values.case(engine="onnxruntime-cuda", batch=8)], attempts=[run, run],
        knees=[Knee(engine="onnxruntime-cuda", precision="float32", batch=8, images_per_s=5333.0, reason="flat")],
    )  # fmt: skip
    record.target = {**record.target, "gpu": state}
    return record


def test_a_gpu_s_row_has_its_three_numbers_and_the_knee() -> None:
    said = text(gpu_record())
    assert "GPU NVIDIA T4 (driver 550.54), CPU AMD EPYC" in said
    assert "measured on the CPU" not in said
    (row,) = [line for line in said.splitlines() if line.startswith("GPU ")]
    assert row.split() == [
        "GPU", "onnxruntime-cuda", "float32", "8", "1.50", "(1.50-1.50)", "0.200", "+", "0.020", "1.80", "(1.80-1.80)",
        "1.50", "0.900", "5.00", "5333", "knee",
    ]  # fmt: skip
    assert "knee of onnxruntime-cuda float32: batch 8, 5333 images/s; flat" in said


@pytest.mark.parametrize(
    ("changes", "doubt"),
    [
        ({"slowed": True, "clock_reasons": ["software power cap"]}, "slowed the GPU held its clocks back: soft"),
        ({"utilization": 0.4}, "shared others computed on the GPU"),
        ({"other_processes": 2}, "shared others computed on the GPU"),
    ],
)  # fmt: skip
def test_what_spoils_a_measurement_is_said(changes: dict[str, Any], doubt: str) -> None:
    assert doubt not in text(gpu_record())
    assert doubt in text(gpu_record(**changes))


def test_a_cpu_is_called_so_and_the_reasons_stand_below() -> None:
    passed_over = EngineOutcome(
        engine="onnxruntime-cuda", precision="float32", taken=False, reason="no driver", failure_kind="no_device",
        placement=None, versions={}, check=None,
    )  # fmt: skip
    record = values.record(cases=[values.case()], attempts=[values.attempt()] * 2, engines=[passed_over])
    said = text(record)
    assert "on this desktop, measured on the CPU: CPU AMD EPYC" in said
    assert "not measured onnxruntime-cuda float32: no driver" in said


def test_a_number_that_is_not_valid_is_not_shown() -> None:
    wrong = values.attempt(failure="wrong numbers: off", failure_kind="wrong")
    said = text(values.record(cases=[values.case()], attempts=[values.attempt(), values.attempt(), wrong]))
    (row,) = [line for line in said.splitlines() if "FAILED" in line]
    assert "0.1" not in row
    assert "failed onnxruntime-cpu-float32-b1: wrong numbers: off" in said


def test_names_from_drivers_cannot_steer_the_terminal() -> None:
    said = text(gpu_record(name="T4[bold]\x1b[31m\n[/]"))
    assert "T4[bold]" in said
    assert "\x1b" not in said


def test_a_request_without_engines_is_recorded_as_auto() -> None:
    request = BaselineRequest(
        engines=(), precisions=("float32",), batches=(), repeats=2, threads=1, gpu_index=None, seed=0,
        settings=Settings(),
    )  # fmt: skip
    assert request.to_json()["engines"] == ["auto"]
    assert request.to_json()["batches"] is None
