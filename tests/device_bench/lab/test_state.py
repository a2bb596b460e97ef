from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.lab import lab
from device_bench.lab.state import (
    LabDevice,
    RunningProcess,
    end_device,
    find_process,
    load_device,
    make_run_folder,
    run_folder,
    save_device,
)
from models.errors import LabError, UnknownNameError


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"], stdin=subprocess.DEVNULL) as process:
        yield process
        process.kill()


def _device(*pids: int) -> LabDevice:
    found = [find_process(pid) for pid in pids]
    return LabDevice(
        name="good",
        address="127.0.0.1:26101",
        architecture="arm64",
        archive="0123",
        processes=tuple(process for process in found if process),
    )


def _save(device: LabDevice) -> None:
    make_run_folder(device.name)
    save_device(device)


def test_a_device_that_is_up_is_known_to_later_processes(sleeper: subprocess.Popen[bytes]) -> None:
    device = _device(sleeper.pid, os.getpid())
    assert len(device.processes) == 2
    _save(device)
    assert load_device("good") == device
    assert lab.status() == [device]


def test_a_device_that_died_is_not_up(sleeper: subprocess.Popen[bytes]) -> None:
    _save(_device(sleeper.pid))
    sleeper.kill()
    sleeper.wait()
    assert load_device("good") is None


def test_another_process_of_the_same_number_is_not_the_device() -> None:
    own = find_process(os.getpid())
    assert own
    for stranger in (replace(own, start_ticks=own.start_ticks + 1), replace(own, boot="another boot")):
        _save(replace(_device(), processes=(stranger,)))
        assert load_device("good") is None


def test_a_process_that_has_ended_and_is_not_yet_buried_is_none() -> None:
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert find_process(process.pid) is None


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"processes": [{"pid": "x"}]}'])
def test_a_damaged_state_is_no_device(content: str) -> None:
    make_run_folder("good")
    (run_folder("good") / "state.json").write_text(content)
    assert load_device("good") is None


def test_only_the_owner_looks_into_the_folder_of_a_device() -> None:
    assert make_run_folder("good").stat().st_mode & 0o777 == 0o700


def test_the_end_of_a_device_is_the_end_of_its_processes(sleeper: subprocess.Popen[bytes]) -> None:
    device = _device(sleeper.pid)
    # What is no longer the device's own is not killed.
    stranger = RunningProcess(pid=os.getpid(), start_ticks=1, boot="another boot")
    end_device(replace(device, processes=(*device.processes, stranger)))
    assert find_process(sleeper.pid) is None
    assert sleeper.wait() == -9


def test_down_tidies_what_a_dead_device_left(sleeper: subprocess.Popen[bytes]) -> None:
    _save(_device(sleeper.pid))
    assert [device.name for device in lab.down(["good"])] == ["good"]
    assert not run_folder("good").exists()
    assert lab.down() == []


def test_a_device_that_is_not_up_cannot_be_controlled() -> None:
    with pytest.raises(
        LabError, match=r"^the lab device good is not up \(up are: none\); start it: make lab DEVICE=good$"
    ):
        lab.control("good", "drop")


def test_a_device_that_does_not_answer_is_told() -> None:
    _save(_device(os.getpid()))
    with pytest.raises(LabError, match=r"^the lab device good does not answer: .*; make lab-down, then make lab$"):
        lab.control("good", "drop")


def test_names_are_checked_before_they_name_a_folder() -> None:
    for call in (lambda: lab.control("../x", "drop"), lambda: lab.down(["../x"])):
        with pytest.raises(UnknownNameError, match=r"^unknown lab device '\.\./x'"):
            call()
