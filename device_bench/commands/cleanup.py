"""`cleanup`: put back what a killed benchmark left on a phone."""

from __future__ import annotations

import argparse
import threading
from typing import Any

from device_bench.commands.targets import add_target_options, choose_targets
from models.cli import inert, result_console


def add_options(commands: Any) -> None:
    """The command line."""
    cleanup = commands.add_parser(
        "cleanup",
        help="put back what a killed benchmark left on a phone",
        description="Restores settings, ends processes and removes folders that a killed benchmark left on a phone. "
        "Every benchmark does so first, too.",
        epilog="exit codes: 0 done, 2 bad input, 3 a device failed",
    )
    add_target_options(cleanup)
    cleanup.set_defaults(run=run_cleanup)


def run_cleanup(arguments: argparse.Namespace) -> int:
    """Opens and closes a session on each device."""
    from device_bench.state.control import restore_left_over

    console = result_console()
    targets, left_out = choose_targets(arguments.device, arguments.adb_server, threading.Event())
    for target in targets:
        with target.session():
            changes = restore_left_over(target)
        for change in changes:
            console.print(f"{inert(target.name)}: {change.setting} {change.outcome}, now {inert(change.after or '?')}")
        console.print(f"{inert(target.name)}: clean", highlight=False)
    for error in left_out.values():
        raise error
    return 0
