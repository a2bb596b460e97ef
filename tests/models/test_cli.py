"""What all command lines share: one error line, the exit codes, an end by signal, and progress in a log."""

import argparse
import inspect
import io
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import models.errors
from models.cli import SILENCE_S, Parser, at_least_one, one_line, progress_display, seed
from models.errors import ToolchainError
from models.worker import Progress

ROOT = Path(__file__).parents[2]
ERRORS = [e for e in vars(models.errors).values() if isinstance(e, type) and issubclass(e, ToolchainError)]
CODES = dict(re.findall(r"(\w+Error) +(\d)  ", models.errors.__doc__ or ""))
ENDINGS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
INTERRUPTED = "interrupted: nothing was left half-written; the same command starts again\n"

PROGRAM = """
import os, signal, sys, time
import models.errors as errors
from models.cli import progress_display, result_console, run
from models.worker import Progress
{handler}
def main():
{body}
if __name__ == "__main__":
    run(main)
"""

SLEEP = """
try:
    print("ready", flush=True)
    time.sleep(30)
finally:
    print("cleaned up", flush=True)
return 0
"""

IN_A_FINALIZER = """
class Held:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
        for _ in range(100):
            pass
print("ready", flush=True)
held = Held()
del held
time.sleep(30)
return 0
"""


