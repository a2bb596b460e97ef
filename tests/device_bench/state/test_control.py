import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from device_bench.state.control import JOURNAL, changed_settings, restore_left_over
from device_bench.state.settings import Change
from device_bench.target import DeviceUnderTest, Finished
from models.errors import DeviceError
from tests.device_bench.fake_targets import KINDS, ShellTarget, make_root

START = {"stay_on_while_plugged_in": "0", "wakefulness": "Asleep", "fixed": "false"}
CHANGED = {"stay_on_while_plugged_in": "7", "wakefulness": "Awake", "fixed": "true"}


class Phone(ShellTarget):
    """A phone whose settings are files."""

    def settings(self) -> dict[str, str]:
        return {name: self.root.state(name) for name in START}

    @property
    def journal(self) -> Path:
        return self.root.folder / JOURNAL.lstrip("/")


def make_phone(folder: Path, kind: str) -> Phone:
    phone = Phone(*make_root(folder, kind))
    phone.root.phone()
    return phone


@pytest.fixture(params=KINDS)
def phones(request: pytest.FixtureRequest, tmp_path: Path) -> Phone:
    return make_phone(tmp_path, request.param)


@pytest.fixture
def phone(tmp_path: Path) -> Phone:
    return make_phone(tmp_path, KINDS[0])


@contextmanager
def changed(target: DeviceUnderTest, journal: str = JOURNAL) -> Iterator[dict[str, Change]]:
    with changed_settings(
        target, stay_awake=True, fixed_performance=True, journal=journal, sleep=lambda _: None
    ) as changes:
        yield {change.setting: change for change in changes}


def test_settings_are_changed_and_put_back(phones: Phone) -> None:
    with changed(phones) as changes:
        assert phones.settings() == CHANGED
        outcomes = {name: change.outcome for name, change in changes.items()}
        assert outcomes == {"stay_awake": "changed", "screen": "changed", "fixed_performance": "accepted"}
        assert (changes["stay_awake"].before, changes["stay_awake"].after) == ("0", "7")
        assert phones.journal.stat().st_mode & 0o777 == 0o600
    assert phones.settings() == START
    assert list(phones.journal.parent.iterdir()) == []


def test_only_what_was_asked_for_is_touched(phone: Phone) -> None:
    with changed_settings(phone, fixed_performance=True) as changes:
        assert [change.setting for change in changes] == ["fixed_performance"]
        assert phone.settings() == {**START, "fixed": "true"}
    with changed_settings(phone) as changes:
        assert changes == ()
        assert phone.settings() == START
    assert not any("settings put" in script for script in phone.scripts)


def test_what_is_so_already_stays_so_afterwards(phone: Phone) -> None:
    phone.root.write("state/wakefulness", "Awake")
    phone.root.write("state/stay_on_while_plugged_in", "15")
    with changed_settings(phone, stay_awake=True) as changes:
        assert [change.outcome for change in changes] == ["unchanged", "unchanged"]
        assert not phone.journal.exists()
    assert phone.settings() == {**START, "wakefulness": "Awake", "stay_on_while_plugged_in": "15"}


def test_a_value_that_was_never_set_is_unset_again(phone: Phone) -> None:
    phone.root.write("state/stay_on_while_plugged_in", "null")
    with changed(phone):
        assert phone.settings() == CHANGED
    assert phone.settings() == {**START, "stay_on_while_plugged_in": "null"}


def test_the_old_values_are_on_the_phone_before_the_first_change(phone: Phone) -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    def look(script: str) -> None:
        if "settings put" in script and not seen:
            seen.append((phone.journal.read_text(), phone.settings()))

    phone.before = look
    with changed(phone):
        pass
    text = "device_bench settings 1\nstay_awake=0\nscreen=off\nfixed_performance=false\n"
    assert seen == [(text, START)]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
def test_any_end_puts_the_settings_back(phone: Phone, error: type[BaseException]) -> None:
    with pytest.raises(error), changed(phone):
        raise error
    assert phone.settings() == START
    assert not phone.journal.exists()


