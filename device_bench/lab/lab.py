"""The lab's life: up, down, status, control. Several devices at once; each is a factory-new one after every `up`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from device_bench.lab.actions import read_action
from device_bench.lab.archive import cache_folder, locked, remove_roots
from device_bench.lab.build import build
from device_bench.lab.devices import DEVICES, lookup, lookup_all
from device_bench.lab.host import check_host
from device_bench.lab.launch import ask, start_device
from device_bench.lab.state import LabDevice, end_device, load_device, remove_run_folder
from models.errors import LabError
from models.worker import Progress, Report

STAGE = "start the lab"


def up(names: Iterable[str], report: Report) -> list[LabDevice]:
    """The devices of those names, started unless they are up; builds the archive first if there is none.

    Args:
        names: From `DEVICES`; `all` for every one.
        report: Receives the progress.

    Raises:
        UnknownNameError: a name is unknown.
        LabError: this host cannot, or a device did not start.
        OutputError: the cache cannot be written.
    """
    specs = lookup_all(names)
    waiting = Progress(stage=STAGE, done=0, total=len(specs), detail="another process is at it; waiting for that one")
    with locked(cache_folder(), "lab", lambda: report(waiting)):
        found = {spec.name: load_device(spec.name) for spec in specs}
        if all(found.values()):
            return [device for device in found.values() if device]
        check_host()
        archive = build(report)
        devices = []
        for number, spec in enumerate(specs):
            report(Progress(stage=STAGE, done=number, total=len(specs), detail=spec.name))
            devices.append(found[spec.name] or start_device(spec, archive))
        report(Progress(stage=STAGE, done=len(specs), total=len(specs), detail=""))
        return devices


def build_only(report: Report) -> None:
    """Makes what devices are started from, unless it is there.

    Raises:
        LabError, OutputError: as for `up`.
    """
    waiting = Progress(stage=STAGE, done=0, total=1, detail="another process is at it; waiting for that one")
    with locked(cache_folder(), "lab", lambda: report(waiting)):
        check_host()
        build(report)


def down(names: Iterable[str] = ("all",)) -> list[LabDevice]:
    """Ends devices and everything on them; returns those that were up.

    Raises:
        UnknownNameError: a name is unknown.
        LabError: a device does not end.
    """
    specs = lookup_all(names)
    ended = []
    with locked(cache_folder(), "lab"):
        for spec in specs:
            if device := load_device(spec.name):
                end_device(device)
                ended.append(device)
            remove_run_folder(spec.name)
        if not status():
            for folder in cache_folder().glob("*/roots"):
                remove_roots(folder.parent)
    return ended


def status() -> list[LabDevice]:
    """The devices that are up, in the order of the table."""
    return [device for device in map(load_device, DEVICES) if device]


def control(name: str, action: str, *arguments: str) -> Any:
    """Does one of `ACTIONS` to a device; its answer, plain JSON, None for most.

    Raises:
        UnknownNameError: no such device or action.
        UsageError: the argument does not fit.
        LabError: the device is not up, or could not do it.
    """
    lookup(name)
    request = read_action(action, arguments)
    if not load_device(name):
        up_now = ", ".join(device.name for device in status()) or "none"
        raise LabError(f"the lab device {name} is not up (up are: {up_now}); start it: make lab DEVICE={name}")
    return ask(name, request)
