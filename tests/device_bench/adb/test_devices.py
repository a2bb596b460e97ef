"""The list of adb, and what a selection of it means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.adb.devices import Choice, Device, choose_devices, parse_devices
from models.errors import DeviceError, UnknownNameError, UnreachableError, UsageError

LISTED = """\
List of devices attached
emulator-5554          device product:sdk_gphone64_arm64 model:sdk_gphone64 device:emu64a transport_id:2
0A041FDD4003AL         unauthorized usb:1-1 transport_id:3
127.0.0.1:15555        offline transport_id:4
R58M123                no permissions (missing udev rules? user is in the plugdev group); see [http://x/y] usb:3-1
odd name 7             device usb:1-4 product:p model:A_B device:d transport_id:9

"""


def device(serial: str, state: str = "device") -> Device:
    return Device(serial=serial, state=state, product=None, model=None, transport_id=None)


def test_every_line_becomes_a_device() -> None:
    listed = parse_devices(LISTED)
    assert [(row.serial, row.state, row.model, row.transport_id) for row in listed] == [
        ("emulator-5554", "device", "sdk_gphone64", 2),
        ("0A041FDD4003AL", "unauthorized", None, 3),
        ("127.0.0.1:15555", "offline", None, 4),
        ("R58M123", "no permissions", None, None),
        ("odd name 7", "device", "A_B", 9),
    ]


def test_start_up_chatter_of_old_versions_is_no_device() -> None:
    text = "* daemon not running; starting now at tcp:5037\n* daemon started successfully\n" + LISTED
    assert parse_devices(text) == parse_devices(LISTED)
    after = "List of devices attached\n* daemon started successfully\nabc\tdevice\n"
    assert [row.serial for row in parse_devices(after)] == ["abc"]


def test_an_unknown_state_is_not_usable() -> None:
    (row,) = parse_devices("List of devices attached\nabc\tdreaming\n")
    assert row.problem == "dreaming: plug it in again"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("offline", "does not answer; plug it in again"),
        ("unauthorized", "accept `Allow USB debugging?`"),
        ("authorizing", "wait a moment"),
        ("connecting", "wait a moment"),
        ("no permissions", "udev rules"),
        ("recovery", "start Android"),
        ("sideload", "start Android"),
        ("rescue", "start Android"),
        ("bootloader", "start Android"),
        ("host", "choose another"),
        ("detached", "adb attach"),
    ],
)
def test_every_state_but_device_is_a_problem_with_its_remedy(state: str, words: str) -> None:
    (row,) = parse_devices(f"List of devices attached\nabc                    {state} transport_id:1\n")
    assert row.state == state
    assert words in (row.problem or "")


@pytest.mark.parametrize("text", ["", "error: closed", "List of devices"])
def test_what_is_no_list_is_a_transient_error(text: str) -> None:
    with pytest.raises(DeviceError, match="printed no list") as caught:
        parse_devices(text)
    assert caught.value.transient


@given(st.text(max_size=300))
def test_whatever_is_printed_gives_devices_or_an_error(text: str) -> None:
    try:
        listed = parse_devices("List of devices attached\n" + text)
    except DeviceError:
        return
    assert all(row.serial for row in listed)


def test_the_only_usable_device_needs_no_name() -> None:
    rows = [device("a"), device("b", "offline")]
    assert choose_devices(rows, None) == Choice(devices=(rows[0],), unusable=(rows[1],))


def test_several_devices_need_a_choice_and_the_error_lists_them() -> None:
    with pytest.raises(UsageError, match=r"2 devices are attached: a, b; choose with a serial or `all`"):
        choose_devices([device("a"), device("b")], None)


def test_no_device_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UnreachableError, match=r"no device is attached.*USB debugging.*make lab"):
        choose_devices([], None)


@pytest.mark.parametrize("selection", [None, "all"])
def test_only_unusable_devices_are_an_error_with_each_reason(selection: str | None) -> None:
    with pytest.raises(UnreachableError, match=r"a unauthorized: unlock .*, b offline: it does not answer"):
        choose_devices([device("a", "unauthorized"), device("b", "offline")], selection)


def test_all_means_the_usable_ones_and_reports_the_others() -> None:
    rows = [device("a"), device("b", "offline"), device("c")]
    assert choose_devices(rows, "all") == Choice(devices=(rows[0], rows[2]), unusable=(rows[1],))


def test_serials_are_taken_in_their_order_and_once() -> None:
    rows = [device("a"), device("b"), device("c")]
    assert [row.serial for row in choose_devices(rows, "c,a,c").devices] == ["c", "a"]


def test_an_unknown_serial_offers_near_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown device 'emulator-5556'; did you mean emulator-5554"):
        choose_devices([device("emulator-5554"), device("b")], "emulator-5556")


def test_a_named_device_that_cannot_be_used_is_an_error() -> None:
    with pytest.raises(UnreachableError, match="cannot use b unauthorized"):
        choose_devices([device("a"), device("b", "unauthorized")], "a,b")


@pytest.mark.parametrize("selection", ["all", "0123456789ABCDEF", None])
def test_two_devices_with_one_serial_are_refused(selection: str | None) -> None:
    rows = [device("0123456789ABCDEF"), device("0123456789ABCDEF")]
    with pytest.raises(UsageError, match=r"two devices have the serial|2 devices are attached"):
        choose_devices(rows, selection)


@pytest.mark.parametrize("selection", ["", ","])
def test_an_empty_selection_is_refused(selection: str) -> None:
    with pytest.raises(UsageError, match="names no device"):
        choose_devices([device("a")], selection)
