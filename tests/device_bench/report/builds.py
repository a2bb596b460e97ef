"""Build folders as export, bench and baseline leave them, made of their own values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_bench.baseline.record import BaselineRecord
from device_bench.case import Case
from device_bench.measuring.attempt import Attempt
from device_bench.measuring.plan import Job
from device_bench.measuring.record import BenchRecord
from device_bench.op_profile import OpProfile, ProfiledNode, ProfiledType
from device_bench.record_file import save_record
from device_bench.report.assemble import make_report
from device_bench.report.collect import collect
from device_bench.report.values import Report
from device_bench.result import Delegation, LatencySummary, Measured, MemoryUse, RunnerOutput
from device_bench.state.android_text import Temperature
from device_bench.state.telemetry import Telemetry
from export.artifact import Artifact, Check, Manifest, Verification, save_manifest
from export.contents import TensorInfo
from tests.device_bench.baseline import values as baselines
from tests.device_bench.cases import NODES, make_case, make_model, make_plan

MODEL = "mobilenet_v2_1.4"
SIZES = {"float32": 17_000_000, "float16": 8_700_000, "int8": 4_300_000}
TOP1 = {"float32": 0.98, "float16": 0.98, "int8": 0.97}
LATENCY_US = {"float32": 40_000.0, "float16": 39_000.0, "int8": 15_000.0}


def content(model: str, precision: str) -> bytes:
    return f"{model} {precision}".encode()


def sha256(model: str, precision: str) -> str:
    return hashlib.sha256(content(model, precision)).hexdigest()


def folder_of(build: Path, model: str = MODEL) -> Path:
    folder = build / f"{model.replace('/', '_')[:80]}-digits"
    for name in ("bench", "baseline"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    return folder


def add_export(build: Path, model: str = MODEL, precisions: Sequence[str] = tuple(SIZES), **changes: Any) -> Manifest:
    folder = folder_of(build, model)
    artifacts = []
    for precision in precisions:
        file = f"mobilenet-{precision}.tflite"
        (folder / file).write_bytes(content(model, precision))
        artifacts.append(make_artifact(model, precision, file))
    value: dict[str, Any] = {
        "model": {"name": model, "resolution_px": 224, "parameters": 4_333_706, "mult_adds": 580_421_744},
        "weights": {"source": "digits", "sha256": "a" * 64}, "preprocessing": {}, "labels": {}, "calibration": {},
        "tools": {}, "artifacts": tuple(artifacts), "failures": {},
    }  # fmt: skip
    manifest = Manifest(**value | changes)
    save_manifest(folder, manifest)
    return manifest


def make_artifact(model: str, precision: str, file: str, *, passed: bool = True) -> Artifact:
    info = TensorInfo(name="image", dtype="uint8", shape=(1, 224, 224, 3), scale=None, zero_point=None)
    check = Check(name="top1_drop", value=0.2, limit=0.02, passed=passed, detail="")
    verification = Verification(
        images=1000, top1=TOP1[precision], top1_drop=0.98 - TOP1[precision], top1_drop_ci95=(-0.002, 0.012),
        top1_agreement=0.99, max_abs_error=0.01, builtin_error=0.0, checks=(check,), reason="",
    )  # fmt: skip
    return Artifact(
        file=file, format="tflite", precision=precision, size_bytes=SIZES[precision], sha256=sha256(model, precision),
        source_sha256="", input=info, output=info, operators={"CONV_2D": 35, "ADD": 10}, weights={},
        verification=verification, failure=None,
    )  # fmt: skip


def make_target(name: str = "Pixel 8", *, identity: str = "1f0c9a2b" * 2, **changes: Any) -> dict[str, Any]:
    facts = {
        "manufacturer": "Google", "model": name, "cpu_name": "Cortex-X3", "machine": "aarch64", "os_name": "Android",
        "os_release": "15", "soc_manufacturer": "Google", "soc_model": "Tensor G3", "is_emulator": False,
        "memory_total_bytes": 8 * 2**30,
    }  # fmt: skip
    return {"kind": changes.pop("kind", "adb"), "identity": identity, "facts": facts | changes}


def look(celsius: float | None = 31.0) -> dict[str, Any]:
    temperatures = None if celsius is None else (Temperature(name="skin", kind="skin", celsius=celsius),)
    missing = {} if temperatures else {"temperatures": "no sensor here"}
    return Telemetry(
        thermal_status=0, temperatures=temperatures, battery_c=30.0, battery_level=0.9, battery_status="charging",
        plugged=("usb",), screen_on=False, battery_saver=False, clocks=(), load_1min=0.1, missing=missing,
    ).to_json()  # fmt: skip


def make_profile(*names: str) -> OpProfile:
    share = 1 / len(names)
    types = tuple(
        ProfiledType(node_type=name, nodes=2, mean_us=1000.0, share=share, peak_rss_growth_bytes=0, calls=1.0)
        for name in names
    )
    node = ProfiledNode(
        node_type=names[0], name="n", first_us=1.0, mean_us=1.0, share=1.0, peak_rss_growth_bytes=0, calls=1.0
    )
    return OpProfile(
        phase="inference", graph=None, nodes=(node,), types=types, runs=50, mean_us=2000.0, missing={"graph": "none"}
    )


def make_output(
    median_us: float,
    *,
    samples: bool = True,
    p95: bool = True,
    profile: OpProfile | None = None,
    delegate: str = "xnnpack",
) -> RunnerOutput:
    runs = tuple(median_us * (1 + 0.002 * (turn % 7 - 3)) for turn in range(35))
    missing = {} if p95 else {"p95_us": "this build prints no percentiles"}
    latency = LatencySummary(
        runs=35, mean_us=median_us, min_us=median_us * 0.99, max_us=median_us * 1.1, std_us=3.0,
        p5_us=median_us * 0.995, median_us=median_us, p95_us=median_us * 1.05 if p95 else None, missing=missing,
    )  # fmt: skip
    memory = MemoryUse(
        init_peak_rss_growth_bytes=1, peak_rss_growth_bytes=2, peak_rss_bytes=50 * 2**20, end_rss_bytes=4, missing={}
    )
    return RunnerOutput(
        flavour="classic", version="2.19", parameters=(), warnings=(),
        measured=Measured(
            init_us=5000.0, first_us=median_us * 2, warmup=latency, latency=latency, memory=memory,
            samples_us=runs if samples else None, missing={} if samples else {"samples_us": "not printed"},
        ),
        delegations=(
            Delegation(
                delegate=delegate, verdict="partial", nodes=60, nodes_total=66, kernels=1, backend=None, evidence=(),
                missing={"backend": NODES["backend"]},
            ),
        ),
        profiles=None if profile is None else (profile,),
        missing={} if profile else {"profiles": "not asked for"},
    )  # fmt: skip


def make_attempt(case: Case, kind: str, turn: int, output: RunnerOutput | None, **changes: Any) -> Attempt:
    value: dict[str, Any] = {
        "job": Job(case=case.name, kind=kind, round=turn), "number": 1,  # type: ignore[arg-type]
        "started": f"2026-11-21T12:{turn:02d}:00Z", "argv": ("benchmark_model",), "environment": {},
        "allowed_cpus": None, "exit_code": 0, "wall_s": 2.0, "harness_s": 0.1, "raw": "x", "output": output,
        "failure": None, "transient": False, "elsewhere": False, "throttled": (), "gate": "cool",
        "telemetry": {"before": look(31.0 + turn), "after": look(31.5 + turn)},
    }  # fmt: skip
    return Attempt(**value | changes)


def cases_of(model: str, precisions: Sequence[str] = tuple(SIZES), **changes: Any) -> tuple[Case, ...]:
    return tuple(
        make_case(
            precision,
            model=make_model(
                precision,
                file=f"mobilenet-{precision}.tflite",
                sha256=sha256(model, precision),
                size_bytes=SIZES[precision],
            ),
            **changes,
        )
        for precision in precisions
    )


def attempts_of(case: Case, factor: float = 1.0, rounds: int = 5, **output: Any) -> list[Attempt]:
    base = LATENCY_US[case.model.precision] * factor
    profile = make_profile("Convolution (NHWC, QS8) IGEMM", "SOFTMAX")
    timed = [
        make_attempt(case, "latency", turn, make_output(base * (1 + 0.01 * (turn % 3)), **output))
        for turn in range(rounds)
    ]
    return [
        *timed,
        make_attempt(case, "memory", 0, make_output(base, **output)),
        make_attempt(case, "profile", 0, make_output(base, profile=profile)),
    ]


def make_bench(cases: Sequence[Case], attempts: Sequence[Attempt], model: str = MODEL, **changes: Any) -> BenchRecord:
    value: dict[str, Any] = {
        "started": "2026-11-21T12:00:00Z", "finished": "2026-11-21T12:30:00Z", "target": make_target(),
        "model": {"name": model, "weights": "digits", "weights_sha256": "a" * 64, "resolution_px": 224, "tools": {}},
        "tool": {}, "runners": ({"name": "classic", "versions": {}, "sha256": "f" * 64},),
        "plan": make_plan(*cases), "attempts": list(attempts),
    }  # fmt: skip
    return BenchRecord(**value | changes)


def int8_bench(*, rounds: int = 5, p95: bool = True, **changes: Any) -> BenchRecord:
    """A benchmark of the int8 file alone."""
    cases = cases_of(MODEL, ["int8"])
    return make_bench(cases, attempts_of(cases[0], rounds=rounds, p95=p95), **changes)


def add_bench(build: Path, record: BenchRecord | None = None, name: str = "one") -> BenchRecord:
    if record is None:
        cases = cases_of(MODEL)
        record = make_bench(cases, [a for case in cases for a in attempts_of(case)])
    save_record(folder_of(build, str(record.model["name"])) / "bench" / f"{name}.json", record)
    return record


def add_baseline(
    build: Path, *, gpu: bool = True, model: str = MODEL, name: str = "one", failure: str | None = None, **changes: Any
) -> BaselineRecord:
    """Five processes; with a failure, each of them has it."""
    place = baselines.on_gpu() if gpu else baselines.placement()
    engine = "onnxruntime-cuda" if gpu else "onnxruntime-cpu"
    case = baselines.case(engine=engine)
    attempts = [
        baselines.attempt(
            case=case.name,
            round=turn,
            placement=place,
            measured=baselines.measured(2000.0 + turn, 2500.0),
            failure=failure,
        )
        for turn in range(5)
    ]
    origin = changes.pop("origin", {"name": model, "weights": "digits", "weights_sha256": "a" * 64})
    value = {"cases": [case], "attempts": attempts, "repeats": 5, "model": origin, "finished": "2026-11-21T12:20:00Z"}
    record = baselines.record(**value | changes)
    record.target = {**record.target, "gpu": {"name": "NVIDIA T4", "driver_version": "570"} if gpu else None}
    save_record(folder_of(build, model) / "baseline" / f"{name}.json", record)
    return record


def full_build(build: Path) -> Path:
    """An export, a phone, and a GPU."""
    add_export(build)
    add_bench(build)
    add_baseline(build)
    return build


def report_of(build: Path, focus: str | None = None) -> Report:
    return make_report(collect(build), made="2026-11-21T16:00:00Z", version="0.1.0", focus=focus)


def many_results(build: Path, phones: int) -> Path:
    """Six results on each of so many phones."""
    add_export(build)
    for number in range(phones):
        cases = [*cases_of(MODEL), *cases_of(MODEL, threads=4)]
        attempts = [a for case in cases for a in attempts_of(case, 1 + 0.01 * number)]
        target = make_target(f"Phone {number}", identity=f"{number:016x}")
        add_bench(build, make_bench(cases, attempts, target=target), name=f"phone-{number}")
    return build


def change_json(path: Path, change: Any) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
