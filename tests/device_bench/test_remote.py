"""Scripts for devices: quoting, the seal of an answer, lists of CPUs."""

import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from device_bench.remote import (
    Seal,
    exports,
    format_cpus,
    is_run,
    parse_free_bytes,
    quote,
    script_call,
    signal_call,
)
from models.errors import LinkError, UsageError

GOLDEN = Path(__file__).parents[1] / "golden"
WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)


def answered(command: str) -> bytes:
    return subprocess.run(["sh", "-c", command], stdout=subprocess.PIPE, check=False).stdout


@settings(deadline=None)  # it starts a process
@given(st.lists(WORDS, max_size=4))
@example(["-n", "it's", 'a "b"', "$(reboot)", ";", "a\nb", "*", ""])
def test_a_script_gets_its_words_as_they_are(words: list[str]) -> None:
    call = script_call('for w in "$@"; do printf "%s\\0" "$w"; done', *words)
    assert answered(call) == b"".join(word.encode() + b"\0" for word in words)


def test_a_word_with_a_nul_is_refused() -> None:
    with pytest.raises(UsageError, match=r"holds a NUL character.*use another name"):
        quote("a\0b")


@pytest.mark.parametrize("name", ["A-B", "", "1A", "A B", "A;reboot"])
def test_a_variable_with_an_impossible_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an environment variable"):
        exports({name: "x"})


@pytest.mark.parametrize(
    ("command", "stdout", "exit_code"),
    [
        ("echo hi", b"hi\n", 0),
        ("printf 'no line end'", b"no line end", 0),
        (script_call("exit 7"), b"", 7),
        (script_call("kill -9 $$"), b"", 137),
        (script_call("syntax ( error"), b"", 2),
        (script_call("cat /proc/$PPID/cmdline; ps -ef 2>/dev/null"), None, None),
        (r"printf '\377\000\r\n'", b"\xff\0\r\n", 0),
    ],
)
def test_an_answer_comes_back_with_its_exit_code(command: str, stdout: bytes | None, exit_code: int | None) -> None:
    seal = Seal()
    got, code = seal.opened(answered(seal.sealed(command, "mark")))
    if stdout is not None:
        assert (got, code) == (stdout, exit_code)


def test_processes_carry_their_mark() -> None:
    seal = Seal()
    answer = seal.opened(answered(seal.sealed("sh -c 'echo \"$DEVICE_BENCH_RUN\"'", "run-1/it's")))
    assert answer == (b"run-1/it's\n", 0)


def test_line_ends_of_a_terminal_are_taken_back() -> None:
    seal = Seal()
    text = answered(seal.sealed("echo hi", "m")).replace(b"\n", b"\r\n")
    assert seal.opened(text) == (b"hi\n", 0)


def test_line_ends_that_the_program_wrote_stay() -> None:
    seal = Seal()
    assert seal.opened(answered(seal.sealed(r"printf 'hi\r\nho\r'", "m"))) == (b"hi\r\nho\r", 0)


def test_an_answer_cut_anywhere_is_a_transient_error() -> None:
    seal = Seal()
    whole = answered(seal.sealed("echo one; echo two; exit 3", "m"))
    for length in range(len(whole)):
        with pytest.raises(LinkError, match="run the same command again") as caught:
            seal.opened(whole[:length])
        assert caught.value.transient


@pytest.mark.parametrize("version", [29, 36])
@pytest.mark.parametrize("name", ["kill_adbd_mid_shell", "kill_server_mid_shell"])
def test_recorded_answers_of_dying_devices_are_cut_off_though_adb_29_returned_0(version: int, name: str) -> None:
    folder = GOLDEN / f"adb_{version}_faults" / name
    assert (folder / "exit_code").read_text().strip() == {29: "0", 36: "255"}[version]
    with pytest.raises(LinkError, match="was cut off"):
        Seal().opened(b"begin\n" + (folder / "stdout").read_bytes())


def test_a_forged_seal_is_no_answer() -> None:
    seal = Seal()
    forged = b"begin\nresult\n" + seal.text + b"0\n"
    seal.opened(forged)
    for text in (forged + b"\n" + seal.text + b"1\n", forged + b"more\n", b"begin\n" + seal.text + b"0\n" + forged):
        with pytest.raises(LinkError, match="is not what was asked for"):
            seal.opened(text)


def test_every_seal_is_another_and_no_command_shows_it_whole() -> None:
    seal = Seal()
    assert Seal().text != seal.text
    assert seal.text.decode() not in seal.sealed("true", "m")


@given(st.integers(1, 2**40))
def test_a_list_of_cpus_names_exactly_those_of_the_mask(mask: int) -> None:
    total = 0
    for part in format_cpus(mask).split(","):
        first, _, last = part.partition("-")
        total += sum(1 << number for number in range(int(first), int(last or first) + 1))
    assert total == mask


@pytest.mark.parametrize(("mask", "text"), [(1, "0"), (0xF0, "4-7"), (0x13, "0-1,4"), (0b1011, "0-1,3")])
def test_cpus_are_listed_as_the_kernel_does(mask: int, text: str) -> None:
    assert format_cpus(mask) == text


@pytest.mark.parametrize(
    ("text", "free_bytes"),
    [
        # coreutils, toybox, busybox
        ("Filesystem     1024-blocks     Used Available Capacity Mounted on\ntmpfs 4096 96 4000 3% /data\n", 4096000),
        ("Filesystem  1K-blocks Used Available Use% Mounted on\n/dev/fuse 9 4 5 45% /storage/a b\n", 5120),
        ("Filesystem               Size     Used     Free   Blksize\n/data     1.0G   500.0M   500.0M   4096\n", None),
        ("", None),
        ("df: no such thing", None),
    ],
)
def test_free_space_is_read_or_unknown(text: str, free_bytes: int | None) -> None:
    assert parse_free_bytes(text) == free_bytes


@pytest.mark.parametrize(
    "names", [("/dev/vda", "/"), ("/dev/block/dm-5 of 9 9", "/data/my 5% disk"), ("//host/my share", "/mnt")]
)
def test_free_space_is_the_third_number_before_the_share(names: tuple[str, str]) -> None:
    device, mount = names
    head = "Filesystem     1024-blocks     Used Available Capacity Mounted on\n"
    assert parse_free_bytes(f"{head}{device}  264212084 34370292  72020620      33% {mount}\n") == 72020620 * 1024


def test_another_df_does_not_tell() -> None:
    assert parse_free_bytes("Filesystem Size Used Avail Use% Mounted on\n/dev/x 5G 2G 3G 40% /\n") is None


@given(st.text(max_size=400))
def test_free_space_of_any_text_is_read_or_unknown(text: str) -> None:
    free_bytes = parse_free_bytes(text)
    assert free_bytes is None or free_bytes >= 0


def test_the_free_space_of_half_a_megabyte_takes_no_time() -> None:
    started = time.monotonic()
    for text in ("1 ", " 1 1 1 ", "\n"):
        parse_free_bytes(text * (500_000 // len(text)))
    assert time.monotonic() - started < 5


def test_the_command_that_ends_processes_does_not_name_itself() -> None:
    name = "exec-0123456789abcdef"
    call = signal_call(name, own_folder=f"/data/local/tmp/device_bench/run-1/.{name}")
    assert name not in call


@pytest.mark.parametrize("name", ["run-", "run-" + "0" * 31, "run-" + "g" * 32, "../run-" + "0" * 32, "restore"])
def test_only_folders_of_runs_are_taken_for_such(name: str) -> None:
    assert is_run("run-" + "0a" * 16)
    assert not is_run(name)
