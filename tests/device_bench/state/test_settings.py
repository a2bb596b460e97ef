import json
import re

import pytest

from device_bench.state.questions import Answer
from device_bench.state.settings import FIXED_PERFORMANCE, SCREEN, SETTINGS, STAY_AWAKE, Change, Setting

OK = Answer(text="", exit_code=0)
ABSENT = Answer(text="", exit_code=127)


def says(text: str, code: int = 0) -> Answer:
    return Answer(text=text, exit_code=code)


@pytest.mark.parametrize("row", SETTINGS.values(), ids=lambda row: row.name)
def test_every_value_that_is_written_is_known_and_every_default_too(row: Setting) -> None:
    assert re.fullmatch(row.known, row.wanted)
    assert re.fullmatch(row.known, row.default)
    assert all(re.fullmatch(row.known, value) for value in row.suffices)


@pytest.mark.parametrize(
    ("row", "answer", "value"),
    [
        (STAY_AWAKE, says("0\n"), "0"),
        (STAY_AWAKE, says("null\n"), "null"),
        (STAY_AWAKE, says("15\n"), "15"),
        (SCREEN, says("  mWakefulness=Dozing\n"), "off"),
        (SCREEN, says("  mWakefulness=Dreaming\n"), "on"),
    ],
)
def test_values_are_read(row: Setting, answer: Answer, value: str) -> None:
    assert row.parse(answer) == (value, "")


@pytest.mark.parametrize(
    ("row", "answer", "reason"),
    [
        (STAY_AWAKE, says("16\n"), "settings says '16'"),
        (STAY_AWAKE, says("7; reboot\n"), "settings says '7; reboot'"),
        (
            STAY_AWAKE,
            says("Failure calling service settings\x1b[2J\n"),
            "settings says 'Failure calling service settings [2J'",
        ),
        (STAY_AWAKE, ABSENT, "no settings on this target"),
        (SCREEN, says("", 1), "dumpsys power failed with exit code 1"),
        (FIXED_PERFORMANCE, says("/system/bin/cmd\n"), "Android does not tell this setting"),
    ],
)
def test_what_cannot_be_read_has_its_reason(row: Setting, answer: Answer, reason: str) -> None:
    assert row.parse(answer) == (None, reason)


def test_a_setting_that_is_so_already_needs_no_change() -> None:
    change = STAY_AWAKE.found(says("15\n"))
    assert change is not None
    assert (change.outcome, change.before, change.after, change.missing) == ("unchanged", "15", "15", {})
    assert STAY_AWAKE.found(says("3\n")) is None
    assert FIXED_PERFORMANCE.found(says("/system/bin/cmd\n")) is None


@pytest.mark.parametrize("row", SETTINGS.values(), ids=lambda row: row.name)
def test_a_setting_whose_program_is_not_there_is_unavailable(row: Setting) -> None:
    change = row.found(ABSENT)
    assert change is not None
    assert (change.outcome, change.reason) == ("unavailable", f"no {row.program} on this target")
    assert set(change.missing) == {"before", "after"}


@pytest.mark.parametrize(
    ("said", "now", "outcome", "reason"),
    [
        (OK, says("7\n"), "changed", ""),
        (says("noise"), says("7\n"), "changed", ""),
        (says("SecurityException: no\x07\n", 255), says("0\n"), "refused", "SecurityException: no"),
        (OK, says("0\n"), "refused", "it is '0'"),
        (OK, ABSENT, "refused", "exit code 0"),
    ],
)
def test_only_what_is_read_back_is_changed(said: Answer, now: Answer, outcome: str, reason: str) -> None:
    change = STAY_AWAKE.judge("7", ("0", ""), said, now)
    assert (change.outcome, change.reason, change.before) == (outcome, reason, "0")


@pytest.mark.parametrize(
    ("said", "outcome", "reason"),
    [
        (OK, "accepted", ""),
        (says("Failed to set FIXED_PERFORMANCE mode\n", 255), "refused", "Failed to set FIXED_PERFORMANCE mode"),
        (says("Unknown command: set-fixed\n"), "refused", "Unknown command: set-fixed"),
        (says("", 9), "refused", "exit code 9"),
        (ABSENT, "unavailable", "no cmd power on this target"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_back_is_accepted_at_most(said: Answer, outcome: str, reason: str) -> None:
    change = FIXED_PERFORMANCE.judge("true", (None, "not told"), said, None)
    assert (change.outcome, change.reason, change.before, change.after) == (outcome, reason, None, None)
    assert change.missing == {"before": "not told", "after": "Android does not tell this setting"}


def test_an_unset_value_is_put_back_as_unset() -> None:
    assert STAY_AWAKE.write("null") == "settings delete global stay_on_while_plugged_in"
    assert STAY_AWAKE.write("0") == "settings put global stay_on_while_plugged_in 0"


def test_a_change_survives_json() -> None:
    change = FIXED_PERFORMANCE.judge("true", (None, "not told"), OK, None)
    assert Change.from_json(json.loads(json.dumps(change.to_json()))) == change