@pytest.mark.parametrize("number", range(1, 9))
def test_an_interruption_at_any_round_trip_leaves_the_settings_or_the_means_to_put_them_back(
    phone: Phone, number: int
) -> None:
    left = [number]

    def interrupt(_: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KeyboardInterrupt

    phone.before = interrupt
    with pytest.raises(KeyboardInterrupt), changed(phone):
        pass
    phone.before = lambda _: None
    assert phone.settings() == START or phone.journal.exists()
    restore_left_over(phone)
    assert phone.settings() == START
    assert not phone.journal.exists()


def test_a_screen_that_wakes_slowly_is_waited_for(phone: Phone) -> None:
    wakes: list[float] = []

    def sleep(seconds: float) -> None:
        wakes.append(seconds)
        if len(wakes) == 2:
            phone.root.write("state/wakefulness", "Awake")

    phone.root.command("input", "exit 0")
    with changed_settings(phone, stay_awake=True, sleep=sleep) as changes:
        assert [change.outcome for change in changes] == ["changed", "changed"]
        assert wakes == [1.0, 1.0]
        phone.root.write("state/wakefulness", "Asleep")


def test_what_the_phone_refuses_is_reported_and_not_put_back(phone: Phone) -> None:
    said = "Failed to set FIXED_PERFORMANCE mode"
    phone.root.command("cmd", f"echo {said} >&2; echo tried >>$state/tries; exit 255")
    with changed(phone) as changes:
        assert (changes["fixed_performance"].outcome, changes["fixed_performance"].reason) == ("refused", said)
        assert changes["stay_awake"].outcome == "changed"
        assert "fixed_performance" not in phone.journal.read_text()
    assert phone.settings() == START
    assert phone.root.state("tries") == "tried"


def test_a_setting_that_silently_stays_is_refused(phone: Phone) -> None:
    phone.root.command("settings", 'case "$1" in get) cat "$state/$3";; *) echo SecurityException: not you >&2;; esac')
    with changed(phone) as changes:
        assert (changes["stay_awake"].outcome, changes["stay_awake"].reason) == (
            "refused",
            "SecurityException: not you",
        )
    assert phone.settings() == START


def test_a_machine_without_android_has_none_of_the_settings(tmp_path: Path) -> None:
    board = Phone(*make_root(tmp_path, KINDS[0]))
    with changed(board) as changes:
        outcomes = {name: (change.outcome, change.reason) for name, change in changes.items()}
    assert outcomes == {
        "stay_awake": ("unavailable", "no settings on this target"),
        "screen": ("unavailable", "no dumpsys power on this target"),
        "fixed_performance": ("unavailable", "no cmd power on this target"),
    }
    assert len(board.scripts) == 2
    assert not (board.root.folder / "data").exists()


def test_without_a_journal_nothing_is_changed(phone: Phone) -> None:
    (phone.root.folder / "data/local/tmp/device_bench").write_text("a file is in the way")
    message = (
        r"fake phone cannot note its old settings in /data/local/tmp/device_bench/restore: .*; nothing was changed"
    )
    with pytest.raises(DeviceError, match=message), changed(phone):
        pytest.fail("measured without a way back")
    assert phone.settings() == START


def test_a_journal_that_did_not_arrive_whole_is_no_journal(phone: Phone) -> None:
    phone.root.command("mv", "exit 0")
    with pytest.raises(DeviceError, match="nothing was changed"), changed(phone):
        pytest.fail("measured without a way back")
    assert phone.settings() == START


def test_a_setting_that_does_not_go_back_is_an_error_and_the_journal_stays(phone: Phone) -> None:
    message = (
        r"fake phone does not put back stay_awake to '0' \(it is '7'\); set it by hand and remove"
        r" /data/local/tmp/device_bench/restore from the device"
    )
    with pytest.raises(DeviceError, match=message), changed(phone):
        phone.root.command("settings", 'case "$1" in get) cat "$state/$3";; esac')
    assert phone.journal.exists()
    phone.root.phone()
    phone.root.write("state/stay_on_while_plugged_in", "7")
    assert [change.outcome for change in restore_left_over(phone)] == ["changed", "changed", "accepted"]
    assert phone.settings() == START


def test_a_screen_that_stays_on_is_no_error_for_it_goes_off_by_itself(
    phone: Phone, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), changed(phone):
        phone.root.command("input", "exit 0")
    assert "fake phone does not put back screen to 'off' (it is 'on')" in caplog.text
    assert phone.settings() == {**START, "wakefulness": "Awake"}
    assert not phone.journal.exists()


def test_an_error_of_the_measurement_is_not_hidden_by_one_of_the_restoring(
    phone: Phone, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(_: str) -> None:
        raise DeviceError("device gone")

    def measure() -> None:
        phone.before = lost
        raise ValueError("the first")

    with caplog.at_level(logging.WARNING), pytest.raises(ValueError, match="the first"), changed(phone):
        measure()
    assert "device gone" in caplog.text
    phone.before = lambda _: None
    restore_left_over(phone)
    assert phone.settings() == START


def test_a_connection_lost_at_the_end_is_tried_once_more(phone: Phone) -> None:
    recovered: list[str] = []

    class Flaky(Phone):
        def recover(self) -> None:
            recovered.append("again")
            self.before = lambda _: None

    def lost(_: str) -> None:
        raise DeviceError("connection lost", transient=True)

    flaky = Flaky(phone.root, phone.shell_words)
    with changed(flaky):
        flaky.before = lost
    assert recovered == ["again"]
    assert phone.settings() == START
    assert not phone.journal.exists()


def test_restoring_is_shielded_where_the_target_has_a_shield(phone: Phone) -> None:
    shield: list[str] = []

    class Shielded(Phone):
        @contextmanager
        def shielded(self) -> Iterator[None]:
            shield.append("up")
            yield
            shield.append("down")

        def shell(self, script: str, *, timeout_s: float = 15.0) -> Finished:
            if "KEYCODE_SLEEP" in script:
                shield.append("restores")
            return super().shell(script, timeout_s=timeout_s)

    target = Shielded(phone.root, phone.shell_words)
    with changed(target):
        assert shield == []
    assert shield == ["up", "restores", "down"]


# What a killed benchmark left


def test_nothing_left_over_is_one_look(phones: Phone) -> None:
    assert restore_left_over(phones) == ()
    assert len(phones.scripts) == 1


def test_a_second_benchmark_first_puts_back_what_the_first_one_left(phone: Phone) -> None:
    phone.journal.parent.mkdir()
    phone.journal.write_text("device_bench settings 1\nstay_awake=3\nscreen=off\n")
    for name, value in CHANGED.items():
        phone.root.write(f"state/{name}", value)
    with changed(phone) as changes:
        assert (changes["stay_awake"].before, changes["screen"].before) == ("3", "off")
    assert phone.settings() == {**START, "stay_on_while_plugged_in": "3"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "device_bench settings 2\nstay_awake=0\n",
        "device_bench settings 1\nstay_awake=0; touch evil\n",
        "device_bench settings 1\nstay_awake=$(touch evil)\n",
        "device_bench settings 1\nbrightness=0\n",
        "device_bench settings 1\nstay_awake=0\nstay_awake=7\n",
        "device_bench settings 1\nscreen\n",
        "device_bench settings 1\n" + "stay_awake=0\n" * 1000,
        "\x1b[2J\x00\xff",
    ],
)
def test_a_journal_with_other_words_runs_nothing_and_is_an_error(phone: Phone, text: str) -> None:
    phone.journal.parent.mkdir()
    phone.journal.write_text(text or "\n")
    with pytest.raises(DeviceError, match=r"should hold settings to put back, and cannot be read") as caught:
        restore_left_over(phone)
    assert str(caught.value).isprintable()
    assert phone.settings() == START
    assert not list(phone.root.folder.rglob("evil"))
    assert phone.journal.exists()


def test_a_journal_that_cannot_be_read_is_an_error(phone: Phone) -> None:
    phone.journal.mkdir(parents=True)
    with pytest.raises(DeviceError, match="cannot be read"):
        restore_left_over(phone)


def test_a_journal_that_cannot_be_removed_is_an_error(phone: Phone) -> None:
    phone.root.command("rm", 'case "$*" in *partial) exit 0;; esac; echo Read-only file system >&2; exit 1')
    with pytest.raises(DeviceError, match="keeps their journal: Read-only file system; remove"), changed(phone):
        pass
    assert phone.settings() == START


@pytest.mark.parametrize("journal", ["/data/local/tmp/it's; touch evil/re store", "/data/$(touch evil)/r"])
def test_a_journal_of_any_name_is_one_word(phones: Phone, journal: str) -> None:
    with changed(phones, journal=journal):
        assert (phones.root.folder / journal.lstrip("/")).is_file()
    assert phones.settings() == START
    assert not list(phones.root.folder.rglob("evil"))


_BENCHMARK = """
import sys, time
from pathlib import Path
from device_bench.state.control import changed_settings
from tests.device_bench.fake_targets import Root, ShellTarget
target = ShellTarget(Root(folder=Path(sys.argv[1]), tools=Path(sys.argv[2])), (sys.argv[3],))
with changed_settings(target, stay_awake=True, fixed_performance=True):
    print("changed", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_the_phone_of_a_benchmark_that_ends_by_a_signal_is_as_before(phone: Phone, number: int) -> None:
    words = [sys.executable, "-c", _BENCHMARK, str(phone.root.folder), str(phone.root.tools), *phone.shell_words]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=root, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "changed\n"
        assert phone.settings() == CHANGED
        process.send_signal(number)
        process.wait(timeout=20)
    killed = number == signal.SIGKILL
    assert phone.settings() == (CHANGED if killed else START)
    assert len(restore_left_over(phone)) == (3 if killed else 0)
    assert phone.settings() == START
