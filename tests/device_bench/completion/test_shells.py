"""The code for shells in the real shells, at a real terminal: what is typed, TAB, and the line that comes of it."""

import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from device_bench.commands.completion import SHELLS

ROOT = Path(__file__).parents[3]
START = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config", "-i"),
}
PATIENCE_S = 60


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that looks like a clone, with this Python."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to(sys.executable)
    for name in ("device_bench", "models", "export", "Makefile"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def script(shell: str) -> str:
    run = subprocess.run(
        [sys.executable, "-m", "device_bench", "completion", shell],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stdout


def type_into(shell: str, keys: str, until: str, folder: Path) -> str:
    """What a terminal shows after these keys, up to the moment when `until` is in it."""
    (folder / "completion").write_text(script(shell))
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        settings = {"PATH": os.environ["PATH"], "HOME": str(folder), "TERM": "dumb", "PYTHONPATH": str(ROOT)}
        os.execvpe(START[shell][0], START[shell], settings)  # noqa: S606 - a shell is what is tested
    try:
        os.write(terminal, b"source ./completion; echo rea''dy\r")
        shown = _read(terminal, "ready")
        os.write(terminal, keys.encode())
        return shown + _read(terminal, until)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)


def _read(terminal: int, until: str) -> str:
    shown, end = "", time.monotonic() + PATIENCE_S
    while until not in shown:
        ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
        assert ready, f"no {until!r} in {shown!r}"
        # Some ring a bell where they go on.
        shown += os.read(terminal, 65536).decode("utf-8", "replace").replace("\a", "")
    return shown


installed = pytest.mark.parametrize(
    "shell",
    [
        pytest.param(shell, marks=pytest.mark.skipif(shutil.which(shell) is None, reason=f"no {shell}; apt install it"))
        for shell in SHELLS
    ],
)


@installed
def test_a_model_of_make_is_completed(shell: str, clone: Path) -> None:
    assert "mobilenet_v3_small_minimalistic" not in script(shell)
    type_into(shell, "make export MODEL=mobilenet_v3_small_mi\t", "mobilenet_v3_small_minimalistic_1.0", clone)


@installed
def test_an_option_of_a_program_is_completed(shell: str, clone: Path) -> None:
    type_into(shell, ".venv/bin/python -m export run --calib\t", "--calibration-images", clone)


@installed
def test_elsewhere_files_are_completed(shell: str, tmp_path: Path) -> None:
    (tmp_path / "some-file-here").touch()
    type_into(shell, "make some-fi\t", "some-file-here", tmp_path)


def test_bash_puts_a_value_behind_a_variable_without_a_blank(clone: Path) -> None:
    type_into("bash", "make bundle MOD\tmobilenet_v3_small_mi\t", "MODEL=mobilenet_v3_small_minimalistic_1.0", clone)
