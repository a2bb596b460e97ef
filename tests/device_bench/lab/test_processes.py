from __future__ import annotations

import os
import subprocess
from pathlib import Path

from device_bench.lab.processes import kill_larger, list_processes
from device_bench.lab.recipe import QEMU


def _fake(proc: Path, pid: int, name: str, argv: list[str], *, rss_pages: int = 10) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True)
    (folder / "stat").write_text(f"{pid} ({name}) S 1 0 0 0")
    (folder / "cmdline").write_bytes("\0".join([*argv, ""]).encode())
    (folder / "statm").write_text(f"100 {rss_pages} 0 0 0 0 0")


def test_programs_are_listed_without_the_words_of_the_emulator(tmp_path: Path) -> None:
    _fake(tmp_path, 1, "python3", ["python3"])
    _fake(tmp_path, 7, "a) R 9 (b", [f"/x/{QEMU}", "/bin/sh", "-c", "echo a  b"])
    (tmp_path / "self").mkdir()
    (tmp_path / "9").mkdir()
    (found,) = list_processes(tmp_path)
    assert (found.pid, found.parent, found.state) == (7, 1, "S")
    assert found.argv == ("/bin/sh", "-c", "echo a  b")
    assert found.rss_bytes == 10 * os.sysconf("SC_PAGE_SIZE")


def test_only_programs_above_the_limit_are_killed(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as large, subprocess.Popen(["sleep", "60"]) as small:
        _fake(tmp_path, large.pid, "sleep", ["sleep"], rss_pages=2000)
        _fake(tmp_path, small.pid, "sleep", ["sleep"], rss_pages=20)
        victims = kill_larger(tmp_path, 1000 * os.sysconf("SC_PAGE_SIZE"), spared=None)
        assert [victim.pid for victim in victims] == [large.pid]
        assert large.wait(10) == -9
        assert small.poll() is None
        assert kill_larger(tmp_path, 10 * os.sysconf("SC_PAGE_SIZE"), spared=small.pid)[0].pid == large.pid
        assert small.poll() is None
        small.kill()
