"""Two targets without a phone: one answers from a table, one runs the scripts in a real shell over a small root."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from device_bench.target import Command, Finished
from tests.device_bench import phone_texts

Answers = Mapping[str, str | bytes | tuple[str | bytes, int | None]]
"""Output by question, with an exit code that is not 0; None for one that was cut off."""


class _Quiet:
    """What these tests need of no target."""

    name = "fake phone"
    identity = "0123456789abcdef"

    def execute(self, command: Command, folder: str, *, timeout_s: float) -> Finished:
        raise NotImplementedError

    def push(self, local: Path, remote: str, *, executable: bool = False) -> None:
        raise NotImplementedError

    def pull(self, remote: str, local: Path, *, largest_bytes: int = 64 * 2**20) -> None:
        raise NotImplementedError

    def recover(self) -> None:
        """It answers always."""

    def shielded(self) -> AbstractContextManager[object]:
        return nullcontext()

    @contextmanager
    def session(self) -> Iterator[str]:
        yield "/data/local/tmp/device_bench/run"


def finished(stdout: bytes = b"", *, stderr: bytes = b"", exit_code: int = 0) -> Finished:
    return Finished(stdout=stdout, stderr=stderr, exit_code=exit_code, wall_s=0.0)


class TableTarget(_Quiet):
    """Answers the questions of `ask` by name; a name that is not in the table is a program that does not exist."""

    def __init__(self, answers: Answers) -> None:
        self.answers = dict(answers)
        self.unanswered: set[str] = set()
        self.asked = 0

    def shell(self, script: str, *, timeout_s: float = 15.0) -> Finished:
        assert timeout_s >= 15, "too short for dumpsys"
        self.asked += 1
        found = re.search("([0-9a-f]{16}) begin", script)
        assert found, "not a script of questions"
        mark = found[1].encode()
        parts = []
        for name in re.findall(r"^begin (\w+)$", script, re.MULTILINE):
            if name in self.unanswered:
                continue
            answer = self.answers.get(name, ("", 127))
            text, code = answer if isinstance(answer, tuple) else (answer, 0)
            end = b"" if code is None else b"\n%s end %d\n" % (mark, code)
            parts.append(
                b"\n%s begin %s\n%s%s" % (mark, name.encode(), text.encode() if isinstance(text, str) else text, end)
            )
        return finished(b"".join(parts))


@dataclass
class Root:
    """Files and commands of a pretended machine."""

    folder: Path
    tools: Path
    """Folder of the ordinary commands, found after the pretended ones."""

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.folder / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode() if isinstance(text, str) else text)
        return file

    def command(self, name: str, script: str) -> None:
        file = self.write(f"bin/{name}", f"#!/bin/sh\nstate={self.folder}/state\n{script}\n")
        file.chmod(0o755)

    def texts(self, name: str, answers: Mapping[str, str]) -> None:
        """A command that prints a text for each first argument; no argument is ``."""
        cases = []
        for argument, text in answers.items():
            file = self.write(f"texts/{name}-{argument}", text)
            cases.append(f"'{argument}') cat {file} ;;")
        self.command(
            name, 'case "${1:-}" in\n' + "\n".join(cases) + "\n*) echo Can\\'t find service: $1; exit 0;;\nesac"
        )

    def cpus(self, files: Mapping[str, str]) -> None:
        for path, value in files.items():
            self.write(f"sys/devices/system/cpu/{path}", value + "\n")

    def phone(self) -> None:
        """Manners of a phone; its settings are files in `state`."""
        self.texts("getprop", {"": phone_texts.GETPROP})
        self.texts("dumpsys", {"thermalservice": phone_texts.THERMAL, "battery": phone_texts.BATTERY})
        dump = self.folder / "bin/dumpsys"
        power = f'case "$1" in power) echo "  mWakefulness=$(cat {self.folder}/state/wakefulness)"; exit;; esac\n'
        head, body = dump.read_text().split("\n", 1)
        dump.write_text(f"{head}\n{power}{body}")
        for setting, value in {"stay_on_while_plugged_in": "0", "low_power": "0"}.items():
            self.write(f"state/{setting}", value)
        self.write("state/wakefulness", "Asleep")
        self.write("state/fixed", "false")
        self.command(
            "settings",
            'case "$1" in get) cat "$state/$3";; put) echo "$4" >"$state/$3";;'
            ' delete) echo null >"$state/$3"; echo Deleted 1 rows;; esac',
        )
        self.command(
            "input",
            'case "$2" in KEYCODE_WAKEUP) w=Awake;; KEYCODE_SLEEP) w=Asleep;; esac; echo "$w" >"$state/wakefulness"',
        )
        self.command("cmd", '[ "$1 $2" = "power set-fixed-performance-mode-enabled" ] && echo "$3" >"$state/fixed"')
        self.write("proc/cpuinfo", phone_texts.CPUINFO)
        self.write("proc/meminfo", phone_texts.MEMINFO)
        self.write("proc/loadavg", "1.25 1.10 1.05 2/4000 12345\n")
        self.write("proc/self/status", "Name:\tgrep\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n")
        self.cpus(phone_texts.CPU_FILES)
        (self.folder / "data/local/tmp").mkdir(parents=True, exist_ok=True)

    def state(self, name: str) -> str:
        return (self.folder / "state" / name).read_text().strip()


@dataclass
class ShellTarget(_Quiet):
    """Runs scripts by a real shell, with /sys, /proc, /etc and /data below a folder."""

    root: Root
    shell_words: tuple[str, ...]
    scripts: list[str] = field(default_factory=list)
    before: Callable[[str], None] = lambda _: None
    """Called with each script before it runs; may raise."""
    dies_after: str = ""
    """A line of the script that is the last to be carried out."""
    merged: bool = False
    """Error output comes as standard output, as over an old adb."""

    def shell(self, script: str, *, timeout_s: float = 15.0) -> Finished:
        self.scripts.append(script)
        self.before(script)
        folder = str(self.root.folder)
        if self.dies_after:
            script = script.partition(f"{self.dies_after}\n")[0] + f"{self.dies_after}\necho Killed >&2; exit 137"
        moved = re.sub(r"(?<![\w/.])/(?=(sys|proc|etc|data)/)", f"{folder}/", script)
        done = subprocess.run(
            [*self.shell_words, "-c", moved],
            env={"PATH": f"{folder}/bin:{self.root.tools}", "TMPDIR": folder},
            input=b"for nobody\n",
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if self.merged else subprocess.PIPE,
            timeout=timeout_s,
            check=False,
        )
        back = (stream.replace(folder.encode(), b"") for stream in (done.stdout, done.stderr or b""))
        return finished(next(back), stderr=next(back), exit_code=done.returncode)


_TOOLS = ("cat", "cut", "df", "getconf", "grep", "head", "ls", "mkdir", "mv", "printf", "rm", "sh", "sleep", "uname")

KINDS = ("dash and GNU tools", "mksh and toybox", "busybox")
"""A Debian board, nearly a phone, and a small board."""


def make_root(folder: Path, kind: str) -> tuple[Root, tuple[str, ...]]:
    """An empty machine of a kind, and the words that start its shell; skips where this machine lacks the programs."""
    program, multi = {KINDS[0]: ("dash", None), KINDS[1]: ("mksh", "toybox"), KINDS[2]: ("busybox", "busybox")}[kind]
    paths = {name: shutil.which(name) for name in (program, multi or "cat", *_TOOLS)}
    absent = [name for name in (program, multi or "cat") if not paths[name]]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed")
    tools = folder / "tools"
    tools.mkdir(parents=True)
    known: tuple[str, ...] = _TOOLS
    if multi:
        names = [multi, *(["--list"] if multi == "busybox" else [])]
        listed = subprocess.run(names, capture_output=True, text=True, check=True).stdout.split()
        known = tuple(name for name in _TOOLS if name in listed)
    for name in known:
        (tools / name).symlink_to(paths[multi or name] or "")
    root = folder / "root"
    (root / "bin").mkdir(parents=True)
    words = (paths[program] or program, "sh") if kind == "busybox" else (paths[program] or program,)
    return Root(folder=root, tools=tools), words
