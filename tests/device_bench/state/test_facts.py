import json
import platform
import subprocess
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest

from device_bench.state.facts import DeviceFacts, read_facts
from device_bench.target import Finished
from models.errors import DeviceError
from tests.device_bench.fake_targets import KINDS, Answers, ShellTarget, TableTarget, finished, make_root
from tests.device_bench.phone_texts import CPUINFO, GETPROP, MEMINFO

PHONE: Answers = {
    "getprop": GETPROP,
    "kernel": "Linux 5.4.254-android\n",
    "machine": "aarch64\n",
    "cpuinfo": CPUINFO,
    "meminfo": MEMINFO,
    "df": "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/block/dm-5 100 40 60 40% /data\n",
    "page_size": "4096\n",
}
BOARD: Answers = {
    "kernel": "Linux 6.6.31+rpt-rpi-v8\n",
    "machine": "aarch64\n",
    "os_release": 'NAME="Debian GNU/Linux"\nVERSION_ID="12"\n',
    "device_tree": b"Raspberry Pi 4 Model B Rev 1.4\0",
    "compatible": b"raspberrypi,4-model-b\0brcm,bcm2711\0",
    "cpuinfo": CPUINFO.replace("0xd44", "0xd08").replace("0xd41", "0xd08").replace("0xd05", "0xd08"),
    "meminfo": MEMINFO,
    "python": "Python 3.11.2\n",
}


class HereTarget(TableTarget):
    """This machine."""

    def shell(self, script: str, *, timeout_s: float = 15.0) -> Finished:
        done = subprocess.run(["sh", "-c", script], capture_output=True, timeout=timeout_s, check=False)
        return finished(done.stdout, stderr=done.stderr, exit_code=done.returncode)


def with_property(key: str, value: str) -> Answers:
    lines = [line for line in GETPROP.split("\n") if not line.startswith(f"[{key}]")]
    return {**PHONE, "getprop": f"[{key}]: [{value}]\n" + "\n".join(lines)}


