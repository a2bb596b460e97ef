"""Programs that do not start, and what their users are told."""

from __future__ import annotations

import pytest

from device_bench.runners.start import ask_help, check_started
from device_bench.target import Command
from models.errors import ProgramError, RunnerOutputError
from tests.device_bench.runners.fakes import GOLDEN, HELP_2_14, FakeTarget, finished

STEPS = [
    (
        126,
        "/system/bin/sh: ./b: Permission denied\n",
        "b' may not be executed on this device (exit code 126: '/system/bin",
    ),
    (127, "sh: 1: ./b: not found\n", "b' was not found on this device, or the loader it needs was not (exit code 127"),
    (
        1,
        'CANNOT LINK EXECUTABLE "b": library "libX.so" not found\n',
        "b' misses a library on this device: 'CANNOT LINK",
    ),
    (127, "b: error while loading shared libraries: libX.so: cannot open\n", "b' misses a library on this device"),
    (1, "b: /lib/libc.so.6: version `GLIBC_2.38' not found (required by b)\n", "b' misses a library on this device"),
    (132, "Illegal instruction\n", "b' was ended by SIGILL (exit code 132) when it started: the device's CPU does not"),
    (139, "", "b' was ended by SIGSEGV (exit code 139) when it started; use another build of it"),
    (134, "", "b' was ended by SIGABRT (exit code 134) when it started; use another build of it"),
]


@pytest.mark.parametrize(("code", "said", "message"), STEPS)
def test_a_program_that_does_not_start_is_told_with_one_next_step(code: int, said: str, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        check_started(finished("", said, code), "/x/b")
    text = str(caught.value)
    assert message in text
    assert text.count("; ") == 1
    assert text.isprintable()
    assert not caught.value.transient


def test_texts_of_the_device_cannot_steer_the_terminal() -> None:
    with pytest.raises(ProgramError) as caught:
        check_started(finished("", "\x1b[2J\x07 Permission denied\r" + "x" * 10_000, 126), "/x/\x1bb")
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600


@pytest.mark.parametrize("code", [0, 1, 2, 64, 200])
def test_other_ends_are_left_to_the_parser(code: int) -> None:
    check_started(finished("", "usage: b <flags>\n", code), "b")


def test_the_usage_tells_flavour_and_flags() -> None:
    target = FakeTarget(lambda _: finished("", HELP_2_14, 1))
    usage = ask_help(target, Command(argv=("/x/b", "--help")), "/f")
    assert usage.flavour == "classic"
    assert {"graph", "num_threads"} <= set(usage.flags)


def test_a_program_that_runs_instead_of_helping_is_no_runner() -> None:
    text = (GOLDEN / "native_2.14_arm64" / "float32_plain" / "stdout").read_text("utf-8")
    target = FakeTarget(lambda _: finished(text))
    with pytest.raises(ProgramError, match=r"^'/x/b' ran a benchmark when it was asked for --help"):
        ask_help(target, Command(argv=("/x/b", "--help")), "/f")


@pytest.mark.parametrize("cut", [0, 1, 10, 30])
def test_a_cut_usage_is_no_usage(cut: int) -> None:
    text = "".join(HELP_2_14.splitlines(keepends=True)[:cut])
    with pytest.raises(RunnerOutputError):
        ask_help(FakeTarget(lambda _: finished("", text, 1)), Command(argv=("/x/b", "--help")), "/f")
