"""Work in fresh processes: what comes back, and that no process outlives its parent, however that ends."""

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import models.errors
from models.errors import OutputError, ToolchainError, UnknownNameError, WorkerError
from models.worker import Progress, Report, Task, run_in_worker, run_in_workers

ROOT = Path(__file__).parents[2]
ERRORS = [e for e in vars(models.errors).values() if isinstance(e, type) and issubclass(e, ToolchainError)]


# The tasks. Worker processes import them from here by name.


def add(_report: Report, a: int, b: int) -> int:
    return a + b


def count(report: Report, total: int) -> int:
    for done in range(1, total + 1):
        report(Progress(stage="count", done=done, total=total, detail=f"at {done}"))
    return os.getpid()


def fail(_report: Report, name: str, message: str) -> None:
    error_type = getattr(models.errors, name)
    error = error_type.__new__(error_type)
    error.args = (message,)
    raise error


def unknown_name(_report: Report) -> None:
    raise UnknownNameError("fruit", "aple", ["apple"])


def stumble(_report: Report) -> None:
    raise ValueError("two\nlines,   and spaces")


def disk_full(_report: Report) -> None:
    raise OSError(28, "No space left on device", "/a/file")


def signal_self(_report: Report, number: int) -> None:
    sys.stdout.write("first line of the log\n\nsecond\nthird\nlast words\n")
    sys.stdout.flush()
    os.kill(os.getpid(), number)


def leave(_report: Report, code: int) -> None:
    os._exit(code)


def unpicklable(_report: Report) -> object:
    return lambda: None


def shout(_report: Report) -> None:
    sys.stdout.write("printed\n")
    sys.stderr.write("printed to stderr\n")
    os.system("echo from a child; echo from a child to stderr >&2")  # noqa: S605 - below Python's own streams


def note_and_sleep(_report: Report, path: Path, seconds: float) -> float:
    tempfile.mkdtemp()
    (path / f"{os.getpid()}").touch()
    started = time.monotonic()
    time.sleep(seconds)
    return started


def temporary_file(_report: Report) -> str:
    handle, name = tempfile.mkstemp()
    os.close(handle)
    told = subprocess.run([sys.executable, "-c", "import tempfile; print(tempfile.gettempdir())"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert Path(told.stdout.strip()) == Path(name).parent
    return name


def signals_left_alone(_report: Report) -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_result_comes_back_from_another_process() -> None:
    assert run_in_worker(add, 2, 3) == 5
    assert run_in_worker(count, 0) != os.getpid()


def test_progress_comes_back_in_order() -> None:
    reports: list[Progress] = []
    run_in_worker(count, 3, report=reports.append)
    assert reports == [Progress(stage="count", done=n, total=3, detail=f"at {n}") for n in (1, 2, 3)]


def test_progress_that_nobody_wants_is_no_error() -> None:
    run_in_worker(count, 3)


def test_every_error_of_the_tree_keeps_its_type_and_message() -> None:
    tasks = [Task(fail, (error.__name__, f"message of {error.__name__}")) for error in ERRORS]
    outcomes = run_in_workers(tasks, at_once=4)
    assert [(type(outcome), str(outcome)) for outcome in outcomes] == [
        (error, f"message of {error.__name__}") for error in ERRORS
    ]


def test_an_error_whose_type_takes_other_arguments_keeps_its_message() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown fruit 'aple'; did you mean apple\?$"):
        run_in_worker(unknown_name)


def test_an_unexpected_exception_becomes_one_line_with_its_place() -> None:
    with pytest.raises(WorkerError) as raised:
        run_in_worker(stumble)
    line = stumble.__code__.co_firstlineno + 1
    assert str(raised.value) == f"stumble failed: ValueError: two lines, and spaces (test_worker.py:{line})"


def test_a_full_disk_in_a_worker_is_an_output_error() -> None:
    with pytest.raises(OutputError, match=r"^cannot write /a/file: No space left on device; free some space"):
        run_in_worker(disk_full)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL, signal.SIGTERM])
def test_a_death_by_signal_names_it_and_quotes_the_last_words(number: signal.Signals) -> None:
    with pytest.raises(WorkerError) as raised:
        run_in_worker(signal_self, number)
    message = str(raised.value)
    assert message.startswith(f"the worker process for signal_self died (signal {number.name}")
    assert message.endswith("; its last words: second | third | last words")
    assert ("memory runs out" in message) == (number == signal.SIGKILL)


def test_a_silent_death_names_its_exit_code() -> None:
    with pytest.raises(WorkerError, match=r"^the worker process for leave died \(exit code 7\)$"):
        run_in_worker(leave, 7)


def test_a_result_that_cannot_be_sent_is_an_error_in_one_line() -> None:
    with pytest.raises(WorkerError, match=r"^the worker process for unpicklable died \(exit code 1\)") as raised:
        run_in_worker(unpicklable)
    assert len(str(raised.value).splitlines()) == 1


def test_a_worker_that_failed_does_not_stop_the_others() -> None:
    tasks = [Task(add, (1, 1)), Task(stumble), Task(leave, (3,)), Task(add, (2, 2))]
    one, two, three, four = run_in_workers(tasks, at_once=2)
    assert (one, four) == (2, 4)
    assert isinstance(two, WorkerError)
    assert isinstance(three, WorkerError)


def test_no_tasks_give_no_results() -> None:
    assert run_in_workers([], at_once=2) == []


