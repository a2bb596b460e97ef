"""`python -m device_bench bench` against phones played by a stub adb: the whole path, Android-shaped."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from rich.console import Console

from device_bench.commands.bench import print_table
from device_bench.measuring.record import load_record
from device_bench.measuring.tables import bench_tables
from tests.device_bench.adb_stub import AdbStub
from tests.device_bench.commands.android import MODEL, USE_GPU, make_export, make_phone

ROOT = Path(__file__).parents[3]
QUICK = ("--precision=float32", "--threads=1", "--repeats=2", "--no-memory", "--no-profile", "--check=2")


def command(folder: Path, *words: str) -> list[str]:
    build = folder / "build"
    return [sys.executable, "-m", "device_bench", "bench", f"--model={MODEL}", f"--build-dir={build}", *QUICK, *words]


def environment(folder: Path, phone: AdbStub | None) -> dict[str, str]:
    given = {
        "PYTHONPATH": str(ROOT), "ADB": str(phone.program) if phone else "", "HOME": str(folder), "COLUMNS": "160",
        "XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache"),
    }  # fmt: skip
    return {name: value for name, value in os.environ.items() if not name.startswith(("ADB", "ANDROID"))} | given


def run(folder: Path, phone: AdbStub, *words: str) -> subprocess.CompletedProcess[str]:
    if not (folder / "build").exists():
        make_export(folder / "build")
    return subprocess.run(
        command(folder, *words), cwd=folder, env=environment(folder, phone), capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip


def records(folder: Path) -> list[Path]:
    return sorted((folder / "build").glob("*/bench/*.json"))


def left_over(phone: AdbStub) -> list[Path]:
    """What lies on the phone."""
    return list(phone.base.iterdir()) if phone.base.exists() else []


def test_a_phone_is_measured_checked_and_left_clean(tmp_path: Path) -> None:
    phone = make_phone(tmp_path, serial="R58M12ABCDE")
    done = run(tmp_path, phone)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"{MODEL} (digits) on ")
    row = next(line for line in lines if line.startswith("float32.tflite"))
    assert row.split()[:2] == ["float32.tflite", "classic"]
    assert "109 (109-109)" in row
    assert "±" in row
    assert "classic prints no median: each process counts with its mean" in done.stdout
    (path,) = records(tmp_path)
    record = load_record(path)
    assert record.passed
    facts = record.target["facts"]
    assert facts["sdk"] is not None
    assert facts["soc_model"] is not None
    assert "R58M12ABCDE" not in path.read_text("utf-8")
    assert left_over(phone) == []


def test_everything_said_with_json_is_one_json_value(tmp_path: Path) -> None:
    done = run(tmp_path, make_phone(tmp_path), "--json")
    value = json.loads(done.stdout)
    (outcome,) = value["outcomes"]
    assert outcome["record"]["passed"] is True
    assert outcome["error"] is None
    assert len(outcome["record"]["attempts"]) == 2


def test_a_dry_run_prints_every_command_and_measures_nothing(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    done = run(tmp_path, phone, "--dry-run")
    assert done.returncode == 0, done.stderr
    head, folder, push, check, *processes = done.stdout.splitlines()
    assert head == "# phone: 1 cases, 2 timed processes"
    assert folder == "adb -s phone shell 'mkdir -p /data/local/tmp/device_bench/run'"
    assert push.startswith("adb -s phone push ")
    assert check.startswith("# here the outputs for 2 pictures are computed")
    assert len(processes) == 2
    assert all(line.startswith("adb -s phone shell '") and "--num_threads=1" in line for line in processes)
    assert records(tmp_path) == []
    plan = json.loads(run(tmp_path, phone, "--dry-run", "--json").stdout)["plans"][0]
    assert plan["commands"][3:] == processes
    assert len(plan["plan"]["cases"]) == 1


def test_the_commands_of_a_dry_run_on_this_machine_can_be_typed(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    script = run(tmp_path, phone, "--device=local", "--dry-run", "--sustained=1").stdout
    assert "data/local" not in script
    assert script.splitlines()[-1] == "# then each case's latency process again and again, for 1 minutes"
    done = subprocess.run(
        ["sh", "-e"], input=script, cwd=ROOT, env=environment(tmp_path, phone) | {"TMPDIR": str(tmp_path)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_delegate_that_is_named_twice_is_measured_once(tmp_path: Path) -> None:
    done = run(tmp_path, make_phone(tmp_path), "--delegate=cpu,cpu")
    assert done.returncode == 0, done.stderr
    assert len(load_record(records(tmp_path)[0]).attempts) == 2


def test_few_processes_have_the_interval_that_they_allow(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    assert "median ms (50%)" in run(tmp_path, phone).stdout
    one = run(tmp_path, phone, "--repeats=1").stdout
    assert "median ms " in one
    assert "109 (" not in one


def test_a_finished_benchmark_that_is_resumed_says_that_it_is_an_old_one(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    run(tmp_path, phone)
    done = run(tmp_path, phone, "--resume")
    assert done.returncode == 0, done.stderr
    assert "nothing was measured: this benchmark ended 20" in done.stdout
    assert json.loads(run(tmp_path, phone, "--resume", "--json").stdout)["outcomes"][0]["complete"] is True


def test_a_phone_that_is_named_and_lost_costs_the_others_nothing(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    phone.devices += "gone  offline transport_id:2\n"
    phone.save()
    done = run(tmp_path, phone, "--device=gone,phone")
    assert done.returncode == 3
    assert "float32.tflite" in done.stdout
    assert "error: gone: cannot use gone offline" in done.stderr
    value = json.loads(run(tmp_path, phone, "--device=gone,phone", "--json").stdout)
    assert [(row["target"], row["error"] is None) for row in value["outcomes"]] == [("phone", True), ("gone", False)]


def test_a_narrow_terminal_loses_columns_and_no_digits(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    run(tmp_path, phone)
    (path,) = records(tmp_path)
    tables = list(bench_tables(load_record(path)))
    headings = []
    for columns in (200, 60, 55):
        console = Console(width=columns, file=io.StringIO())
        print_table(console, tables)
        assert isinstance(console.file, io.StringIO)
        text = console.file.getvalue()
        assert "109 (109-109)" in text
        assert "…" not in text
        assert ("columns are left out" in text) == (columns < 200)
        headings.append(text.splitlines()[0].split())
    assert [len(row) for row in headings] == sorted((len(row) for row in headings), reverse=True)
    assert {"p95", "first", "init", "MiB"} <= set(headings[0])


def test_a_case_is_measured_against_itself_when_asked_to(tmp_path: Path) -> None:
    done = run(tmp_path, make_phone(tmp_path), "--aa")
    assert done.returncode == 0, done.stderr
    assert "noise floor ±0.0%: float32.tflite-classic-cpu-1t-none measured twice, ratio 1.000" in done.stdout
    attempts = load_record(records(tmp_path)[0]).attempts
    assert sorted(attempt.job.kind for attempt in attempts) == ["latency", "latency", "twin", "twin"]
    assert len({attempt.raw for attempt in attempts}) == 4


def test_wrong_numbers_end_with_1_and_show_no_latency(tmp_path: Path) -> None:
    done = run(tmp_path, make_phone(tmp_path, error=0.01))
    assert done.returncode == 1
    assert "failed float32.tflite-classic-cpu-1t-none: wrong numbers: a probability differs by 0.01" in done.stdout
    row = next(line for line in done.stdout.splitlines() if line.startswith("float32.tflite"))
    assert "WRONG" in row
    assert "109" not in row


def test_a_runner_that_dies_ends_with_3_and_is_named(tmp_path: Path) -> None:
    done = run(tmp_path, make_phone(tmp_path, code=132))
    assert done.returncode == 3
    assert "the command was ended by SIGILL (exit code 132)" in done.stdout
    assert not load_record(records(tmp_path)[0]).passed


def test_a_phone_that_is_lost_leaves_no_serial_in_the_record_and_3(tmp_path: Path) -> None:
    phone = make_phone(tmp_path, serial="R58M12ABCDE")
    phone.answer(r"--num_runs=50", stderr="error: device 'R58M12ABCDE' not found\n", exit=1)
    done = run(tmp_path, phone)
    assert done.returncode == 3
    assert "R58M12ABCDE" in done.stderr
    (path,) = records(tmp_path)
    assert "R58M12ABCDE" not in path.read_text("utf-8")
    assert load_record(path).finished is None
    assert left_over(phone) == []


def test_an_ignored_flag_is_no_result(tmp_path: Path) -> None:
    done = run(tmp_path, make_phone(tmp_path, said="WARN: Unconsumed cmdline flags: --num_threads=1\n"))
    assert done.returncode == 3
    assert "the runner ignored --num_threads=1" in done.stdout


def test_a_gpu_that_is_not_there_is_never_a_gpu_result(tmp_path: Path) -> None:
    refusal = "WARN: GPU acceleration is unsupported on this platform.\n"
    done = run(tmp_path, make_phone(tmp_path, said=refusal, more=USE_GPU), "--delegate=gpu,cpu")
    assert done.returncode == 1
    assert "failed float32.tflite-classic-gpu-1t-none: asked for gpu, ran on the CPU" in done.stdout
    rows = [line for line in done.stdout.splitlines() if line.startswith("float32.tflite")]
    assert ["109 (109-109)" in row for row in rows] == [False, True]


def test_a_runner_without_the_flag_says_that_the_gpu_cannot_be_measured(tmp_path: Path) -> None:
    done = run(tmp_path, make_phone(tmp_path), "--delegate=gpu,cpu")
    assert done.returncode == 0
    assert "not measured float32.tflite-classic-gpu-1t-none: " in done.stdout
    alone = run(tmp_path, make_phone(tmp_path / "b"), "--delegate=gpu")
    assert alone.returncode == 2
    assert "nothing that was asked for can be measured here" in alone.stderr


WRONG = [
    (["--runner=tflite"], "unknown runner 'tflite'"),
    (["--delegate=npu"], "unknown delegate 'npu'"),
    (["--precision=int4"], "unknown precision 'int4'"),
    (["--affinity=fast"], "unknown affinity 'fast'"),
    (["--affinity=0"], "affinity mask 0 names no CPU"),
    (["--threads=0"], "0 is outside 1..1000000"),
    (["--threads=x"], "'x' is no whole number"),
    (["--repeats=0"], "0 is outside 1..1000000"),
    (["--min-seconds=nan"], "nan is outside 0..86400"),
    (["--max-seconds=0.5"], "--max-seconds 0.5 must be more than --min-seconds 1.0"),
    (["--accuracy=400"], "400 test images asked for, digits has 359"),
    (["--runner-path=nope"], "nope"),
    (["--device=other"], "other"),
    (["--adb-server=x"], "x"),
    (["--dataset=imagenet"], "unknown data set 'imagenet'"),
]


@pytest.mark.parametrize(("words", "message"), WRONG, ids=[" ".join(words) for words, _ in WRONG])
def test_bad_input_is_one_line_and_2(tmp_path: Path, words: list[str], message: str) -> None:
    done = run(tmp_path, make_phone(tmp_path), *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.splitlines()[-1]
    assert records(tmp_path) == []


def test_two_phones_without_a_choice_are_named_and_each_can_be_chosen(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    phone.devices = (
        "one  device product:p model:A device:d transport_id:1\ntwo  device product:p model:B device:d transport_id:2\n"
    )
    phone.save()
    for name in ("one", "two"):
        (phone.folder / "tmp" / f"of-{name}").mkdir()
    done = run(tmp_path, phone)
    assert done.returncode == 2
    assert "one" in done.stderr
    assert "two" in done.stderr
    # One after the other: both are this machine here, and at once each would take the other for a stranger.
    for name in ("one", "two"):
        assert run(tmp_path, phone, f"--device={name}").returncode == 0
    assert len({load_record(path).target["identity"] for path in records(tmp_path)}) == 2


def test_an_unauthorized_phone_says_what_to_do_and_3(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    phone.devices = "phone  unauthorized transport_id:1\n"
    phone.save()
    done = run(tmp_path, phone)
    assert done.returncode == 3
    assert "unauthorized" in done.stderr
    assert "screen" in done.stderr


def test_an_interrupted_benchmark_leaves_the_phone_clean_and_is_resumed(tmp_path: Path) -> None:
    phone = make_phone(tmp_path)
    make_export(tmp_path / "build")
    many = ("--repeats=40",)
    process = subprocess.Popen(
        command(tmp_path, *many), cwd=tmp_path, env=environment(tmp_path, phone), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (records(tmp_path) and len(load_record(records(tmp_path)[0]).attempts) >= 2):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert (
        "interrupted: what was measured is kept, devices are as they were; with RESUME=1 (--resume) it goes on" in err
    )
    assert left_over(phone) == []
    (path,) = records(tmp_path)
    before = load_record(path)
    assert before.finished is None
    kept = sum(attempt.valid for attempt in before.attempts)
    done = run(tmp_path, phone, *many, "--resume")
    assert done.returncode == 0, done.stderr
    assert records(tmp_path) == [path]
    after = load_record(path)
    assert after.passed
    assert sum(attempt.valid for attempt in after.attempts) == 40
    assert [a.started for a in after.attempts[:kept]] == [a.started for a in before.attempts if a.valid]


def test_help_comes_without_heavy_libraries() -> None:
    spy = (
        "import runpy, sys\nsys.argv = ['device_bench', 'bench', '--help']\n"
        "try:\n    runpy.run_module('device_bench', run_name='__main__')\nexcept SystemExit:\n    pass\n"
        "print(sorted({'numpy', 'tensorflow', 'ai_edge_litert', 'onnx', 'rich', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", spy], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
