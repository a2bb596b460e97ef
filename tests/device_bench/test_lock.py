"""One measurement at a time on a device."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from device_bench.lock import device_lock, state_folder
from models.errors import BusyError, OutputError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_the_second_is_told_who_has_it() -> None:
    with device_lock("0123", "phone"), pytest.raises(BusyError, match=rf"process {os.getpid()} measures on device"):
        device_lock("0123", "phone").__enter__()


def test_other_devices_are_free_and_it_is_free_again_afterwards() -> None:
    for _ in range(2):
        with device_lock("0123", "phone"), device_lock("4567", "other"):
            pass


def test_it_ends_with_its_process_however_that_ends(state: Path) -> None:
    code = (
        "import os, signal; from device_bench.lock import device_lock\n"
        "with device_lock('0123', 'phone'): os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert done.returncode == -9
    assert list(state.rglob("device-0123.lock"))
    with device_lock("0123", "phone"):
        pass


def test_no_child_inherits_it() -> None:
    with device_lock("0123", "phone"):
        child = subprocess.Popen(["sleep", "30"])
    try:
        with device_lock("0123", "phone"):
            pass
    finally:
        child.kill()
        child.wait()


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("content")
    (state_folder() / "device-0123.lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError, match="cannot write"):
        device_lock("0123", "phone").__enter__()
    assert (tmp_path / "victim").read_text() == "content"


def test_a_state_folder_that_cannot_be_made_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(OutputError, match=r"cannot make .*, where locks are kept: .*; set XDG_STATE_HOME to a folder"):
        device_lock("0123", "phone").__enter__()


def test_a_relative_state_home_is_ignored_as_its_standard_demands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert state_folder().is_relative_to(tmp_path / ".local" / "state")
