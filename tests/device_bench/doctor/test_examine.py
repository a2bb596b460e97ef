"""The checks together: in time, whatever hangs or fails, and with the right exit code."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from device_bench.commands.doctor import format_findings
from device_bench.doctor.examine import CHECKS, examine
from device_bench.doctor.finding import Finding, State

ROOT = Path(__file__).parents[3]


def finding(name: str = "disk", state: State = "ok", *, required: bool = False, remedy: str | None = None) -> Finding:
    return Finding(name=name, state=state, found="words", needed_by="make x", required=required, remedy=remedy)


def doctor(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "device_bench", "doctor", *words],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_every_check_answers_under_its_own_name(tmp_path: Path) -> None:
    found = examine(tmp_path, deadline_s=30)
    assert [one.name for one in found] == list(CHECKS)
    assert all(one.state in ("ok", "missing", "wrong", "unknown") and one.found for one in found)
    # Whoever lacks something is told what it is for, and what to do.
    assert all(one.needed_by != "-" and one.remedy for one in found if one.state in ("missing", "wrong"))


def test_a_check_that_hangs_is_not_known_and_holds_up_nothing(tmp_path: Path) -> None:
    release = threading.Event()

    def hang(_: Path) -> Finding:
        release.wait(60)
        return finding("hanging")

    started = time.monotonic()
    found = examine(tmp_path, {"hanging": hang, "disk": lambda _: finding()}, deadline_s=0.3)
    took_s = time.monotonic() - started
    release.set()
    assert [(one.name, one.state) for one in found] == [("hanging", "unknown"), ("disk", "ok")]
    assert found[0].found == "not known within 0.3 s"
    # Far less than what the check waits for.
    assert took_s < 30


def test_a_check_that_fails_is_not_known_and_the_others_are_told(tmp_path: Path) -> None:
    def fail(_: Path) -> Finding:
        raise ZeroDivisionError("by \x1b[31mzero")

    found = examine(tmp_path, {"failing": fail, "disk": lambda _: finding()}, deadline_s=30)
    assert (found[0].state, found[0].found) == ("unknown", "ZeroDivisionError: by  [31mzero")
    assert found[1].state == "ok"


@pytest.mark.parametrize(
    ("state", "required", "blocks"),
    [
        ("ok", True, False), ("missing", True, True), ("wrong", True, True), ("unknown", True, False),
        ("missing", False, False), ("wrong", False, False),
    ],
)  # fmt: skip
def test_only_what_export_needs_and_what_is_known_to_lack_blocks(state: State, required: bool, blocks: bool) -> None:
    assert finding(state=state, required=required).blocks == blocks


def test_what_is_missing_says_for_which_command_and_what_to_do() -> None:
    lines = format_findings([finding(), finding("GPU", "missing", remedy="install\x1b[2J it")])
    assert lines == [
        "ok      disk  words",
        "missing GPU   words",
        "              for: make x",
        "              do:  install [2J it",
        "`make export` can run",
    ]
    assert format_findings([finding(state="wrong", required=True)])[-1] == "`make export` cannot run: disk"


def test_here_export_can_run_and_the_command_says_so() -> None:
    run = doctor("--json")
    assert run.returncode == 0, run.stdout + run.stderr
    said = json.loads(run.stdout)
    assert said["schema"] == 1
    assert said["ready"] is True
    assert [row["name"] for row in said["findings"]] == list(CHECKS)


def test_no_package_is_needed_and_tensorflow_is_never_imported() -> None:
    # Without site-packages, as before the set-up; a module that is set to None cannot be imported.
    code = (
        "import runpy, sys; sys.modules['tensorflow'] = None; sys.argv = ['device_bench', 'doctor', '--json']; "
        "runpy.run_module('device_bench', run_name='__main__')"
    )
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.stderr == ""
    assert {row["name"] for row in json.loads(run.stdout)["findings"]} == set(CHECKS)


def test_a_machine_that_cannot_export_ends_with_2(tmp_path: Path) -> None:
    # A clone without .venv, and a Python that cannot make one.
    for package in ("device_bench", "models", "export"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    code = (
        "import runpy, sys; sys.modules['ensurepip'] = None; sys.argv = ['device_bench', 'doctor']; "
        "runpy.run_module('device_bench', run_name='__main__')"
    )
    run = subprocess.run(
        [sys.executable, "-S", "-c", code], cwd=tmp_path, env=os.environ | {"PATH": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert run.returncode == 2, run.stdout + run.stderr
    assert "do:  apt install python3-venv, or install uv" in run.stdout
    assert run.stdout.splitlines()[-1] == "`make export` cannot run: .venv"