def test_results_keep_the_order_of_the_tasks_whichever_ends_first(tmp_path: Path) -> None:
    tasks = [Task(note_and_sleep, (tmp_path, 1.0)), *(Task(add, (n, 0)) for n in range(3))]
    slow, *quick = run_in_workers(tasks, at_once=2)
    assert isinstance(slow, float)
    assert quick == [0, 1, 2]


@pytest.mark.parametrize("at_once", [1, 2])
def test_no_more_than_at_once_run_together(tmp_path: Path, at_once: int) -> None:
    seconds = 0.4
    starts = run_in_workers([Task(note_and_sleep, (tmp_path, seconds))] * 4, at_once=at_once)
    together = [sum(start <= other < start + seconds for other in starts) for start in starts]
    assert max(together) <= at_once
    assert len(list(tmp_path.iterdir())) == 4, "a process of its own for each"


def test_two_at_once_do_run_together(tmp_path: Path) -> None:
    first, second = run_in_workers([Task(note_and_sleep, (tmp_path, 3.0))] * 2, at_once=2)
    assert abs(first - second) < 3.0


def test_what_workers_print_does_not_reach_us(capfd: pytest.CaptureFixture[str]) -> None:
    run_in_worker(shout)
    assert capfd.readouterr() == ("", "")


def test_an_exception_in_the_report_ends_the_worker() -> None:
    def refuse(_progress: Progress) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run_in_worker(count, 10, report=refuse)
    assert multiprocessing.active_children() == []


def test_temporary_files_of_a_worker_are_its_own_and_go_with_it() -> None:
    folder = Path(run_in_worker(temporary_file)).parent
    assert folder.parent == Path(tempfile.gettempdir())
    assert not folder.exists()


def test_ctrl_c_is_left_to_the_parent() -> None:
    assert run_in_worker(signals_left_alone)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, []), "ours is as it was"


def alive(pid: int) -> bool:
    """Whether the process runs; a dead one that nobody has collected does not."""
    done = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(done.stdout.strip()) and not done.stdout.strip().startswith("Z")


def wait_for(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not in {seconds} s"
        time.sleep(0.02)


PARENT = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.models.test_worker import note_and_sleep
from models.worker import Task, run_in_workers
if __name__ == "__main__":
    task = Task(note_and_sleep, (Path(sys.argv[2]), 60.0))
    try:
        print("ready", flush=True)
        run_in_workers([task, task], at_once=2)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
"""


@pytest.fixture
def parent(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A program in a process group of its own, about to run two workers that sleep and note their ids."""
    (tmp_path / "pids").mkdir()
    (tmp_path / "temporary").mkdir()
    (tmp_path / "parent.py").write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, tmp_path / "parent.py", ROOT, tmp_path / "pids"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path / "temporary")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def workers(tmp_path: Path) -> list[int]:
    return [int(path.name) for path in (tmp_path / "pids").iterdir()]


def test_ctrl_c_ends_parent_and_workers_at_once_and_without_noise(
    tmp_path: Path, parent: subprocess.Popen[str]
) -> None:
    wait_for(lambda: len(workers(tmp_path)) == 2)
    started = time.monotonic()
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=20) == ("interrupted\n", "")
    assert time.monotonic() - started < 5
    assert not any(alive(pid) for pid in workers(tmp_path))
    assert not list((tmp_path / "temporary").iterdir())


@pytest.mark.parametrize("delay_s", [0.0, 0.05, 0.1, 0.2, 0.4])
def test_ctrl_c_while_workers_start_is_as_quiet(tmp_path: Path, parent: subprocess.Popen[str], delay_s: float) -> None:
    time.sleep(delay_s)
    os.killpg(parent.pid, signal.SIGINT)
    assert parent.communicate(timeout=20) == ("interrupted\n", "")
    assert not any(alive(pid) for pid in workers(tmp_path))


AMID_A_START = """
import os, signal, sys, threading, time
from multiprocessing import util
sys.path.insert(0, sys.argv[1])
from tests.models.test_worker import count
from models.worker import run_in_worker

spawn = util.spawnv_passfds

def interrupted(*args):
    pid = spawn(*args)
    os.kill(os.getpid(), getattr(signal, sys.argv[2]))
    time.sleep(0.05)
    return pid

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # It takes the signals that the main thread blocks, as a thread of NumPy's does.
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    run_in_worker(count, 0)
    util.spawnv_passfds = interrupted
    try:
        run_in_worker(count, 0)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        time.sleep(1)  # for a process that is left to complain
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_amid_the_start_of_a_process_waits_for_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "amid.py").write_text(AMID_A_START)
    ran = subprocess.run(
        [sys.executable, tmp_path / "amid.py", ROOT, name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (ran.stdout, ran.stderr) == ("interrupted\n", "")


def test_workers_can_be_started_from_any_thread() -> None:
    results: list[int] = []
    thread = threading.Thread(target=lambda: results.append(run_in_worker(add, 2, 3)))
    thread.start()
    thread.join()
    assert results == [5]


def test_workers_do_not_outlive_a_parent_that_is_killed(tmp_path: Path, parent: subprocess.Popen[str]) -> None:
    wait_for(lambda: len(workers(tmp_path)) == 2)
    pids = workers(tmp_path)
    assert all(alive(pid) for pid in pids)
    parent.send_signal(signal.SIGKILL)
    wait_for(lambda: not any(alive(pid) for pid in pids), seconds=5)
    assert not list((tmp_path / "temporary").iterdir()), "what they had not removed yet"
