"""`pick`: which artifact to ship to a device."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING, Any

from device_bench.commands.options import add_build_dir_option
from models.cli import inert, result_console
from models.files import format_json

if TYPE_CHECKING:
    from device_bench.report.choose import Candidate, Choice
    from device_bench.report.values import Report

_UNITS_US = {"us": 1.0, "ms": 1e3, "s": 1e6, "": 1e3}


def add_options(commands: Any) -> None:
    """The command line."""
    pick = commands.add_parser(
        "pick",
        help="which artifact should I ship?",
        description="The smallest file that keeps both limits on a device: top-1 on the test split of at least A, and "
        "a p95 latency of at most B. Between files of one size the lower p95 wins, then fewer threads. Estimates "
        "count, not the ends of their intervals.",
        epilog="exit codes: 0 found, 1 none fits (the nearest are shown), 2 bad input",
    )
    pick.add_argument(
        "--device", required=True, metavar="NAME", help="as the report names it, the start of its identity, or `local`"
    )
    pick.add_argument("--min-accuracy", required=True, type=share, metavar="A", help="such as 0.97 or 97%%")
    pick.add_argument("--max-p95", required=True, type=latency_us, metavar="B", help="such as 12ms (without unit: ms)")
    pick.add_argument("--model", metavar="NAME", help="of this network only (default: any)")
    add_build_dir_option(pick)
    pick.add_argument("--json", action="store_true", help="print JSON")
    pick.set_defaults(run=run_pick)


def share(text: str) -> float:
    """A share from the command line, as such or in percent."""
    match = re.fullmatch(r"(\d{1,3}(?:\.\d{1,12})?|\.\d{1,12})\s*(%?)", text.strip())
    value = float(match[1]) / (100 if match[2] else 1) if match else -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is neither a share from 0 to 1 nor from 0% to 100%")
    return value


def latency_us(text: str) -> float:
    """A latency from the command line, in microseconds."""
    match = re.fullmatch(r"(\d{1,12}(?:\.\d{1,12})?|\.\d{1,12})\s*(us|ms|s|)", text.strip())
    value = float(match[1]) * _UNITS_US[match[2]] if match else 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no latency above 0 such as 12ms, 800us or 0.5s")
    return value


def run_pick(arguments: argparse.Namespace) -> int:
    """Chooses, and shows the answer."""
    from device_bench.report.choose import choose_artifact, find_device
    from device_bench.report.write import load_report

    report = load_report(arguments.build_dir, arguments.model)
    device = find_device(report, arguments.device)
    choice = choose_artifact(report, device, arguments.min_accuracy, arguments.max_p95, arguments.model)
    if arguments.json:
        print(format_json({"schema": 1, **choice.to_json()}), end="")
    else:
        print_choice(report, choice)
    return 0 if choice.chosen is not None else 1


def print_choice(report: Report, choice: Choice) -> None:
    """What a person reads."""
    from device_bench.report.formats import device_label, ms, percent

    console = result_console()
    limits = f"top-1 at least {percent(choice.min_accuracy)} %, p95 at most {ms(choice.max_p95_us)} ms"

    def say(markup: str) -> None:
        console.print(markup, highlight=False, soft_wrap=True)

    say(f"[bold]{inert(device_label(choice.device))}[/]: {limits}")
    if choice.chosen is not None:
        say(f"[green]ship[/] {describe(report, choice.chosen)}")
        if choice.fitting > 1:
            say(f"others that fit: {choice.fitting - 1}, none of them smaller")
    else:
        say("[red]none fits[/]")
    for row in choice.nearest:
        say(f"[yellow]nearest[/] {describe(report, row)}; misses {' and '.join(row.misses)}")
    reasons: dict[str, int] = {}
    for row in choice.unfit:
        reasons[row.unfit or ""] = reasons.get(row.unfit or "", 0) + 1
    for reason, count in reasons.items():
        say(f"[yellow]not judged[/] {count}: {inert(reason)}")
    if choice.chosen is None and not choice.nearest and not choice.unfit:
        say("nothing is measured there yet: make bench MODEL=...")


def describe(report: Report, candidate: Candidate) -> str:
    """One result, with what every number must say."""
    from device_bench.report.formats import date, megabytes, ms, percent
    from models.pages import safe

    result, artifact = candidate.result, candidate.artifact
    accuracy = "unknown"
    if artifact is not None and artifact.top1_ci95 is not None:
        low, high = artifact.top1_ci95
        accuracy = f"{percent(artifact.top1)} % ({percent(low)}–{percent(high)})"
    system = report.device(result.device).system
    threads = f"{result.threads} thread{'s' if result.threads > 1 else ''}"
    text = (
        f"{safe(result.file)} ({safe(result.model)}, {safe(result.weights)}): {megabytes(result.size_bytes)} MB, "
        f"top-1 {accuracy}, p95 {ms(result.p95_us)} ms; {safe(system)}, {safe(result.ran_on)}, {threads}, "
        f"{safe(result.runner)} {safe(result.runner_version)}, {date(result.started)} UTC"
    )
    return inert(text)