def program(body: str, tmp_path: Path, before: str = "") -> list[str]:
    """The command line of a program whose main function has this body."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(handler=before, body="\n".join(f"    {line}" for line in body.split("\n"))))
    return [sys.executable, str(script)]


def run_program(body: str, tmp_path: Path, before: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        program(body, tmp_path, before), env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=20, check=False,
    )  # fmt: skip


def start(body: str, tmp_path: Path, *ignored: signal.Signals) -> subprocess.Popen[str]:
    """The program, started with some signals ignored, once it said that it is ready."""
    before = [(number, signal.signal(number, signal.SIG_IGN)) for number in ignored]
    process = subprocess.Popen(
        program(body, tmp_path), env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    for number, handler in before:
        signal.signal(number, handler)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


# Text and numbers


@given(st.text())
def test_one_line_holds_nothing_that_moves_the_cursor_and_keeps_the_rest(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) == len(text)
    assert [new for old, new in zip(text, line, strict=True) if old.isprintable()] == [
        c for c in text if c.isprintable()
    ]


def test_one_line_takes_escapes_line_breaks_and_reversed_writing_out() -> None:
    assert one_line("a\x1b[31m\r\nb\x00\u202ec\u2028größe") == "a [31m  b  c größe"


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "many", "", "1e3", "0x10"])
def test_a_count_below_one_or_no_number_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=rf"^{re.escape(repr(text))} is not a whole number from 1 up$"):
        at_least_one(text)


@pytest.mark.parametrize(("text", "value"), [("1", 1), ("128", 128), (" 7 ", 7)])
def test_a_count_is_taken(text: str, value: int) -> None:
    assert at_least_one(text) == value


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_seed_that_numpy_would_refuse_is_refused_here(value: int) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match=rf"^{value} is outside 0\.\.4294967295$"):
        seed(str(value))


@pytest.mark.parametrize("value", [0, 2**32 - 1])
def test_the_seeds_at_the_bounds_are_taken(value: int) -> None:
    assert seed(str(value)) == value


# The wrong Python


def test_a_python_without_our_packages_is_answered_with_the_one_that_has_them(tmp_path: Path) -> None:
    done = run_program("import no_such_package.part", tmp_path)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {sys.executable} has no no_such_package; use .venv/bin/python, which `make setup` makes\n"
    )


def test_a_missing_module_of_our_own_is_a_bug_and_shown_as_one(tmp_path: Path) -> None:
    done = run_program("import models.no_such_module", tmp_path)
    assert done.returncode == 1
    assert done.stderr.endswith("ModuleNotFoundError: No module named 'models.no_such_module'\n")


# The parser


def parser() -> Parser:
    made = Parser(prog="prog")
    command = made.add_subparsers(required=True).add_parser("go")
    command.add_argument("--weights")
    command.add_argument("--count", type=at_least_one)
    return made


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["go", "--weight", "x"], "unrecognized arguments: --weight x; see `prog --help`"),
        (["go", "--count", "0"], "argument --count: '0' is not a whole number from 1 up; see `prog go --help`"),
        (["go", "x\x1b[2J\ny"], "unrecognized arguments: x [2J y; see `prog --help`"),
        ([], "the following arguments are required: {go}; see `prog --help`"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parser().parse_args(words)
    assert end.value.code == 2
    assert capsys.readouterr() == ("", f"error: {message}\n")


def test_options_are_not_guessed_from_their_first_letters_in_subcommands_either() -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["go", "--wei=x"])
    assert parser().parse_args(["go", "--weights=x"]).weights == "x"


# Exit codes


@pytest.mark.parametrize("code", [0, 1])
def test_the_code_of_the_command_is_the_programs(code: int, tmp_path: Path) -> None:
    ran = run_program(f"print('result')\nreturn {code}", tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (code, "result\n", "")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.__name__)
def test_every_error_of_the_tree_is_one_line_and_its_exit_code(error: type[ToolchainError], tmp_path: Path) -> None:
    body = f"error = errors.{error.__name__}.__new__(errors.{error.__name__})\n"
    body += r"error.args = ('what\nfailed: \x1b[31mred\x1b[0m, größe',)" + "\nraise error"
    ran = run_program(body, tmp_path)
    assert (ran.returncode, ran.stdout) == (error.exit_code, "")
    assert ran.stderr == "error: what failed:  [31mred [0m, größe\n"
    assert str(error.exit_code) == CODES[error.__name__], "what the docstring of the tree says"


def test_a_full_disk_is_bad_input_with_the_next_step(tmp_path: Path) -> None:
    ran = run_program("raise OSError(28, 'No space left on device', '/a/file')", tmp_path)
    assert ran.returncode == 2
    assert ran.stderr == (
        "error: cannot write /a/file: No space left on device; free some space and run the same command again\n"
    )


def test_an_error_that_nobody_foresaw_keeps_its_traceback(tmp_path: Path) -> None:
    for error in ("OSError(5, 'Input/output error')", "ZeroDivisionError('x')"):
        ran = run_program(f"raise {error}", tmp_path)
        assert ran.returncode == 1
        assert ran.stderr.startswith("Traceback")


def test_text_that_the_terminal_cannot_show_is_replaced(tmp_path: Path) -> None:
    command = program("print('größe')\nraise errors.UsageError('größe')", tmp_path)
    plain = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "PATH": os.environ["PATH"]}
    ran = subprocess.run(command, env=plain, capture_output=True, text=True, timeout=20, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "gr??e\n", "error: gr??e\n")


# Signals


@pytest.mark.parametrize("number", ENDINGS)
def test_an_end_by_signal_cleans_up_and_says_so(number: signal.Signals, tmp_path: Path) -> None:
    with start(SLEEP, tmp_path) as process:
        process.send_signal(number)
        assert process.communicate(timeout=20) == ("cleaned up\n", INTERRUPTED)
    assert process.returncode == 130


@pytest.mark.parametrize("number", ENDINGS)
def test_a_signal_that_nohup_or_a_script_had_ignored_stays_ignored(number: signal.Signals, tmp_path: Path) -> None:
    others = [other for other in ENDINGS if other != number]
    with start(SLEEP, tmp_path, number) as process:
        process.send_signal(number)
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(others[0])
        assert process.communicate(timeout=20) == ("cleaned up\n", INTERRUPTED)


def test_an_interrupt_that_python_swallows_in_a_finalizer_comes_again(tmp_path: Path) -> None:
    with start(IN_A_FINALIZER, tmp_path) as process:
        assert process.communicate(timeout=20) == ("", INTERRUPTED)
    assert process.returncode == 130


def test_another_error_in_a_finalizer_is_shown_as_python_shows_it(tmp_path: Path) -> None:
    body = inspect.cleandoc("""
        class Held:
            def __del__(self):
                raise ValueError("in the finalizer")
        Held()
        return 0
    """)
    ran = run_program(body, tmp_path)
    assert ran.returncode == 0
    assert ran.stderr.startswith("Exception ignored in")
    assert "ValueError: in the finalizer" in ran.stderr


def test_a_signal_after_the_work_ends_the_program_without_noise(tmp_path: Path) -> None:
    body = "import atexit\natexit.register(lambda: (print('ready', flush=True), time.sleep(30)))\nreturn 0"
    with start(body, tmp_path) as process:
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == -signal.SIGINT


# A reader that has seen enough


@pytest.mark.parametrize("say", ["print('x')", "result_console().print('x')", "sys.stdout.write('x')"])
def test_a_reader_that_is_gone_ends_the_program_silently_with_141(say: str, tmp_path: Path) -> None:
    body = f"sys.stdin.read()\nfor _ in range(100000):\n    {say}\nreturn 0"
    with subprocess.Popen(
        program(body, tmp_path), env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.stdin.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize("closed", [">&-", "2>&-", "2>/dev/full", ">&- 2>&-"])
def test_a_closed_or_full_stream_changes_nothing_for_the_other(closed: str, tmp_path: Path) -> None:
    body = (
        "with progress_display() as report:\n    report(Progress(stage='a', done=1, total=1))\n"
        "result_console().print('result')\nreturn 1"
    )
    line = f"{shlex.join(program(body, tmp_path))} {closed}"
    done = subprocess.run(
        ["sh", "-c", line], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    assert done.stdout == ("" if ">&-" in closed.replace("2>&-", "") else "result\n")


def test_an_error_line_that_nobody_reads_keeps_the_exit_code(tmp_path: Path) -> None:
    body = "sys.stdin.read()\nraise errors.DeviceError('gone')"
    with subprocess.Popen(
        program(body, tmp_path), env=os.environ | {"PYTHONPATH": str(ROOT)}, stdin=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        process.stderr.close()
        process.stdin.close()
    assert process.returncode == 3


# Progress on a terminal


class Terminal(io.StringIO):
    """Standard error as a person sees it."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [50, 60, 80, 100, 160])
