from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from device_bench.lab import programs
from device_bench.lab.programs import Programs
from models.errors import LabError


def test_what_a_program_prints_comes_back() -> None:
    assert Programs().run(("printf", "a b;$(id)"), to="print") == "a b;$(id)"


def test_a_failure_is_told_with_its_cause_and_not_with_warnings() -> None:
    script = "echo 'W: some warning' >&2; echo 'E: no such package' >&2; exit 100"
    with pytest.raises(LabError, match=r"^cannot fetch it: E: no such package; mend that and try again$"):
        Programs().run(("sh", "-c", script), to="fetch it")


def test_a_failure_without_a_word_is_told_with_its_code() -> None:
    with pytest.raises(LabError, match=r"^cannot do it: exit code 7 without a word;"):
        Programs().run(("sh", "-c", "exit 7"), to="do it")


def test_a_program_that_does_not_exist_is_named() -> None:
    with pytest.raises(LabError, match=r"^cannot unpack: no-such-program does not start: No such file or directory$"):
        Programs().run(("no-such-program",), to="unpack")


def test_a_program_that_takes_too_long_is_killed_with_its_children(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "_TIMEOUT_S", 0.3)
    with pytest.raises(LabError, match=r"sh was not done after 0\.3 s; try again$") as failure:
        Programs().run(("sh", "-c", f"(sleep 1; touch {tmp_path}/child) & sleep 60"), to="wait")
    assert failure.value.transient
    time.sleep(1.1)
    assert not (tmp_path / "child").exists()


def test_the_end_kills_what_runs_and_lets_nothing_start() -> None:
    crew = Programs()
    failures: list[str] = []

    def work() -> None:
        try:
            crew.run(("sleep", "60"), to="sleep")
        except LabError as error:
            failures.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    time.sleep(0.2)
    started = time.monotonic()
    crew.end()
    thread.join(10)
    assert time.monotonic() - started < 5
    assert failures == ["cannot sleep: exit code -9 without a word; mend that and try again"]
    with pytest.raises(LabError, match=r"^did not go on: the build was ended$"):
        crew.run(("true",), to="go on")
