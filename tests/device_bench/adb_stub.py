"""A stub of `adb`: answers from a table, or really runs the remote command in a local shell and copies files.

What it starts lives in a session of its own, as on a phone: it outlives the adb that started it.
"""

import ast
import marshal
import shutil
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.programs import first_lines

_PROGRAM = r"""import marshal, os, sys, time  # and nothing that takes long to import
from _signal import SIG_DFL, SIGPIPE, SIGXFSZ, signal
home = os.path.dirname(os.path.abspath(__file__))
words = sys.argv[1:]
with open(home + "/argv", "a") as log:
    log.write(ascii(words) + "\n")
def play(answer):
    action = answer.get("action")
    if action == "hang":
        time.sleep(60)
    if action == "endless":
        while True:
            os.write(1, b"x" * 65536)
    if action == "cut":  # the device dies in the middle, and adb 29 says 0
        reader, writer = os.pipe()
        start(remote, writer, 2)
        os.close(writer)
        os.write(1, open(reader, "rb").read()[: answer["at"]])
    os.write(1, answer.get("stdout", "").encode("latin-1"))
    os.write(2, answer.get("stderr", "").encode("latin-1"))
    sys.exit(answer.get("exit", 0))
def start(remote, stdout, stderr):
    child = os.fork()
    if not child:
        os.setsid()
        os.chdir("/")
        for number in (SIGPIPE, SIGXFSZ):  # which Python ignores
            signal(number, SIG_DFL)
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.execvpe(remote[0], remote, there)
    return child
given = marshal.load(open(home + "/given", "rb"))
there = given["environment"]
remote = [*given["shell"], "-c", words[-1] if words else ""]
if given["answers"]:
    import re
for number, answer in enumerate(given["answers"]):
    used = home + "/used-%d" % number
    times = os.path.getsize(used) if os.path.exists(used) else 0
    if times < answer["times"] and re.search(answer["match"], "\0".join(words), re.DOTALL):
        open(used, "a").write("x")
        play(answer)
serial = None
while words[:1] in (["-s"], ["-H"], ["-P"]):
    serial = words[1] if words[0] == "-s" else serial
    words = words[2:]
if words == ["version"]:
    print("Android Debug Bridge version 1.0.41")
elif words == ["devices", "-l"]:
    print("List of devices attached\n" + given["devices"])
elif words == ["features"]:
    print(given["features"])
elif words[:3] == ["shell", "-n", "-T"] or words[:1] == ["exec-out"]:
    if os.path.isdir(there["TMPDIR"] + "/of-" + serial.replace("/", "")):
        there["TMPDIR"] += "/of-" + serial
    child = start(remote, 1, 1 if words[0] == "exec-out" else 2)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.exit(0 if words[0] == "exec-out" else 128 - code if code < 0 else code)
elif words[:1] == ["push"]:
    if not os.path.isdir(os.path.dirname(words[2])):
        sys.exit("adb: error: failed to copy")
    with open(words[1], "rb") as source, open(words[2], "wb") as target:
        target.write(source.read())
    os.chmod(words[2], 0o666)
elif words[:1] == ["connect"]:
    print("connected to " + words[1])
elif words[:1] in (["disconnect"], ["start-server"]):
    pass
else:
    sys.exit("stub adb does not know %r" % (words,))
"""


@dataclass
class AdbStub:
    """One stub in a folder of its own."""

    folder: Path
    devices: str = "phone  device product:p model:m device:d transport_id:1\n"
    features: str = "shell_v2\ncmd\nstat_v2"
    shell: Sequence[str] = ("sh",)
    environment: Mapping[str, str] = field(default_factory=dict)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.folder / "tmp").mkdir(parents=True)
        self.program.write_text(first_lines("-IS") + _PROGRAM)
        self.program.chmod(0o755)
        self.save()

    @property
    def program(self) -> Path:
        """To be given as adb."""
        return self.folder / "adb"

    @property
    def base(self) -> Path:
        """Where the device keeps its runs."""
        return self.folder / "tmp" / "device_bench"

    def answer(self, match: str, *, times: int = 10**6, **what: Any) -> None:
        """Says what to answer, `times` times, to commands whose words, joined by NUL, match."""
        self.answers.append({"match": match, "times": times, **what})
        self.save()

    def save(self) -> None:
        """Makes changes known to the program."""
        device = {"PATH": "/usr/bin:/bin", "TMPDIR": str(self.folder / "tmp"), **self.environment}
        given = {
            "devices": self.devices,
            "features": self.features,
            "shell": list(self.shell),
            "environment": device,
            "answers": self.answers,
        }
        (self.folder / "given").write_bytes(marshal.dumps(given))

    def calls(self) -> list[list[str]]:
        """The words of every call so far."""
        path = self.folder / "argv"
        return [ast.literal_eval(line) for line in path.read_text().splitlines()] if path.exists() else []


def free_port() -> int:
    """A port of loopback where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def device_shells() -> dict[str, list[str]]:
    """The shells of phones and boards that this machine has, by name; None of them is needed."""
    known = {"dash": ["dash"], "mksh": ["mksh"], "busybox": ["busybox", "sh"], "bash": ["bash", "--posix"]}
    return {name: [str(shutil.which(words[0])), *words[1:]] for name, words in known.items() if shutil.which(words[0])}
