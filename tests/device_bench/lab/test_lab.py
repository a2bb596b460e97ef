"""The real thing: devices that are up, through a real adb. Run with `pytest -m lab`."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from device_bench.lab import lab
from device_bench.lab.archive import Archive, cache_folder
from device_bench.lab.state import load_device, run_folder
from tests.device_bench.lab.phones import LabPhone, host_processes

pytestmark = pytest.mark.lab

Device = Callable[[str], LabPhone]


def _listening(path: str) -> set[tuple[str, int]]:
    """Addresses on which this machine listens."""
    rows = [line.split() for line in Path(path).read_text().splitlines()[1:]]
    pairs = [row[1].split(":") for row in rows if row[3] == "0A"]
    return {(address, int(port, 16)) for address, port in pairs}


def test_a_second_up_finds_the_device_up(lab_device: Device) -> None:
    phone = lab_device("amd64")
    before = load_device("amd64")
    (device,) = lab.up(["amd64"], lambda _: None)
    assert device == before == load_device("amd64")
    assert device.address == phone.serial


def test_a_device_listens_on_loopback_and_nowhere_else(lab_device: Device) -> None:
    port = int(lab_device("amd64").serial.partition(":")[2])
    listening = _listening("/proc/net/tcp")
    assert {address for address, number in listening if number == port} == {"0100007F"}
    assert 5555 not in {number for _, number in listening | _listening("/proc/net/tcp6")}


def test_no_vm_socket_can_be_made_on_a_device(lab_device: Device) -> None:
    script = "import socket; socket.socket(socket.AF_VSOCK)"
    answer = lab_device("good").adb("shell", f"python3 -c '{script}'")
    assert answer.returncode == 1
    assert "Address family not supported" in answer.stderr


def test_down_leaves_nothing_of_a_device(lab_device: Device) -> None:
    phone = lab_device("tiny")
    phone.adb("shell", "sleep 1000 >/dev/null 2>&1 </dev/null &")
    device = load_device("tiny")
    assert device
    processes = host_processes(device)
    port = int(device.address.partition(":")[2])
    # unshare, process 1, adbd and sleep at least; and nothing of its mounts outside its namespace.
    assert len(processes) >= 4
    assert str(run_folder("tiny")) not in Path("/proc/mounts").read_text()
    assert not Path("/proc/sys/fs/binfmt_misc/arm64").exists()
    assert port in {number for _, number in _listening("/proc/net/tcp")}
    assert lab.down(["tiny"]) == [device]
    assert not [process for process in processes if process.alive]
    assert port not in {number for _, number in _listening("/proc/net/tcp")}
    assert not run_folder("tiny").exists()
    assert lab.down(["tiny"]) == []
    # The fixture heals it afterwards.
    lab_device("tiny")


def test_every_up_is_a_factory_reset(lab_device: Device) -> None:
    phone = lab_device("tiny")
    phone.shell("echo x >/data/local/tmp/x; echo x >/etc/x; svc power stayon true; rm /usr/bin/tar")
    lab.down(["tiny"])
    phone = lab_device("tiny")
    assert phone.shell("ls /data/local/tmp") == ""
    assert phone.shell("ls /etc/x 2>/dev/null || ls /usr/bin/tar") == "/usr/bin/tar"
    assert phone.shell("settings get global stay_on_while_plugged_in") == "0"


@pytest.mark.parametrize("name", ["good", "amd64"])
def test_what_is_pushed_and_pulled_is_the_same(name: str, lab_device: Device, tmp_path: Path) -> None:
    phone = lab_device(name)
    content = os.urandom(5 * 2**20 + 1)
    (tmp_path / "sent").write_bytes(content)
    assert phone.adb("push", str(tmp_path / "sent"), "/data/local/tmp/sent").returncode == 0
    digest = hashlib.sha256(content).hexdigest()
    assert phone.shell("sha256sum /data/local/tmp/sent").split()[0] == digest
    assert phone.adb("pull", "/data/local/tmp/sent", str(tmp_path / "back")).returncode == 0
    assert (tmp_path / "back").read_bytes() == content
    phone.shell("rm /data/local/tmp/sent")


def test_a_phone_has_androids_shell_and_tools_and_a_board_has_not(lab_device: Device) -> None:
    phone, board = lab_device("good"), lab_device("board")
    assert "MIRBSD KSH" in phone.shell("echo $KSH_VERSION")
    assert phone.shell("which sha256sum taskset getprop").split() == [
        f"/system/bin/{name}" for name in ("sha256sum", "taskset", "getprop")
    ]
    assert phone.shell("getprop ro.product.cpu.abi") == "arm64-v8a"
    assert phone.shell("uname -m") == board.shell("uname -m") == "aarch64"
    assert board.shell("command -v getprop dumpsys settings || echo none") == "none"
    assert board.shell("readlink /proc/$$/exe").endswith(("dash", "qemu-aarch64-static"))


def test_a_program_sees_the_emulated_cpu_and_only_usable_cpus(lab_device: Device) -> None:
    phone = lab_device("good")
    parts = re.findall(r"CPU part\s*: (\S+)", phone.shell("cat /proc/cpuinfo"))
    cpus = sorted(os.sched_getaffinity(0))
    assert parts == ["0xd0b"] * len(cpus)
    mask = 1 << cpus[-1]
    allowed = phone.shell(f"taskset {mask:x} cat /proc/self/status | grep Cpus_allowed_list")
    assert allowed.split() == ["Cpus_allowed_list:", str(cpus[-1])]


def test_what_is_changed_stays_changed_and_shows(lab_device: Device) -> None:
    phone = lab_device("amd64")
    assert phone.shell("dumpsys power | grep mWakefulness=") == "mWakefulness=Asleep"
    phone.shell("svc power stayon usb; cmd power set-fixed-performance-mode-enabled true")
    phone.shell("settings put global airplane_mode_on 1")
    assert phone.shell("settings get global stay_on_while_plugged_in") == "2"
    power = phone.shell("dumpsys power").splitlines()
    assert {"  mWakefulness=Awake", "  mStayOn=true", "  mLabFixedPerformanceMode=true"} <= set(power)
    state = phone.control("phone")
    assert state["fixed_performance_mode"] == "true"
    assert state["settings/global/airplane_mode_on"] == "1"
    phone.shell("svc power stayon false; cmd power set-fixed-performance-mode-enabled false; input keyevent 223")
    phone.shell("settings put global airplane_mode_on 0; settings put system x 1; settings delete system x")
    state = phone.control("phone")
    assert (state["settings/global/stay_on_while_plugged_in"], state["fixed_performance_mode"]) == ("0", "false")
    assert state["wakefulness"] == "Asleep"
    assert phone.shell("settings get system x") == "null"


def test_heat_shows_wherever_a_phone_tells_it(lab_device: Device) -> None:
    phone = lab_device("amd64")
    phone.control("temperature", "46.5")
    phone.control("thermal-status", "3")
    phone.control("max-frequency", "1000000")
    text = phone.shell("dumpsys thermalservice")
    hal = text.partition("Current temperatures from HAL:")[2].partition("Current cooling")[0]
    assert re.findall(r"mValue=(\S+), mType=(\d), mName=SKIN, mStatus=(\d)", hal) == [("46.5", "3", "3")]
    assert "Thermal Status: 3\n" in text
    assert "  temperature: 465" in phone.shell("dumpsys battery").splitlines()
    assert set(phone.shell("cat /sys/class/thermal/thermal_zone*/temp").split()) == {"46500"}
    frequencies = phone.shell("cat /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_max_freq").split()
    assert set(frequencies) == {"1000000"}
    phone.control("property", "ro.product.model=Other $(id) model")
    assert phone.shell("getprop ro.product.model") == "Other $(id) model"


def test_a_dropped_connection_can_be_made_again(lab_device: Device) -> None:
    phone = lab_device("amd64")
    phone.control("drop")
    phone.connect()
    assert phone.shell("echo back") == "back"


def test_a_stalled_connection_hangs_until_it_flows_again(lab_device: Device) -> None:
    phone = lab_device("amd64")
    phone.control("stall")
    with pytest.raises(TimeoutError):
        _shell_within(phone, "echo x", 1.0)
    assert phone.adb("get-state").stdout.strip() == "device"
    phone.control("unstall")
    phone.connect()


def test_a_frozen_adbd_hangs_and_a_thawed_one_goes_on(lab_device: Device) -> None:
    phone = lab_device("amd64")
    phone.control("stop-adbd")
    with pytest.raises(TimeoutError):
        _shell_within(phone, "echo x", 1.0)
    phone.control("continue-adbd")
    assert phone.shell("echo back") == "back"


def test_a_refused_device_cannot_be_connected_to(lab_device: Device) -> None:
    phone = lab_device("amd64")
    phone.control("refuse")
    phone.server.run("disconnect", phone.serial)
    assert "Connection refused" in phone.server.run("connect", phone.serial).stdout
    phone.control("accept")
    phone.connect()


def test_a_killed_adbd_leaves_its_programs_and_can_be_started_again(lab_device: Device) -> None:
    phone = lab_device("amd64")
    phone.adb("shell", "sleep 1234 >/dev/null 2>&1 </dev/null &")
    phone.control("kill-adbd")
    assert phone.control("status")["adbd"] is None
    stray = [process for process in phone.control("ps") if process["argv"] == ["sleep", "1234"]]
    assert len(stray) == 1
    phone.control("start-adbd")
    phone.connect()
    phone.shell(f"kill {stray[0]['pid']}")
    assert ["sleep", "1234"] not in [process["argv"] for process in phone.control("ps")]


def test_the_programs_of_an_emulated_device_are_listed_by_their_own_words(lab_device: Device) -> None:
    phone = lab_device("good")
    pid = int(phone.shell("sleep 4321 >/dev/null 2>&1 </dev/null & echo $!"))
    (argv,) = [process["argv"] for process in phone.control("ps") if process["pid"] == pid]
    assert [Path(argv[0]).name, *argv[1:]] == ["sleep", "4321"]
    phone.shell(f"kill {pid}")


def test_a_limited_rate_slows_a_push(lab_device: Device, tmp_path: Path) -> None:
    phone = lab_device("amd64")
    (tmp_path / "file").write_bytes(os.urandom(10**6))
    phone.control("rate", "1000000")
    started = time.monotonic()
    assert phone.adb("push", str(tmp_path / "file"), "/data/local/tmp/file").returncode == 0
    assert 0.7 < time.monotonic() - started < 10
    phone.shell("rm /data/local/tmp/file")


def test_a_full_read_only_or_unexecutable_disk_refuses(lab_device: Device, tmp_path: Path) -> None:
    phone = lab_device("amd64")
    (tmp_path / "file").write_bytes(bytes(2**20))
    phone.control("disk", str(2**19))
    assert "No space left on device" in _push(phone, tmp_path / "file")
    phone.control("disk", str(2**24))
    phone.control("data", "ro")
    assert "Read-only file system" in _push(phone, tmp_path / "file")
    phone.control("data", "rw")
    phone.shell("echo 'echo ran' >/data/local/tmp/x; chmod 755 /data/local/tmp/x; /data/local/tmp/x")
    phone.control("data", "noexec")
    assert phone.adb("shell", "/data/local/tmp/x").returncode == 126
    phone.control("data", "exec")
    phone.shell("rm /data/local/tmp/x")


@pytest.mark.parametrize(
    ("name", "message"), [("readonly", "Read-only file system"), ("tiny", "No space left on device")]
)
def test_a_device_with_a_bad_disk_has_it_from_the_start(
    name: str, message: str, lab_device: Device, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(bytes(5 * 2**20))
    assert message in _push(lab_device(name), tmp_path / "file")


def test_a_program_that_uses_too_much_memory_is_killed(lab_device: Device) -> None:
    phone = lab_device("amd64")
    phone.control("memory", str(100 * 2**20))
    answer = phone.adb("shell", "python3 -c 'x = bytearray(200 * 2**20); import time; time.sleep(20)'")
    assert answer.returncode == 137
    *_, killed = phone.control("status")["killed_for_memory"]
    assert killed["rss_bytes"] > 100 * 2**20
    phone.control("memory", "none")
    assert phone.shell("python3 -c 'x = bytearray(200 * 2**20); print(len(x))'") == str(200 * 2**20)


def test_two_devices_are_two(lab_device: Device) -> None:
    phones = [lab_device("amd64"), lab_device("good")]
    phones[0].shell("echo a >/data/local/tmp/who")
    assert [phone.shell("cat /data/local/tmp/who 2>/dev/null || echo none") for phone in phones] == ["a", "none"]
    assert len({phone.serial for phone in phones}) == 2
    phones[0].shell("rm /data/local/tmp/who")


def test_the_archive_says_what_it_was_made_from(lab_archive: Archive) -> None:
    text = lab_archive.manifest.read_text()
    for name in ("adbd_", "qemu-user-static_", "ai-edge-litert==", "onnxruntime=="):
        assert name in text
    assert lab_archive.folder.parent == cache_folder()


def _push(phone: LabPhone, file: Path) -> str:
    answer = phone.adb("push", str(file), "/data/local/tmp/file")
    assert answer.returncode == 1
    return answer.stdout + answer.stderr


def _shell_within(phone: LabPhone, script: str, timeout_s: float) -> str:
    try:
        return phone.shell(script, timeout_s=timeout_s)
    except subprocess.TimeoutExpired:
        raise TimeoutError from None
