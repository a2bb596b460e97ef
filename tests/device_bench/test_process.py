"""Programs run on this machine: bounded in time and output, and ended with all that they started."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from device_bench.process import OutputTooLargeError, Stopped, TimedOutError, run_process

ROOT = Path(__file__).parents[2]
SH = ("sh", "-c")


def running(mark: str) -> list[int]:
    """Processes whose command line holds `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        if mark.encode() in words and int(path.parent.name) != os.getpid():
            found.append(int(path.parent.name))
    return found


def gone(mark: str) -> bool:
    """Whether no process is left with `mark`, at the latest after ten seconds."""
    deadline = time.monotonic() + 10
    while running(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not running(mark)


def test_both_streams_and_the_exit_code_come_back_as_they_are() -> None:
    answer = run_process((*SH, r"printf '\377\r\n'; echo oops >&2; exit 7"), timeout_s=10)
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"\xff\r\n", b"oops\n", 7)
    assert 0 < answer.wall_s < 10


def test_a_signal_is_told_as_a_shell_tells_it() -> None:
    assert run_process((*SH, "kill -ILL $$"), timeout_s=10).exit_code == 132


def test_it_has_no_input() -> None:
    assert run_process(("cat",), timeout_s=10).stdout == b""


def test_no_shell_reads_its_words() -> None:
    words = ["$(echo x)", ";", "a'b", 'c"d', "e\nf", "-g"]
    answer = run_process([sys.executable, "-ISc", "import sys; print(sys.argv[1:])", *words], timeout_s=10)
    assert answer.stdout.decode() == f"{words}\n"


def test_the_time_is_for_all_of_it_though_something_comes_now_and_then() -> None:
    # It would end by itself some time: then nothing is raised.
    script = "for tick in $(seq 200); do echo tick; sleep 0.05; done"
    with pytest.raises(TimedOutError) as caught:
        run_process((*SH, script), timeout_s=0.4)
    assert caught.value.stdout.startswith(b"tick\n")


def test_a_timeout_ends_the_whole_group() -> None:
    with pytest.raises(TimedOutError):
        run_process((*SH, "sleep 3001.5 & sleep 3001.5"), timeout_s=0.3)
    assert gone("sleep 3001.5")


def test_endless_output_is_ended_before_it_is_large() -> None:
    with pytest.raises(OutputTooLargeError) as caught:
        run_process(("yes",), timeout_s=30, largest_bytes=10**6)
    assert 10**6 < len(caught.value.stdout) < 2 * 10**6


def test_a_daemon_that_keeps_the_pipes_is_not_waited_for() -> None:
    answer = run_process((*SH, "echo started; sleep 3002.5 &"), timeout_s=30, end_group=True)
    assert answer.stdout == b"started\n"
    assert gone("sleep 3002.5")


def test_a_stop_ends_it_though_nothing_comes_from_it() -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    with pytest.raises(Stopped):
        run_process(("sleep", "3003.5"), timeout_s=30, stop=stop)
    assert gone("sleep 3003.5")


def test_a_stop_passes_handlers_of_ordinary_errors() -> None:
    assert issubclass(Stopped, KeyboardInterrupt)
    assert not issubclass(Stopped, Exception)


def test_ctrl_c_ends_it() -> None:
    # In a process of its own: an interrupt that comes a moment too early or too late would end pytest.
    sleep = f"sleep 3004.{os.getpid()}"
    code = f"from device_bench.process import run_process\nrun_process({tuple(sleep.split())!r}, timeout_s=60)"
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stderr=subprocess.PIPE) as program:
        while not any(pid != program.pid for pid in running(sleep)):
            assert program.poll() is None
            time.sleep(0.01)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=20)
    assert b"KeyboardInterrupt" in said
    assert gone(sleep)


def test_a_program_that_is_not_there_is_an_error_of_the_system() -> None:
    with pytest.raises(FileNotFoundError):
        run_process(("/no/such/program",), timeout_s=1)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system does not place processes")
def test_it_runs_on_the_cpus_asked_for_and_this_thread_stays_where_it_was() -> None:
    before = os.sched_getaffinity(0)
    cpu = frozenset({max(before)})
    answer = run_process((*SH, "grep Cpus_allowed_list /proc/self/status"), timeout_s=10, cpus=cpu)
    assert answer.stdout.split()[1] == str(max(before)).encode()
    assert answer.allowed_cpus == cpu
    assert os.sched_getaffinity(0) == before


def test_held_signals_come_after_the_block() -> None:
    # In a process of its own: on a busy machine another thread of pytest's may take the signal, and too late.
    code = (
        "import os, signal, time\n"
        "from device_bench.process import signals_held\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "try:\n"
        "    with signals_held():\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(0.05)\n"
        "        print('to the end')\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted', signal.getsignal(signal.SIGINT) is signal.default_int_handler)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("to the end\ninterrupted True\n", "", 0)


def test_an_ignored_signal_stays_ignored() -> None:
    # As under nohup.
    code = (
        "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from device_bench.process import signals_held\n"
        "with signals_held(): os.kill(os.getpid(), signal.SIGHUP)\n"
        "print('alive')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("alive\n", 0)
