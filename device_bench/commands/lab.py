"""`lab`: emulated phones behind a real adbd, for those without a phone and for tests."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from device_bench.lab.actions import ACTIONS
from models.cli import progress_display, result_console, words
from models.files import format_json

if TYPE_CHECKING:
    from device_bench.lab.state import LabDevice

_MEANING = """\
An emulated phone proves the tool chain; its latencies say nothing about any phone."""


def add_options(commands: Any) -> None:
    """The command line."""
    lab = commands.add_parser(
        "lab",
        help="emulated phones behind a real adbd",
        description="Starts and stops emulated ARM64 phones on loopback, without root and without Docker.",
        epilog=_MEANING,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = lab.add_subparsers(dest="verb", required=True, metavar="VERB")
    up = verbs.add_parser("up", help="start devices, build what they need first, and connect adb to them")
    up.add_argument(
        "--device", type=words, default=("good",), metavar="NAMES", help="names from `lab list`, or all (default: good)"
    )
    up.set_defaults(run=run_up)
    build = verbs.add_parser("build", help="build what devices need, and start none")
    build.set_defaults(run=run_build)
    down = verbs.add_parser("down", help="stop devices, and leave nothing of them")
    down.add_argument("--device", type=words, default=("all",), metavar="NAMES", help="(default: all)")
    down.set_defaults(run=run_down)
    listing = verbs.add_parser("list", help="the devices there are, and which are up")
    listing.add_argument("--json", action="store_true", help="print JSON instead of a table")
    listing.set_defaults(run=run_list)
    control = verbs.add_parser(
        "control",
        help="let a device fail",
        description="Does something to a device that is up, and prints the answer as JSON.",
        epilog=_describe_actions(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    control.add_argument("name", metavar="NAME", help="from `lab list`")
    control.add_argument("action", metavar="ACTION", help="one of those below")
    control.add_argument("arguments", metavar="ARGUMENT", nargs="*", help="as the action says")
    control.set_defaults(run=run_control)


def run_up(arguments: argparse.Namespace) -> int:
    """Starts them, and connects adb."""
    from device_bench.adb.client import Adb
    from device_bench.lab.devices import DEVICES
    from device_bench.lab.lab import up

    adb = Adb()
    with progress_display() as report:
        devices = up(arguments.device, report)
    for device in devices:
        adb.connect(device.address)
    console = result_console()
    for device in devices:
        console.print(f"{device.name}: {device.address}, {DEVICES[device.name].about}", highlight=False)
    choice = "" if len(devices) == 1 else f" DEVICE={devices[0].address}"
    console.print(f"next:  make bench MODEL=mobilenet_v1_0.25_128{choice}", highlight=False)
    return 0


def run_build(_: argparse.Namespace) -> int:
    """Builds, and starts nothing."""
    from device_bench.lab.lab import build_only

    with progress_display() as report:
        build_only(report)
    return 0


def run_down(arguments: argparse.Namespace) -> int:
    """Disconnects adb, then stops them."""
    from device_bench.adb.client import Adb
    from device_bench.lab.lab import down, status
    from models.errors import DeviceError

    adb = Adb()
    for device in _meant(status(), arguments.device):
        try:
            adb.disconnect(device.address)
        except DeviceError:
            # A dead or foreign adb server must not keep the lab alive.
            continue
    ended = down(arguments.device)
    result_console().print(
        f"stopped: {', '.join(device.name for device in ended) or 'nothing was up'}", highlight=False
    )
    return 0


def run_list(arguments: argparse.Namespace) -> int:
    """Lists them."""
    from rich.table import Table

    from device_bench.lab.devices import DEVICES
    from device_bench.lab.lab import status

    running = {device.name: device.address for device in status()}
    if arguments.json:
        rows = [{"name": row.name, "about": row.about, "address": running.get(row.name)} for row in DEVICES.values()]
        print(format_json({"schema": 1, "devices": rows}), end="")
        return 0
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("name", "up at", "what it is"):
        table.add_column(heading, no_wrap=True)
    for row in DEVICES.values():
        table.add_row(row.name, running.get(row.name, "-"), row.about)
    result_console().print(table)
    return 0


def run_control(arguments: argparse.Namespace) -> int:
    """Does something to a device."""
    from device_bench.lab.lab import control

    print(format_json(control(arguments.name, arguments.action, *arguments.arguments)), end="")
    return 0


def _describe_actions() -> str:
    calls = {f"{action.name} {action.argument or ''}".strip(): action.about for action in ACTIONS.values()}
    width = max(map(len, calls))
    return "\n".join(["actions:", *(f"  {call:{width}}  {about}" for call, about in calls.items())])


def _meant(devices: Iterable[LabDevice], names: tuple[str, ...]) -> list[LabDevice]:
    return [device for device in devices if "all" in names or device.name in names]
