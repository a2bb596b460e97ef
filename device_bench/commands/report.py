"""`report`: one page over everything that was exported and measured."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_bench.commands.options import add_build_dir_option, add_weights_options
from models.cli import inert, result_console
from models.errors import OutputError
from models.files import format_json

if TYPE_CHECKING:
    from device_bench.report.values import Report


def add_options(commands: Any) -> None:
    """The command line."""
    report = commands.add_parser(
        "report",
        help="one page over everything that was measured",
        description="Sets all exports, phones and desktop baselines found under the build folder side by side: "
        "report.html (one file, works offline), report.md and report.json.",
        epilog="exit codes: 0 written, 2 bad input",
    )
    which = report.add_mutually_exclusive_group()
    which.add_argument("--model", metavar="NAME", help="put this network first, and the report into its folder")
    which.add_argument("--all", action="store_true", help="all networks alike, in the build folder itself (default)")
    add_weights_options(report)
    report.add_argument("--output", type=Path, metavar="DIR", help="another folder for the three files")
    add_build_dir_option(report)
    report.add_argument("--json", action="store_true", help="print the paths as JSON")
    report.set_defaults(run=run_report)


def run_report(arguments: argparse.Namespace) -> int:
    """Writes the files and says where they are."""
    from device_bench.report.write import load_report, write_report

    report = load_report(arguments.build_dir, arguments.model)
    try:
        paths = write_report(report, choose_folder(arguments))
    except OutputError as error:
        if arguments.output is None:
            raise
        # The advice is to name another folder, by the option that named this one.
        raise OutputError(str(error).replace("--build-dir", "--output")) from error
    if arguments.json:
        print(
            format_json({"schema": 1, **dict(zip(("html", "markdown", "json"), map(str, paths), strict=True))}), end=""
        )
        return 0
    console = result_console()
    console.print(describe(report), highlight=False, soft_wrap=True)
    for path in paths:
        console.print(inert(path), highlight=False, soft_wrap=True)
    return 0


def choose_folder(arguments: argparse.Namespace) -> Path:
    """Where the files go: where they were asked for, else the network's folder, else the build folder."""
    from device_bench.measuring.artifacts import exported_folder

    if arguments.output is not None:
        return Path(arguments.output)
    if arguments.model is None:
        return Path(arguments.build_dir)
    return exported_folder(arguments.build_dir, arguments.model, arguments.weights, arguments.dataset)


def describe(report: Report) -> str:
    """One line: what is in it, and what is not."""
    from device_bench.report.values import NOTHING

    failed = sum(row.failure is not None for row in report.results)
    parts = {
        "results": len(report.results),
        "devices": len(report.devices),
        "artifacts": sum(len(export.artifacts) for export in report.exports),
        "desktop baselines": len(report.baselines),
        "failed": failed,
        "problems told": len(report.problems),
    }
    found = ", ".join(f"{name}: {count}" for name, count in parts.items())
    emulated = any(device.emulated for device in report.devices)
    return f"{found}; EMULATED devices are among these: {NOTHING}" if emulated else found
