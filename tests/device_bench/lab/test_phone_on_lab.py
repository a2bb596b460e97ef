"""`Phone` against a real adbd, while its device fails in every way that the lab can play."""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_bench.adb.client import Adb
from device_bench.adb.phone import Phone
from device_bench.process import Stopped
from device_bench.target import Command, Finished
from models.errors import DeviceError, LinkError, ProgramError, StorageError, UnreachableError
from tests.device_bench.lab.phones import LabPhone

pytestmark = pytest.mark.lab

Device = Callable[[str], LabPhone]
BASE = "/data/local/tmp/device_bench"


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def device(lab_device: Device) -> Iterator[LabPhone]:
    """The fast device, on which nothing of ours may be left afterwards."""
    device = lab_device("amd64")
    yield device
    device.control("data", "exec")
    device.heal()
    assert device.shell("ls -A /data/local/tmp") == ""
    assert strays(device) == []


def strays(device: LabPhone) -> list[str]:
    return [str(row) for row in device.control("ps") if "sleep" in str(row)]


def run(phone: Phone, folder: str, *argv: str, timeout_s: float = 30, cpu_mask: int | None = None) -> Finished:
    return phone.execute(Command(argv=argv, cpu_mask=cpu_mask), folder, timeout_s=timeout_s)


@pytest.mark.parametrize("name", ["amd64", "good", "board"])
def test_a_whole_session_on_a_real_device(name: str, lab_device: Device, tmp_path: Path) -> None:
    lab = lab_device(name)
    phone = Phone(Adb(), lab.serial)
    (tmp_path / "-it's $(odd)").write_bytes(os.urandom(3_000_000))
    with phone.session() as folder:
        assert folder.startswith(f"{BASE}/run-")
        phone.push(tmp_path / "-it's $(odd)", f"{folder}/a\nb", executable=True)
        phone.pull(f"{folder}/a\nb", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == (tmp_path / "-it's $(odd)").read_bytes()
        answer = run(phone, folder, "sh", "-c", 'printf "a\\r\\n$1"; echo b >&2; exit 3', "x", "it's", cpu_mask=1)
        assert (answer.stdout, answer.stderr, answer.exit_code) == (b"a\r\nit's", b"b\n", 3)
        assert answer.allowed_cpus == "0"
        assert run(phone, folder, "sh", "-c", "kill -ILL $$").exit_code == 132
    assert lab.shell(f"ls -d {BASE} 2>/dev/null || echo gone") == "gone"


def test_a_program_that_takes_too_long_is_ended_on_the_device(device: LabPhone) -> None:
    phone = Phone(Adb(), device.serial)
    with phone.session() as folder:
        with pytest.raises(ProgramError, match=r"took longer than 1 s.*what ran was ended there"):
            run(phone, folder, "sh", "-c", "sleep 3050 & setsid sleep 3050 & env -i sleep 3050", timeout_s=1)
        assert strays(device) == []


def test_a_stop_ends_the_program_on_the_device(device: LabPhone) -> None:
    stop = threading.Event()
    phone = Phone(Adb(stop=stop), device.serial)

    def measure() -> None:
        with phone.session() as folder:
            threading.Timer(0.5, stop.set).start()
            run(phone, folder, "sleep", "3051")

    with pytest.raises(Stopped):
        measure()


def test_a_link_lost_in_the_middle_is_mended_and_the_program_ended(device: LabPhone) -> None:
    phone = Phone(Adb(), device.serial)
    with phone.session() as folder:
        threading.Timer(0.5, device.control, ("drop",)).start()
        with pytest.raises(LinkError, match=r"was cut off.*what ran was ended there") as caught:
            run(phone, folder, "sleep", "3052")
        assert caught.value.transient
        assert strays(device) == []
        assert run(phone, folder, "echo", "again").stdout == b"again\n"


def test_adbd_killed_in_the_middle_is_transient_and_the_next_session_cleans_up(device: LabPhone) -> None:
    phone = Phone(Adb(), device.serial)

    def fail() -> None:
        with phone.session() as folder:
            threading.Timer(0.5, device.control, ("kill-adbd",)).start()
            run(phone, folder, "sleep", "3053")

    with pytest.raises(LinkError) as caught:
        fail()
    assert caught.value.transient
    device.control("start-adbd")
    with phone.session() as folder:
        assert phone.shell(f"ls {BASE}").stdout.decode().split() == [Path(folder).name]
        assert strays(device) == []


@pytest.mark.slow
def test_a_frozen_adbd_is_transient_though_adb_lists_the_device(device: LabPhone) -> None:
    phone = Phone(Adb(), device.serial)

    def fail() -> None:
        with phone.session() as folder:
            device.control("stop-adbd")
            run(phone, folder, "sleep", "3054", timeout_s=2)

    with pytest.raises(LinkError, match=r"gave no answer in 2 s.*may still run there") as caught:
        fail()
    assert caught.value.transient
    device.control("continue-adbd")
    with phone.session():
        assert strays(device) == []


def test_a_push_cut_in_the_middle_leaves_no_part(device: LabPhone, tmp_path: Path) -> None:
    phone = Phone(Adb(), device.serial)
    (tmp_path / "large").write_bytes(bytes(20_000_000))
    with phone.session() as folder:
        device.control("rate", "4000000")
        threading.Timer(1, device.control, ("drop",)).start()
        with pytest.raises(DeviceError) as caught:
            phone.push(tmp_path / "large", f"{folder}/x")
        assert caught.value.transient
        device.control("rate", "none")
        assert phone.shell(f"ls -A {folder}").stdout == b".owner\n"


def test_a_refused_connection_is_transient(device: LabPhone) -> None:
    phone = Phone(Adb(), device.serial)
    phone.shell("true")
    device.control("refuse")
    with pytest.raises(UnreachableError) as caught:
        phone.shell("true")
    assert caught.value.transient


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (("data", "noexec"), r"runs no programs in '/data/local/tmp/device_bench' \(it is mounted noexec"),
        (("data", "ro"), "the folder is read-only"),
    ],
)
def test_storage_that_cannot_serve_is_refused_before_anything_is_measured(
    fault: tuple[str, str], words: str, device: LabPhone
) -> None:
    device.control(*fault)
    with pytest.raises(StorageError, match=words):
        Phone(Adb(), device.serial).session().__enter__()


def test_a_full_disk_is_refused_beforehand_and_noticed_afterwards(device: LabPhone, tmp_path: Path) -> None:
    phone = Phone(Adb(), device.serial)
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    device.control("disk", str(2**20))
    with phone.session() as folder:
        with pytest.raises(StorageError, match=r"1\.0 MiB are free, 2\.9 are needed"):
            phone.push(tmp_path / "large", f"{folder}/x")
        with pytest.raises(StorageError, match="its disk is full"):
            run(phone, folder, "dd", "if=/dev/zero", "of=big")
