"""`parse`: read stored raw outputs again."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.cli import inert, result_console

if TYPE_CHECKING:
    from device_bench.result import Delegation, RunnerHelp, RunnerOutput

_LAYOUT = """\
layout of FOLDER, at any depth:
  NAME/            one recording: a folder with a file `stdout` or `stderr`
    cmd            the command line (optional; tells the delegates asked for)
    stdout stderr  as captured
    exit_code      of the runner (optional)
    *.csv          operator profile (optional)
    *.json         written for --result_json (optional, compared), or by our timed loop (needed)
    *.pb           written for --result_file_path (optional, compared)

exit codes: 0 all could be read, 1 some could not, 2 bad input"""


def add_options(commands: Any) -> None:
    """The command line."""
    parse = commands.add_parser(
        "parse",
        help="read stored raw outputs again",
        description="Reads stored raw outputs of benchmark runners: latency, memory, where the network ran.",
        epilog=_LAYOUT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parse.add_argument("folder", type=Path, metavar="FOLDER", help="a recording, or a tree of them")
    parse.add_argument("--json", action="store_true", help="print everything as JSON instead of a table")
    parse.set_defaults(run=run_parse)


def run_parse(arguments: argparse.Namespace) -> int:
    """Reads every recording, and names those that cannot be read."""
    from device_bench.recording import find_recordings, load_recording, parse_recording, recording_name
    from models.errors import RunnerOutputError

    outputs: dict[str, RunnerOutput | RunnerHelp] = {}
    failures: dict[str, str] = {}
    for folder in find_recordings(arguments.folder):
        name = recording_name(folder, arguments.folder)
        try:
            outputs[name] = parse_recording(load_recording(folder, arguments.folder))
        except RunnerOutputError as error:
            failures[name] = str(error)
    if arguments.json:
        print_json(outputs, failures)
    else:
        print_table(outputs, failures)
    return 1 if failures else 0


def print_json(outputs: dict[str, RunnerOutput | RunnerHelp], failures: dict[str, str]) -> None:
    """Everything, machine readable."""
    from device_bench.result import SCHEMA, RunnerOutput
    from models.files import format_json

    value: dict[str, Any] = {
        "schema": SCHEMA,
        "outputs": {name: output.to_json() for name, output in outputs.items() if isinstance(output, RunnerOutput)},
        "usages": {name: usage.to_json() for name, usage in outputs.items() if not isinstance(usage, RunnerOutput)},
        "failures": failures,
        "passed": not failures,
    }
    print(format_json(value), end="")


def print_table(outputs: dict[str, RunnerOutput | RunnerHelp], failures: dict[str, str]) -> None:
    """The table a person reads, then usages, warnings and what could not be read."""
    from rich.table import Table

    from device_bench.result import RunnerOutput

    console = result_console()
    results = {name: output for name, output in outputs.items() if isinstance(output, RunnerOutput)}
    table = Table(box=None, padding=(0, 1, 0, 0))
    table.add_column("recording", overflow="fold")
    table.add_column("runner", no_wrap=True)
    for heading in ("runs", "mean ms", "median", "p95", "first", "init", "peak MiB"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("ran on")
    for name, output in results.items():
        table.add_row(inert(name), output.flavour, *format_numbers(output), inert(format_where(output)))
    if results:
        console.print(table)

    def say(mark: str, text: str) -> None:
        console.print(f"{mark} {inert(text)}", highlight=False, soft_wrap=True)

    for warning, names in format_warnings(results).items():
        say("[yellow]warning[/]", f"{names}: {warning}")
    for name, usage in outputs.items():
        if not isinstance(usage, RunnerOutput):
            say("usage", f"{name}: {usage.flavour}, {len(usage.flags)} flags; --json lists them")
    for name, reason in failures.items():
        say("[red]unread[/]", f"{name}: {reason}")


def format_numbers(output: RunnerOutput) -> tuple[str, ...]:
    """Runs, latencies in ms and peak memory of a row; a dash for what the runner did not say."""
    measured = output.measured
    latency, peak = measured.latency, measured.memory.peak_rss_bytes
    times = (latency.mean_us, latency.median_us, latency.p95_us, measured.first_us, measured.init_us)
    shown = ("-" if us is None else f"{us / 1e3:.2f}" for us in times)
    return (str(latency.runs), *shown, "-" if peak is None else f"{peak / 2**20:.1f}")


def format_where(output: RunnerOutput) -> str:
    """Every delegate with its verdict, such as `gpu partial 110 of 113`."""
    # Profiling slows a run down, so its latency must not be taken for that of the network.
    profiled = ["(slowed by profiling)"] if output.profiles else []
    return " ".join([", ".join(_verdict(row) for row in output.delegations), *profiled])


def format_warnings(outputs: dict[str, RunnerOutput]) -> dict[str, str]:
    """Which recordings have a warning, by warning: the same one is common to many."""
    names: dict[str, list[str]] = {}
    for name, output in outputs.items():
        for warning in output.warnings:
            names.setdefault(warning, []).append(name)
    return {text: who[0] if len(who) == 1 else f"{len(who)} recordings" for text, who in names.items()}


def _verdict(row: Delegation) -> str:
    if row.verdict == "none":
        return f"NOT {row.delegate}"
    words = {"implicit_xnnpack": "implicit", "builtin": "builtin kernels"}
    nodes = "" if row.nodes is None or row.nodes_total is None else f" {row.nodes} of {row.nodes_total}"
    return f"{row.delegate} {words.get(row.verdict, row.verdict)}{nodes}"