def test_stages_and_their_counts_are_whole_on_every_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    detail = "validation 33.3%, top-1 41.7%, loss 1.420"
    with progress_display() as report:
        report(Progress(stage="train at 128 px", done=1200, total=12580, detail=detail))
        report(Progress(stage="validation accuracy", done=3, total=12, detail="[red]"))
    assert isinstance(sys.stderr, Terminal)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", sys.stderr.getvalue()).replace("\r", "\n").splitlines()
    shown = [" ".join(line.split()) for line in lines if line.strip()][-2:]
    assert max(map(len, lines)) <= width
    assert ("━" in shown[0]) == (width >= 100)
    for line, stage, count in zip(
        shown, ("train at 128 px ", "validation accuracy "), ("1200/12580", "3/12"), strict=True
    ):
        assert line.startswith(stage)
        assert f" {count} " in line
    assert shown[0].endswith(detail if width >= 80 else "…")
    assert shown[1].endswith("[red]")


# Progress where there is no terminal


def test_a_log_gets_a_line_per_finished_stage_and_each_only_once(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_display() as report:
        for done in (0, 1, 2, 3, 3):
            report(Progress(stage="verify", done=done, total=3, detail="" if done < 3 else "98 %"))
        report(Progress(stage="weights", done=0, total=1, detail="none yet:\x1b[2J\ntraining now"))
        report(Progress(stage="weights", done=1, total=1))
    out, err = capsys.readouterr()
    assert out == ""
    assert [re.fullmatch(r" {0,5}\d+\.\d s  (.*)", line)[1] for line in err.splitlines()] == [  # type: ignore[index]
        "verify 3/3 98 %",
        "weights 0/1 none yet: [2J training now",
        "weights 1/1",
    ]


def test_a_long_stage_says_in_a_log_that_it_is_alive(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("models.cli.time.monotonic", lambda: now)
    with progress_display() as report:
        for done in range(8):
            report(Progress(stage="measure", done=done, total=9))
            now += SILENCE_S / 2
    lines = [line.split("  ")[-1] for line in capsys.readouterr().err.splitlines()]
    assert lines == ["measure 2/9", "measure 4/9", "measure 6/9"]


def test_a_log_line_is_there_as_soon_as_the_stage_is_finished(tmp_path: Path) -> None:
    body = "with progress_display() as report:\n    report(Progress(stage='a', done=1, total=1))\n    os._exit(7)"
    ran = run_program(body, tmp_path)
    assert ran.returncode == 7
    assert ran.stderr.endswith(" s  a 1/1\n")
