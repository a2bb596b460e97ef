"""Options by which commands choose phones, and what they mean."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, Any

from models.cli import one_line

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
    words = [word.strip() for word in (selection or "").split(",") if word.strip()]
    targets: list[DeviceUnderTest] = []
    if LOCAL in words:
        from device_bench.desktop import Desktop

        targets.append(Desktop(stop))
        words = [word for word in words if word != LOCAL]
        if not words:
            return targets, {}
    from device_bench.adb.client import Adb
    from device_bench.adb.phone import Phone
    from models.errors import DeviceError

    adb = Adb(server=server, stop=stop)
    left_out: dict[str, ToolchainError] = {}
    for word in dict.fromkeys(words) or (None,):
        try:
            choice = adb.choose(word)
        except DeviceError as error:
            if word is None or len(words) == 1:
                raise
            left_out[word] = error
            continue
        for device in choice.unusable:
            sys.stderr.write(f"left out: {one_line(str(device))}\n")
        targets += (Phone(adb, device.serial) for device in choice.devices)
    if not targets:
        raise next(iter(left_out.values()))
    return targets, left_out
