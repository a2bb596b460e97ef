"""`devices`: which phones are there, and what is wrong with those that cannot be used."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from device_bench.commands.targets import add_server_option
from models.cli import inert, result_console
from models.files import format_json

if TYPE_CHECKING:
    from device_bench.adb.devices import Device


def add_options(commands: Any) -> None:
    """The command line."""
    devices = commands.add_parser(
        "devices",
        help="list phones with their state",
        description="Lists what adb sees, with the next step for what cannot be used.",
        epilog="exit codes: 0 at least one can be used, 3 none",
    )
    add_server_option(devices)
    devices.add_argument("--json", action="store_true", help="print JSON instead of a table")
    devices.set_defaults(run=run_devices)


def run_devices(arguments: argparse.Namespace) -> int:
    """Lists them."""
    from device_bench.adb.client import Adb

    found = Adb(server=arguments.adb_server).devices()
    if arguments.json:
        print(format_json({"schema": 1, "devices": [_row(device) for device in found]}), end="")
    else:
        print_table(found)
    return 0 if any(device.problem is None for device in found) else 3


def print_table(found: tuple[Device, ...]) -> None:
    """The table a person reads."""
    from rich.table import Table

    console = result_console()
    if not found:
        console.print("no phone: plug one in and allow USB debugging on its screen, or `make lab` for an emulated one")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("serial", "state", "model"):
        table.add_column(heading, no_wrap=True)
    table.add_column("next step", overflow="fold")
    for device in found:
        table.add_row(inert(device.serial), device.state, inert(device.model or "-"), inert(device.problem or "ready"))
    console.print(table)


def _row(device: Device) -> dict[str, Any]:
    return {
        "serial": device.serial,
        "state": device.state,
        "product": device.product,
        "model": device.model,
        "problem": device.problem,
    }
