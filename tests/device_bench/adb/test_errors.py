"""Every text of adb, device shells and linkers becomes one typed error with one next step."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.adb.errors import ADB_CAUSES, START_CAUSES, adb_error, excerpt, start_error, storage_error
from models.errors import DeviceError, LinkError, ProgramError, StorageError, UnreachableError

GOLDEN = Path(__file__).parents[2] / "golden"
SERIAL = "127.0.0.1:15555"

# Recording of adb 29 and of adb 36 -> type, transient, what the message says.
RECORDED = {
    "serial_unknown": (UnreachableError, True, "adb does not see it"),
    "shell_after_server_died": (UnreachableError, True, "adb does not see it"),
    "shell_when_gone": (UnreachableError, True, "it is offline"),
    "push_when_gone": (UnreachableError, True, "it is offline"),
    "push_full_disk": (StorageError, False, "its disk is full"),
    "push_readonly": (StorageError, False, "the folder is read-only"),
    "push_to_file_as_dir": (StorageError, False, "it refuses the file"),
    "push_missing_local": (DeviceError, False, "the local file has gone"),
    "pull_missing": (DeviceError, False, "there is no such file on it"),
    "kill_adbd_mid_push": (LinkError, True, "the connection broke"),
}

UNAUTHORIZED = """\
error: device unauthorized.
This adb server's $ADB_VENDOR_KEYS is not set
Try 'adb kill-server' if that seems wrong.
Otherwise check for a confirmation dialog on your device.
"""
NO_PERMISSION = """\
error: insufficient permissions for device: missing udev rules? user is in the plugdev group
See [http://developer.android.com/tools/device.html] for more information
"""

# Texts read in adb's sources, or too hard to provoke.
WRITTEN = [
    ("error: no devices/emulators found", UnreachableError, True, "no device is attached"),
    ("adb: error: failed to get feature set: no devices/emulators found", UnreachableError, True, "no device is"),
    ("error: more than one device/emulator", UnreachableError, False, "several devices"),
    ("adb: error: failed to get feature set: more than one device/emulator", UnreachableError, False, "several"),
    (
        UNAUTHORIZED,
        UnreachableError,
        False,
        "has not authorized this computer",
    ),
    ("failed to authenticate to 10.0.0.7:5555", UnreachableError, False, "has not authorized this computer"),
    ("error: device still authorizing", UnreachableError, True, "not ready yet"),
    ("error: device still connecting", UnreachableError, True, "not ready yet"),
    (
        NO_PERMISSION,
        UnreachableError,
        False,
        "this user may not open it",
    ),
    ("cannot connect to daemon at tcp:5037: Connection refused", UnreachableError, True, "server cannot be reached"),
    ("* failed to start daemon\nerror: cannot connect to daemon", UnreachableError, True, "server cannot be reached"),
    ("adb server version (39) doesn't match this client (41); killing...", DeviceError, False, "two versions of adb"),
    ("failed to connect to '127.0.0.1:5999': Connection refused", UnreachableError, True, "does not take the conn"),
    ("cannot resolve host 'nosuch' and port 5555: Name or service not known", UnreachableError, True, "does not take"),
    (
        "adb: error: failed to copy 'L' to 'R': remote couldn't create file: Permission denied",
        StorageError,
        False,
        "it refuses the file",
    ),
    ("adb: error: remote secure_mkdirs failed: Operation not permitted", StorageError, False, "it refuses the file"),
    ("error: closed", LinkError, True, "the connection broke"),
    ("error: protocol fault (couldn't read status): Success", LinkError, True, "the connection broke"),
]


def said(version: int, name: str) -> str:
    folder = GOLDEN / f"adb_{version}_faults" / name
    return (folder / "stderr").read_text() + (folder / "stdout").read_text()


@pytest.mark.parametrize("version", [29, 36])
@pytest.mark.parametrize("name", RECORDED)
def test_what_both_versions_of_adb_said_becomes_the_same_error(version: int, name: str) -> None:
    expected, transient, words = RECORDED[name]
    error = adb_error(said(version, name), SERIAL)
    assert type(error) is expected
    assert error.transient is transient
    assert f"device '{SERIAL}': {words}" in str(error)


@pytest.mark.parametrize(("text", "expected", "transient", "words"), WRITTEN)
def test_what_the_sources_of_adb_can_say_becomes_an_error(
    text: str, expected: type[DeviceError], transient: bool, words: str
) -> None:
    error = adb_error(text, "phone")
    assert type(error) is expected
    assert error.transient is transient
    assert words in str(error)
    assert "\n" not in str(error)


def test_every_row_is_reached_by_a_text_and_names_one_next_step() -> None:
    texts = [text for text, *_ in WRITTEN] + [said(version, name) for version in (29, 36) for name in RECORDED]
    reached = {next(cause for cause in ADB_CAUSES if re.search(cause.pattern, text, re.MULTILINE)) for text in texts}
    assert reached == set(ADB_CAUSES)
    for cause in ADB_CAUSES + START_CAUSES:
        assert len(cause.next_step) > 10
        assert ";" not in cause.what + cause.next_step


def test_an_error_quotes_the_telling_line_only() -> None:
    text = "* daemon not running; starting now at tcp:15037\n* daemon started successfully\nerror: device offline\n"
    assert str(adb_error(text, "a b")) == (
        "device 'a b': it is offline (adb says 'error: device offline'); "
        "plug it in again or connect it again, then run the same command"
    )


@pytest.mark.parametrize("version", [29, 36])
def test_a_push_that_went_well_is_no_error(version: int) -> None:
    assert adb_error(said(version, "push_noexec_bin"), SERIAL) is None


def test_a_serial_with_control_characters_is_shown_inert() -> None:
    assert "\x1b" not in str(adb_error("error: device offline", "\x1b[2J;$(reboot)"))


# What `exec PROGRAM` prints: exit code, text, program, what the message says.
NOT_STARTED = {
    "dash, missing": (127, "sh: 1: exec: ./b: not found", "./b", "there is no such program"),
    "dash, other processor": (126, "sh: 1: exec: ./b: Exec format error", "./b", "another processor"),
    "dash, noexec": (126, "sh: 1: exec: ./b: Permission denied", "./b", "refuses to execute"),
    "mksh, missing": (127, "E: sh: b: inaccessible or not found", "b", "there is no such program"),
    "mksh, other processor": (1, "E: sh: ./b: not executable: 64-bit ELF file", "./b", "another processor"),
    "Android, other processor": (
        126,
        "/system/bin/sh: ./b: not executable: 64-bit ELF file",
        "./b",
        "another processor",
    ),
    "mksh, no loader": (126, "E: sh: ./b: No such file or directory", "./b", "there is no such program"),
    "mksh, noexec": (126, "sh: ./b: can't execute: Permission denied", "./b", "refuses to execute"),
    "mksh, folder": (126, "sh: ./b: can't execute: Is a directory", "./b", "refuses to execute"),
    "busybox, missing": (127, "sh: exec: line 0: b: not found", "b", "there is no such program"),
    "busybox, other processor": (
        2,
        './b: line 0: syntax error: unexpected word (expecting ")")',
        "./b",
        "another processor",
    ),
    "bash, other processor": (
        126,
        "sh: line 1: /data/b: cannot execute binary file: Exec format error",
        "./b",
        "another processor",
    ),
    "bash, no loader": (127, "sh: line 1: /d/b: cannot execute: required file not found", "./b", "its loader"),
    "Android's linker": (
        1,
        'CANNOT LINK EXECUTABLE "./b": library "libX.so" not found: needed by main executable',
        "./b",
        "a library that it needs is missing",
    ),
    "glibc's linker": (
        127,
        "./b: error while loading shared libraries: libX.so: cannot open shared object file: No such file",
        "./b",
        "a library that it needs is missing",
    ),
}


@pytest.mark.parametrize("case", NOT_STARTED)
def test_a_program_that_was_not_started_is_an_error_and_no_result(case: str) -> None:
    exit_code, text, program, words = NOT_STARTED[case]
    error = start_error(exit_code, text + "\n", program, "phone")
    assert isinstance(error, ProgramError)
    assert not error.transient
    assert words in str(error)
    assert f"cannot start {program!r}" in str(error)


@pytest.mark.parametrize("version", [29, 36])
@pytest.mark.parametrize(
    ("name", "program"),
    [
        ("run_noexec", "/data/noexec/benchmark_model"),
        ("not_executable", "/data/local/tmp/mnet_int8.tflite"),
        ("wrong_arch_exec", "/data/local/tmp/bm_x86"),
    ],
)
def test_recorded_refusals_are_recognized(version: int, name: str, program: str) -> None:
    folder = GOLDEN / f"adb_{version}_faults" / name
    lines = [line for line in (folder / "stderr").read_text().splitlines() if "pushed" not in line]
    error = start_error(int((folder / "exit_code").read_text()), "\n".join(lines), program, SERIAL)
    assert isinstance(error, ProgramError)


@pytest.mark.parametrize(
    ("exit_code", "stderr"),
    [
        (0, "sh: 1: exec: ./b: not found"),
        (1, "ERROR: model.tflite: not found"),
        (1, "sh: 1: exec: ./b: not found"),
        (127, "INFO: STARTING!\nsh: 1: exec: ./b: not found"),
        (127, "ERROR: file ./b: not found"),
        (126, ""),
        (132, "Illegal instruction"),
    ],
)
def test_a_program_that_ran_and_failed_is_a_result(exit_code: int, stderr: str) -> None:
    assert start_error(exit_code, stderr, "./b", "phone") is None


def test_a_storage_error_without_known_words_still_says_where_and_what() -> None:
    error = storage_error("mkdir: '/x': Something odd", "phone", "'/x'")
    assert str(error) == (
        "device 'phone', '/x': the folder is refused (\"mkdir: '/x': Something odd\"); "
        "choose a folder on it that adb's user may write"
    )


@given(st.text(max_size=2000))
def test_an_excerpt_is_short_and_one_line_whatever_was_printed(text: str) -> None:
    shown = excerpt(text)
    assert len(shown) <= 200
    assert len(shown.splitlines()) <= 1
