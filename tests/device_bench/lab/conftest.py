"""Devices of the lab for tests with the marker `lab`, on an adb server of their own. Run these in one process.

What is up already is used and left up; what a test session starts it ends. After each test the faults that were
switched on are switched off again.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from device_bench.adb.program import find_adb
from device_bench.lab import lab
from device_bench.lab.archive import Archive, cache_folder, find_archive
from device_bench.lab.launch import free_port
from device_bench.lab.state import load_device
from tests.device_bench.lab import benches
from tests.device_bench.lab.phones import AdbServer, LabPhone


@pytest.fixture(scope="session")
def adb_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AdbServer]:
    """A server that knows no phone of the user's; code under test that starts adb finds it through the environment."""
    server = AdbServer(str(find_adb(None)), free_port())
    with pytest.MonkeyPatch.context() as environment:
        # The keys of the user's own adb stay out of it; the lab's cache stays where it is.
        environment.setenv("XDG_CACHE_HOME", str(cache_folder().parents[1]))
        environment.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        environment.setenv("ANDROID_ADB_SERVER_PORT", str(server.port))
        environment.delenv("ADB_SERVER_SOCKET", raising=False)
        environment.delenv("ANDROID_SERIAL", raising=False)
        process = subprocess.Popen(
            [server.program, "-P", str(server.port), "nodaemon", "server"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield server
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def _lab_devices(adb_server: AdbServer) -> Iterator[Callable[[str], LabPhone]]:
    started: list[str] = []

    def up(name: str) -> LabPhone:
        if not load_device(name):
            started.append(name)
        (device,) = lab.up([name], lambda _: None)
        return LabPhone(name, device.address, adb_server)

    try:
        yield up
    finally:
        if started:
            lab.down(started)


@pytest.fixture
def lab_device(_lab_devices: Callable[[str], LabPhone]) -> Iterator[Callable[[str], LabPhone]]:
    """`lab_device("good")` is that device, up, connected and without faults."""
    used: dict[str, LabPhone] = {}

    def device(name: str) -> LabPhone:
        phone = used[name] = _lab_devices(name)
        phone.connect()
        return phone

    yield device
    for phone in used.values():
        phone.heal()


@pytest.fixture(scope="session")
def lab_archive() -> Archive:
    """The archive that devices are made from."""
    archive = find_archive()
    assert archive, "the lab is not built: make lab"
    return archive


@pytest.fixture
def native_runner(lab_archive: Archive) -> str:
    """Path of the classic benchmark_model on a device; skips where it could not be built."""
    if lab_archive.native_missing:
        pytest.skip(f"the lab has no native runner: {lab_archive.native_missing}")
    return "/usr/bin/benchmark_model"


@pytest.fixture(scope="session")
def _lab_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    build = tmp_path_factory.mktemp("lab") / "build"
    benches.make_export(build)
    return build


@pytest.fixture
def bench(_lab_build: Path, lab_device: Callable[[str], LabPhone], tmp_path: Path) -> Iterator[benches.Bench]:
    """`bench` with a trained network's files; the devices it is used on must be left clean."""
    benches.copy_export(_lab_build, tmp_path / "build")
    bench = benches.Bench(folder=tmp_path, device=lab_device)
    yield bench
    bench.check_clean()
