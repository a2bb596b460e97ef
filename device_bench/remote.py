"""Shell scripts that run on a device. Pure: text in, text out.

Only words that toybox, busybox, dash and mksh have in common are used. What comes from outside is a parameter of a
script, quoted once; never a part of it.
"""

from __future__ import annotations

import re
import secrets
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from models.errors import LinkError, UsageError

MARK = "DEVICE_BENCH_RUN"
"""Environment variable of every process that we start on a device: by it they are found again."""

_BEGIN = "begin"  # first line of an answer: without it, nothing was started

LARGEST_FILE_BYTES = 64 * 2**20
"""That a program may write on the device: more would not be fetched, and an endless log must not fill a phone."""


def quote(word: str) -> str:
    """A word as the shell of a device reads it back, whatever it holds.

    Raises:
        UsageError: it holds a NUL, which no command line can.
    """
    if "\0" in word:
        raise UsageError(f"{word!r} holds a NUL character, which no file name or argument can; use another name")
    return shlex.quote(word)


def script_call(script: str, *words: str) -> str:
    """One command that runs `script` with `words` as its parameters $1, $2 and so on."""
    return " ".join(["sh", "-c", *map(quote, (script, "sh", *words))])


@dataclass(frozen=True, slots=True)
class Seal:
    """The random line that ends an answer: without it, the answer was cut off, whatever adb's exit code says.

    A command holds it in two halves. So a device that shows its own command lines (`ps`) does not print it whole.
    """

    halves: tuple[str, str] = field(default_factory=lambda: (secrets.token_hex(8), secrets.token_hex(8)))

    @property
    def text(self) -> bytes:
        """As the device prints it."""
        return "".join(self.halves).encode()

    def sealed(self, command: str, mark: str) -> str:
        """`command` with its exit code and the seal printed after it, its processes marked."""
        first, second = self.halves
        return (
            f"echo {_BEGIN}; {MARK}={quote(mark)}; export {MARK}; {command} </dev/null; "
            f"r=$?; echo; echo {first}''{second}$r"
        )

    def opened(self, stdout: bytes) -> tuple[bytes, int]:
        """What the command printed, and its exit code.

        Raises:
            LinkError: the seal is not there, not at the end, or more than once (transient).
        """
        # A terminal between, as some old devices have it, writes every line end in two characters.
        end = b"\r\n" if stdout.startswith(f"{_BEGIN}\r\n".encode()) else b"\n"
        begin = _BEGIN.encode() + end
        found = re.search(end + self.text + rb"([0-9]{1,3})" + end + rb"\Z", stdout)
        if not stdout.startswith(begin) or not found or stdout.count(self.text) != 1:
            what = "was cut off" if self.text not in stdout else "is not what was asked for"
            raise LinkError(
                f"the device's answer {what}: {len(stdout)} bytes without a proper end; run the same command again",
                transient=True,
            )
        return stdout[len(begin) : found.start()].replace(end, b"\n"), int(found[1])


def exports(environment: Mapping[str, str]) -> str:
    """Assignments for the shell.

    Raises:
        UsageError: a name that no shell takes.
    """
    for name in environment:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise UsageError(f"{name!r} cannot be the name of an environment variable; letters, digits and _ can")
    return " ".join(f"export {name}={quote(value)};" for name, value in environment.items())


def format_cpus(mask: int) -> str:
    """A mask as the kernel lists it: `0-1,4` for 0x13."""
    cpus = [number for number in range(mask.bit_length()) if mask >> number & 1]
    return ",".join(f"{first}-{last}" if last > first else str(first) for first, last in _ranges(cpus))