@pytest.fixture(params=KINDS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> ShellTarget:
    return ShellTarget(*make_root(tmp_path, request.param))


def test_a_phone_tells_all_in_one_round_trip() -> None:
    target = TableTarget(PHONE)
    facts = read_facts(target)
    assert target.asked == 1
    assert (facts.manufacturer, facts.brand, facts.model, facts.device) == (
        "Maker",
        "brandx",
        "Phone 9 Pro",
        "codename",
    )
    assert (facts.soc_manufacturer, facts.soc_model, facts.soc_source) == ("QTI", "SM8350", "ro.soc.model")
    assert facts.abis == ("arm64-v8a", "armeabi-v7a", "armeabi")
    assert (facts.os_name, facts.os_release, facts.sdk, facts.security_patch) == ("Android", "14", 34, "2024-05-05")
    assert (facts.build_id, facts.build_type, facts.is_emulator) == ("UP1A.231005.007", "user", False)
    assert (facts.kernel, facts.machine) == ("Linux 5.4.254-android", "aarch64")
    assert facts.cpu_features == ("asimd", "asimddp", "asimdhp")
    assert (facts.memory_total_bytes, facts.memory_available_bytes) == (7638836 * 1024, 3518580 * 1024)
    assert (facts.storage_free_bytes, facts.page_size_bytes) == (60 * 1024, 4096)
    assert facts.missing == {"python_version": "no python3 on this target"}


def test_a_board_without_android_tells_what_it_has_and_why_not_the_rest() -> None:
    facts = read_facts(TableTarget(BOARD))
    assert (facts.os_name, facts.os_release) == ("Debian GNU/Linux", "12")
    assert facts.model == "Raspberry Pi 4 Model B Rev 1.4"
    assert (facts.soc_manufacturer, facts.soc_model) == ("brcm", "bcm2711")
    assert facts.soc_source == "/proc/device-tree/compatible"
    assert (facts.cpu_name, facts.python_version) == ("Cortex-A72", "3.11.2")
    assert facts.missing["sdk"] == "no getprop on this target: it is no Android"
    assert facts.missing["storage_free_bytes"] == "no df on this target"
    assert facts.missing["manufacturer"] == "no /sys/class/dmi/id/sys_vendor"


def test_a_target_that_knows_nothing_has_a_reason_for_every_field() -> None:
    facts = read_facts(TableTarget({}))
    names = {field.name for field in fields(facts)} - {"missing"}
    assert set(facts.missing) == names
    assert all(facts.missing.values())


def test_this_machine_tells_its_kernel_and_memory() -> None:
    facts = read_facts(HereTarget({}))
    assert facts.kernel == f"{platform.system()} {platform.release()}"
    assert facts.machine == platform.machine()
    assert facts.memory_total_bytes is None or facts.memory_total_bytes > 2**27
    assert facts.storage_free_bytes is not None


def test_real_shells_ask_the_same(shell: ShellTarget) -> None:
    shell.root.phone()
    facts = read_facts(shell)
    assert facts.model == "Phone 9 Pro"
    assert facts.cpu_name == "Cortex-A55, Cortex-A78, Cortex-X1"
    assert facts.memory_total_bytes == 7638836 * 1024
    assert facts.storage_free_bytes is not None
    assert set(facts.missing) <= {"python_version", "page_size_bytes"}


def test_a_board_in_a_real_shell(shell: ShellTarget) -> None:
    shell.root.write("proc/device-tree/model", b"Some Board\0")
    shell.root.write("proc/device-tree/compatible", b"maker,board\0chips,c1\0")
    shell.root.write("etc/os-release", "NAME=Tiny\nVERSION_ID=1\n")
    facts = read_facts(shell)
    assert (facts.model, facts.soc_model, facts.os_name) == ("Some Board", "c1", "Tiny")


def test_a_folder_of_any_name_is_one_word_and_no_command(shell: ShellTarget) -> None:
    names = ["it's", 'a"b', "a b", "$(touch evil)", "`touch evil`", ";touch evil", "-k", "a\nb", "*"]
    for name in names:
        folder = shell.root.folder / name
        folder.mkdir()
        shell.root.command("df", f'printf %s "$2" >{shell.root.folder}/asked')
        read_facts(shell, str(folder))
        assert (shell.root.folder / "asked").read_text() == str(folder)
    assert not list(shell.root.folder.rglob("evil"))


def test_a_relative_folder_that_looks_like_an_option_is_a_folder(shell: ShellTarget) -> None:
    facts = read_facts(shell, "-no-such-folder")
    assert facts.storage_free_bytes is None
    assert "df -Pk ./-no-such-folder" in shell.scripts[0]


def test_no_serial_and_no_host_name_is_asked_for_or_kept() -> None:
    facts = read_facts(TableTarget(PHONE))
    assert "SECRET0123" not in json.dumps(facts.to_json())
    assert platform.node() not in json.dumps(read_facts(HereTarget({})).to_json())


@pytest.mark.parametrize("value", ["", "unknown", "UNKNOWN", " "])
def test_a_chip_without_a_name_falls_back_to_its_platform_and_says_so(value: str) -> None:
    facts = read_facts(TableTarget(with_property("ro.soc.model", value)))
    assert (facts.soc_model, facts.soc_source) == ("lahaina", "ro.board.platform")


def test_a_key_with_two_values_is_unknown_and_says_so() -> None:
    twice: Answers = {**PHONE, "getprop": "[ro.product.model]: [Forged]\n" + GETPROP}
    facts = read_facts(TableTarget(twice))
    assert facts.model is None
    assert facts.missing["model"] == "getprop gives ro.product.model twice with different values"


def test_unset_and_odd_properties_have_their_reasons() -> None:
    facts = read_facts(TableTarget({"getprop": "[ro.product.model]: [M]\n[ro.build.version.sdk]: [thirty]\n"}))
    assert facts.missing["brand"] == "ro.product.brand not set"
    assert facts.missing["sdk"] == "ro.build.version.sdk is 'thirty'"
    assert facts.missing["soc_source"] == "none of ro.soc.model, ro.board.platform, ro.hardware is set"


@pytest.mark.parametrize(("key", "value"), [("ro.kernel.qemu", "1"), ("ro.boot.qemu", "1"), ("ro.hardware", "ranchu")])
def test_an_emulator_is_recognized(key: str, value: str) -> None:
    assert read_facts(TableTarget(with_property(key, value))).is_emulator is True


def test_hostile_values_are_harmless_and_short() -> None:
    evil = "\x1b[2J\x07" + "A" * 10_000 + "\nsecond line\u202e"
    facts = read_facts(TableTarget(with_property("ro.product.model", evil)))
    assert facts.model is not None
    assert facts.model.isprintable()
    assert len(facts.model) == 200


def test_a_flood_and_invalid_utf8_cost_neither_time_nor_the_other_facts() -> None:
    started = time.process_time()
    flood = TableTarget({**PHONE, "kernel": (b"\xff\x1b" * 2**20, None), "cpuinfo": (b"\xff" * 2**20, 0)})
    facts = read_facts(flood)
    assert facts.missing["kernel"] == "uname printed more than was asked for"
    assert facts.missing["cpu_features"] == "/proc/cpuinfo lists no features"
    assert facts.model == "Phone 9 Pro"
    assert time.process_time() - started < 5


def test_features_are_those_of_all_cpus() -> None:
    first, found, rest = CPUINFO.rpartition(" asimddp")
    few = first + rest
    assert found
    assert read_facts(TableTarget({**PHONE, "cpuinfo": few})).cpu_features == ("asimd", "asimdhp")


@pytest.mark.parametrize("answers", [PHONE, BOARD, {}])
def test_facts_survive_json(answers: Answers) -> None:
    facts = read_facts(TableTarget(answers))
    assert DeviceFacts.from_json(json.loads(json.dumps(facts.to_json()))) == facts


def test_facts_of_another_schema_are_refused() -> None:
    value = read_facts(TableTarget(PHONE)).to_json()
    with pytest.raises(ValueError, match="device facts schema 2, known is 1"):
        DeviceFacts.from_json({**value, "schema": 2})


def test_an_unknown_fact_needs_its_reason() -> None:
    with pytest.raises(ValueError, match="unknown are"):
        replace(read_facts(TableTarget(PHONE)), model=None)


def test_a_lost_connection_is_no_fact() -> None:
    target = TableTarget(PHONE)
    target.unanswered = {"getprop"}
    with pytest.raises(DeviceError) as caught:
        read_facts(target)
    assert caught.value.transient
