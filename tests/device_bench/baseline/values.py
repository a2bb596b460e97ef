"""Values of a baseline, valid unless a test says otherwise."""

from __future__ import annotations

from typing import Any

from device_bench.baseline.attempt import Attempt
from device_bench.baseline.case import PHASES, BaselineCase, Measured, Placement
from device_bench.baseline.record import BaselineRecord
from device_bench.measuring.correctness import OutputCheck


def placement(**changes: Any) -> Placement:
    values: dict[str, Any] = {
        "accelerator": "cpu", "device": "CPUExecutionProvider", "whole": True, "nodes": {"CPUExecutionProvider": 3},
        "evidence": "profile of one run: 3 of 3 nodes",
    }  # fmt: skip
    return Placement(**values | changes)


def on_gpu(**changes: Any) -> Placement:
    return placement(
        **{"accelerator": "gpu", "device": "CUDAExecutionProvider", "nodes": {"CUDAExecutionProvider": 3}} | changes
    )


def measured(compute_us: float | None = 100.0, end_to_end_us: float = 120.0) -> Measured:
    rows = {"compute": compute_us, "end_to_end": end_to_end_us}
    samples: dict[str, tuple[float, ...] | None] = {}
    for phase in PHASES:
        middle = rows.get(phase)
        samples[phase] = None if middle is None else (middle - 1, middle, middle + 1)
    return Measured(
        init_us=5000.0, first_us=900.0, warmup_us=(300.0, 120.0), steady=True, samples_us=samples,
        peak_rss_bytes=10**8, versions={"onnxruntime": "1.31.1"}, parameters={"threads": 2},
        missing={"copy_in": "no device", "copy_out": "no device"},
    )  # fmt: skip


def case(**changes: Any) -> BaselineCase:
    values: dict[str, Any] = {"engine": "onnxruntime-cpu", "precision": "float32", "batch": 1, "threads": 2}
    return BaselineCase(**values | changes)


def attempt(**changes: Any) -> Attempt:
    values: dict[str, Any] = {
        "case": case().name, "kind": "latency", "round": 0, "started": "2026-11-21T12:00:00Z", "argv": ("python",),
        "environment": {}, "exit_code": 0, "wall_s": 1.0, "placement": placement(), "measured": measured(),
        "failure": None, "failure_kind": None,
        "telemetry": {"before": {"gpu": None, "load_1min": 0.1}, "after": {"gpu": None, "load_1min": 0.1}},
    }  # fmt: skip
    return Attempt(**values | changes)


def check(failure: str | None = None) -> OutputCheck:
    return OutputCheck(
        images=8, kernels="onnxruntime", max_abs_error=1e-6, equal=0.5, top1_agreement=1.0, limit=1e-3, reason="",
        failure=failure,
    )  # fmt: skip


def record(**changes: Any) -> BaselineRecord:
    values: dict[str, Any] = {
        "started": "2026-11-21T12:00:00Z", "model": {"name": "mobilenet_v2_1.4", "weights": "digits"},
        "target": {
            "kind": "local", "identity": "0123456789abcdef", "gpu": None, "gpu_missing": "no nvidia-smi",
            "cpus": {"usable": [{}, {}]},
            "facts": {"cpu_name": "AMD EPYC", "machine": "x86_64", "os_name": "Debian", "os_release": "12"},
        },
        "tool": {"version": "1"}, "request": {"engines": ["auto"]}, "repeats": 2,
    }  # fmt: skip
    return BaselineRecord(**values | changes)
