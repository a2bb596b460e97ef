"""Options by which commands choose phones, and what they mean."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from models.cli import one_line, words

if TYPE_CHECKING:
    from device_bench.target import DeviceUnderTest
    from models.errors import ToolchainError

LOCAL = "local"


def add_target_options(group: Any) -> None:
    """`--device` and `--adb-server`."""
    group.add_argument(
        "--device",
        metavar="SERIAL|all|local",
        help="a serial or host:port, several with commas, all, or local for this desktop (default: the only phone)",
    )
    add_server_option(group)


def add_server_option(group: Any) -> None:
    """`--adb-server`."""
    group.add_argument("--adb-server", metavar="HOST:PORT", help="phones at another machine's adb server")


def choose_targets(
    selection: str | None, server: str | None, stop: threading.Event
) -> tuple[list[DeviceUnderTest], dict[str, ToolchainError]]:
    """The machines that a selection means, and those it names that cannot be used, by name.

    What is attached but cannot be used is named on standard error where `all` is asked for: nobody asked for that one.

    Raises:
        UsageError: no such device, or several without a choice.
        DeviceError: none that can be used.
    """
    names = words(selection or "")
    targets: list[DeviceUnderTest] = []
    if LOCAL in names:
        from device_bench.desktop import Desktop

        targets.append(Desktop(stop))
        names = tuple(name for name in names if name != LOCAL)
        if not names:
            return targets, {}
    from device_bench.adb.client import Adb
    from device_bench.adb.phone import Phone
    from models.errors import DeviceError

    adb = Adb(server=server, stop=stop)
    left_out: dict[str, ToolchainError] = {}
    for name in dict.fromkeys(names) or (None,):
        try:
            choice = adb.choose(name)
        except DeviceError as error:
            if name is None or len(names) == 1:
                raise
            left_out[name] = error
            continue
        for device in choice.unusable:
            sys.stderr.write(f"left out: {one_line(str(device))}\n")
        targets += (Phone(adb, device.serial) for device in choice.devices)
    if not targets:
        raise next(iter(left_out.values()))
    return targets, left_out
