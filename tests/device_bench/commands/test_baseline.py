"""`python -m device_bench baseline` on this machine, with a tiny network and real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from device_bench.baseline.record import load_baseline
from tests.device_bench.baseline.exports import MODEL, make_export

ROOT = Path(__file__).parents[3]
QUICK = ("--precision=float32", "--repeats=2", "--runs=5", "--min-seconds=0.01", "--max-seconds=1", "--threads=1")


def command(folder: Path, *words: str) -> list[str]:
    build = f"--build-dir={folder / 'build'}"
    return [sys.executable, "-m", "device_bench", "baseline", f"--model={MODEL}", build, *QUICK, *words]


def environment(folder: Path) -> dict[str, str]:
    given = {"PYTHONPATH": str(ROOT), "HOME": str(folder), "COLUMNS": "160", "TMPDIR": str(folder)}
    state = {"XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    return {**os.environ, **given, **state}


def run(folder: Path, *words: str, onnx_scale: float = 1.0) -> subprocess.CompletedProcess[str]:
    if not (folder / "build").exists():
        make_export(folder / "build", onnx_scale=onnx_scale)
    return subprocess.run(
        command(folder, *words), cwd=folder, env=environment(folder), capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


def records(folder: Path) -> list[Path]:
    return sorted((folder / "build").glob("*/baseline/*.json"))


def test_two_cpu_engines_are_measured_checked_and_labelled(tmp_path: Path) -> None:
    done = run(tmp_path, "--engine=onnxruntime-cpu,litert-cpu", "--batch=1,3")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{MODEL} (digits) on this desktop, measured on the CPU: CPU ")
    rows = [line.split()[:4] for line in done.stdout.splitlines() if line.startswith("CPU ")]
    assert rows == [["CPU", engine, "float32", batch] for engine in ("onnxruntime-cpu", "litert-cpu") for batch in "13"]
    (path,) = records(tmp_path)
    record = load_baseline(path)
    assert record.passed
    assert record.finished is not None
    assert len(record.attempts) == 8
    assert {summary.accelerator for summary in record.summaries()} == {"cpu"}
    assert all(row.check is not None and row.check.images == 8 for row in record.engines)
    assert not list(tmp_path.glob("device_bench-*/run-*")), "no folder is left"


def test_an_engine_that_is_not_installed_ends_with_2_and_json_is_one_value(tmp_path: Path) -> None:
    done = run(tmp_path, "--engine=onnxruntime-rocm,onnxruntime-cpu", "--batch=2", "--json")
    assert done.returncode == 2
    value = json.loads(done.stdout)
    assert value["error"].startswith("onnxruntime-rocm: this onnxruntime ")
    assert "pip install onnxruntime-rocm" in value["error"]
    assert f"error: {value['error']}\n" in done.stderr
    assert value["record"] == json.loads(Path(value["file"]).read_text("utf-8"))
    (summary,) = value["record"]["summaries"]
    assert summary["valid"]
    assert summary["label"].endswith(", onnxruntime-cpu, float32, batch 2")


def test_wrong_numbers_end_with_1_and_show_no_latency(tmp_path: Path) -> None:
    done = run(tmp_path, "--engine=onnxruntime-cpu", "--batch=1", onnx_scale=1.5)
    assert done.returncode == 1
    assert "error: onnxruntime-cpu: wrong numbers: a probability differs by" in done.stderr
    assert not [line for line in done.stdout.splitlines() if line.startswith("CPU ")]
    assert load_baseline(records(tmp_path)[0]).wrong


def test_a_dry_run_says_what_would_be_tried_and_measures_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, "--dry-run", "--precision=float32,tf32")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("# the first that proves to compute on the GPU is taken; batches 1,2,4,…")
    assert lines[1].startswith("onnxruntime-tensorrt float32  # if missing: .venv/bin/python -m pip ")
    assert lines[-1].startswith("onnxruntime-cpu tf32  # cannot: onnxruntime-cpu has no TF32")
    assert records(tmp_path) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--engine=cuda"], "unknown engine 'cuda'"),
        (["--engine=auto,litert-cpu"], "auto chooses one engine by itself"),
        (["--precision=int8"], "unknown precision 'int8'; known: float16, float32, tf32"),
        (["--batch=0"], "0 is outside 1..1000000"),
        (["--batch=1,5000"], "5000 is outside 1..4096"),
        (["--min-seconds=5", "--max-seconds=5"], "--max-seconds 5.0 must be more than --min-seconds 5.0"),
        (["--gpu-index=-1"], "-1 is outside 0..1000000"),
    ],
)
def test_bad_input_is_refused_before_anything_runs(tmp_path: Path, words: list[str], message: str) -> None:
    done = run(tmp_path, *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_ctrl_c_ends_the_process_and_keeps_what_is_known(tmp_path: Path) -> None:
    make_export(tmp_path / "build")
    words = ("--engine=onnxruntime-cpu", "--batch=1", "--min-seconds=30", "--max-seconds=60")
    with subprocess.Popen(
        command(tmp_path, *words), cwd=tmp_path, env=environment(tmp_path), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 60
        # Once the engine is proven, the first long process begins.
        while not (records(tmp_path) and load_baseline(records(tmp_path)[0]).engines) and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    record = load_baseline(records(tmp_path)[0])
    assert record.failure == "interrupted"
    assert [row.taken for row in record.engines] == [True]
    assert not list(tmp_path.glob("device_bench-*/run-*"))


@pytest.mark.gpu
def test_with_a_gpu_auto_measures_it_and_proves_it(tmp_path: Path) -> None:
    done = run(tmp_path, "--batch=1,8", "--precision=float32,tf32")
    assert done.returncode == 0, done.stderr
    record = load_baseline(records(tmp_path)[0])
    assert {summary.accelerator for summary in record.summaries()} == {"gpu"}
    assert record.target["gpu"]["name"]
    assert all(summary.phases["compute"] is not None for summary in record.summaries())