def _ranges(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = 0
    for place, number in enumerate(numbers):
        if place + 1 == len(numbers) or numbers[place + 1] != number + 1:
            yield numbers[first], number
            first = place + 1


def is_run(name: str) -> bool:
    """Whether a folder's name is that of a run of ours: nothing else is ever removed."""
    return re.fullmatch(r"run-[0-9a-f]{32}", name) is not None


# A session. $1 folder of the run, a name; $2 who we are.
OPEN_SESSION = """
umask 077
for d in /data/local/tmp "$TMPDIR" /tmp ''; do [ -n "$d" ] && [ -d "$d" ] && break; done
[ -n "$d" ] || exit 81
base=$d/device_bench
[ ! -L "$base" ] || { echo "$base" >&2; exit 82; }
mkdir -p "$base" || exit 83
for o in "$base"/run-*; do
  [ ! -f "$o/.owner" ] || echo "left ${o##*/} $(cat "$o/.owner")"
done
run=$base/$1
mkdir "$run" || { rmdir "$base" 2>/dev/null; exit 83; }
t=$run/.try
sh=/system/bin/sh
[ -x $sh ] || sh=/bin/sh
r=83
if echo "$2" >"$run/.owner" && echo "#!$sh" >"$t" && echo 'exit 42' >>"$t" && chmod 700 "$t"; then
  "$t"
  r=$?
  rm -f "$t"
fi
[ $r != 42 ] || { echo "base $base"; exit 0; }
rm -rf "$run"
rmdir "$base" 2>/dev/null
[ $r = 126 ] || exit 83
echo "$base" >&2
exit 84
"""
NO_BASE, BASE_IS_LINK, BASE_REFUSED, BASE_NOEXEC = 81, 82, 83, 84

# $1 folder of the run. The folder above goes with it when nothing else is there.
CLOSE_SESSION = """
rm -rf "$1"
rmdir "${1%/*}" 2>/dev/null
[ ! -e "$1" ]
"""

# $1 signal, or 0 to look only; $2 a text in the mark or the command line, as a pattern that does not match itself;
# $3 $4 the halves of the path of a program's own folder (see below), in two because it holds that text; or empty.
# Prints the processes that it found and sent the signal; a zombie is none. The process group is known by the folder: a
# program that wipes its environment and its name does not escape. The folder goes with the last process.
END_PROCESSES = """
own=$3$4
group=none
[ -z "$own" ] || [ ! -s "$own/pid" ] || group=$(cat "$own/pid")
found=
for f in $(
  grep -lsz "$2" /proc/[0-9]*/environ /proc/[0-9]*/cmdline
  grep -ls ") [^ZX] [0-9]* $group " /proc/[0-9]*/stat
); do
  p=${f#/proc/}
  p=${p%%/*}
  kill "-$1" "$p" 2>/dev/null && found=yes && echo "$p"
done
[ -n "$found" ] || [ -z "$own" ] || rm -rf "$own"
exit 0
"""


def signal_call(text: str, *, number: int = 9, own_folder: str = "") -> str:
    """The command that ends all processes with `text` in their mark or command line, but not itself, and lists them.

    Args:
        text: Letters, digits and hyphens; at least two.
        number: Of the signal; 0 lists only.
        own_folder: Of a program, that goes too; its path holds `text`, or is empty.
    """
    cut = own_folder.find(text) + 1
    return script_call(END_PROCESSES, str(number), f"[{text[0]}]{text[1:]}", own_folder[:cut], own_folder[cut:])


# A program. $1 folder, $2 folder for our own files, $3 mask or empty, $4 how it is started, $5 what runs inside,
# $6 $7 the halves of the line between parts, then the program and its arguments.
EXECUTE = """
cd "$1" || exit 90
run=$2 mask=$3 start=$4 inside=$5 part=$6$7
shift 7
mkdir "$run" || exit 91
if [ -n "$mask" ]; then command -v taskset >/dev/null || { rmdir "$run"; exit 92; }; fi
group=
if command -v setsid >/dev/null; then group=setsid; fi
exec 2>"$run/shell"
$group sh -c "$start" sh "$run" "$mask" "$inside" "$@" >"$run/out" 2>"$run/err"
r=$?
[ -s "$run/pid" ] || r=unstarted
echo >"$run/full" || r=full
[ ! -e "$run/refused" ] || r=refused
for f in out err shell; do cat "$run/$f"; echo; echo "$part"; done
echo "$r"
cat "$run/cpus"
rm -rf "$run"
exit 0
"""
NO_FOLDER, RUN_REFUSED, NO_TASKSET = 90, 91, 92

# $1 folder for our own files, $2 mask or empty, $3 what runs inside, then program and arguments.
_START = f"""
run=$1 mask=$2 inside=$3
shift 3
echo $$ >"$run/pid" || exit 125
ulimit -f {LARGEST_FILE_BYTES // 512}
if [ -n "$mask" ]; then exec taskset "$mask" sh -c "$inside" sh "$run" "$@"; fi
exec sh -c "$inside" sh "$run" "$@"
"""


def execute_call(
    argv: Sequence[str], environment: Mapping[str, str], cpu_mask: int | None, folder: str, run: str, part: Seal
) -> str:
    """The command that runs a program and prints its outputs, its exit code and its CPUs, with `part` between them.

    Args:
        argv: Program and arguments.
        environment: Added to the device's own, for the program alone: its libraries must not reach our own tools.
        cpu_mask: CPUs that it must have, all of them and no other.
        folder: Where it runs.
        run: Path of a folder to be made for our own files.
        part: Between the parts of the answer.
    """
    expected = "*" if cpu_mask is None else quote(format_cpus(cpu_mask))
    inside = (
        "run=$1; shift; "
        'list=$(grep Cpus_allowed_list: /proc/self/status); list=${list##*[!0-9,-]}; echo "$list" >"$run/cpus"; '
        f'case $list in {expected}) ;; *) : >"$run/refused"; exit 125 ;; esac; '
        f'{exports(environment)} exec "$@"'
    )
    mask = "" if cpu_mask is None else f"{cpu_mask:x}"
    return script_call(EXECUTE, folder, run, mask, _START, inside, *part.halves, *argv)


# $1 the file as it arrived, $2 its final name, $3 mode, $4 its SHA-256, $5 its MD5 for devices without sha256sum.
FINISH_PUSH = """
[ -f "$1" ] || { echo 'no file' >&2; exit 72; }
if command -v sha256sum >/dev/null; then h=$(sha256sum <"$1") want=$4
elif command -v md5sum >/dev/null; then h=$(md5sum <"$1") want=$5
else exit 71; fi
[ "${h%% *}" = "$want" ] || { echo "$h" >&2; exit 72; }
[ ! -d "$2" ] || exit 73
chmod "$3" "$1" && mv -f "$1" "$2" || exit 74
"""
NO_DIGEST, OTHER_CONTENT, IS_FOLDER, MOVE_REFUSED = 71, 72, 73, 74

# $1 folder. Not every device has a `df` that can be read: then the push itself finds out.
FREE_SPACE = '[ -d "$1" ] || exit 75; df -Pk "$1" || :'
NO_SUCH_FOLDER = 75


def parse_free_bytes(text: str) -> int | None:
    """Free bytes in the output of `df -Pk`; None if it cannot be told."""
    found = re.search(r"\s[0-9]{1,18}\s+[0-9]{1,18}\s+([0-9]{1,18})\s+[0-9]{1,3}%\s", text)
    return int(found[1]) * 1024 if found else None


# $1 file, $2 how large it may be.
READ_FILE = """
[ -f "$1" ] || exit 61
s=$(($(wc -c <"$1"))) || exit 62
[ "$s" -le "$2" ] || { echo "$s"; exit 63; }
cat "$1" || exit 62
echo
if command -v sha256sum >/dev/null; then sha256sum <"$1"
elif command -v md5sum >/dev/null; then md5sum <"$1"
else exit 71; fi
"""
NO_FILE, UNREADABLE, TOO_LARGE = 61, 62, 63
