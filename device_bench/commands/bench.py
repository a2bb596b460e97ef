"""`bench`: measure a network's files on phones, boards or this desktop."""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from device_bench.case import Delegate, RunnerName, RunSettings
from device_bench.commands.options import (
    add_build_dir_option,
    add_model_option,
    add_precision_option,
    add_process_options,
    add_weights_options,
    check_durations,
    next_line,
    number,
    numbers,
    seconds,
)
from device_bench.commands.targets import add_target_options
from export.precision import select_precisions
from models.cli import inert, one_line, progress_display, result_console, words
from models.files import format_json
from models.zoo import lookup

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from device_bench.measuring.bench import BenchRequest, Outcome

_DEFAULT_PRECISIONS = "float32,float16,int8"


def add_options(commands: Any) -> None:
    """The command line."""
    bench = commands.add_parser(
        "bench",
        help="push, run, check and measure",
        description="Pushes a network's files to a phone, checks that they compute there what they compute here, and "
        "measures them. What was not exported yet is exported first.",
        epilog="exit codes: 0 all passed, 1 wrong numbers or another delegate than asked for, 2 bad input, "
        "3 a device, its connection or a program on it failed",
    )
    what = bench.add_argument_group("what")
    add_model_option(what)
    add_weights_options(what)
    add_precision_option(what, _DEFAULT_PRECISIONS)
    what.add_argument(
        "--format", type=words, default=("tflite",), metavar="NAMES", help="tflite, onnx or both (default: tflite)"
    )
    _add_where(bench.add_argument_group("where"))
    _add_how(bench.add_argument_group("how"))
    add_build_dir_option(bench)
    bench.add_argument("--dry-run", action="store_true", help="print the plan and its exact commands, measure nothing")
    bench.add_argument("--json", action="store_true", help="print the records (or the plans) instead of tables")
    bench.set_defaults(run=run_bench)


def _add_where(where: Any) -> None:
    add_target_options(where)
    where.add_argument(
        "--runner",
        type=words,
        default=(),
        metavar="NAMES",
        help=f"comma separated, of {', '.join(get_args(RunnerName))} (default: the first that the device has)",
    )
    where.add_argument(
        "--runner-path", type=Path, metavar="FILE", help="a benchmark_model for the device, to be pushed"
    )
    where.add_argument(
        "--delegate",
        type=words,
        default=("cpu",),
        metavar="NAMES",
        help=f"comma separated, of {', '.join(get_args(Delegate))} (default: cpu)",
    )
    where.add_argument(
        "--threads", type=numbers, default=(), metavar="N,N", help="(default: 1 and 4, as far as there are CPUs)"
    )
    where.add_argument(
        "--affinity",
        default="none",
        metavar="POLICY",
        help="none, all, big, prime, little or a hexadecimal CPU mask (default: %(default)s)",
    )


def _add_how(how: Any) -> None:
    add_process_options(how, RunSettings(), "timed inferences per process")
    how.add_argument(
        "--check",
        type=number,
        default=None,
        metavar="N",
        help="images whose outputs are compared with the desktop's; 0: none (default: 8)",
    )
    how.add_argument(
        "--accuracy", type=number, default=0, metavar="N", help="test images for top-1 on the device (default: none)"
    )
    how.add_argument(
        "--sustained", type=seconds, default=0.0, metavar="MINUTES", help="afterwards, run each case this long"
    )
    how.add_argument(
        "--no-memory", dest="memory", action="store_false", help="leave out the process that measures memory"
    )
    how.add_argument(
        "--no-profile", dest="profile", action="store_false", help="leave out the process that profiles operators"
    )
    how.add_argument(
        "--aa", action="store_true", help="measure the first case twice, to see what noise alone does (A/A)"
    )
    how.add_argument("--strict", action="store_true", help="a delegate must take the whole graph")
    how.add_argument(
        "--cool-down",
        type=seconds,
        default=300.0,
        metavar="S",
        help="longest wait for a cool phone before a process (default: %(default)s)",
    )
    how.add_argument("--fixed-performance", action="store_true", help="Android's fixed-performance mode meanwhile")
    how.add_argument("--stay-awake", action="store_true", help="keep the screen on meanwhile")
    how.add_argument("--resume", action="store_true", help="go on with the unfinished benchmark of the same plan")


def run_bench(arguments: argparse.Namespace) -> int:
    """Measures, and prints a table per target."""
    spec = lookup(arguments.model)
    precisions = select_precisions(arguments.precision or words(_DEFAULT_PRECISIONS), arguments.format)
    request = make_request(arguments)
    # Not before the names are known to be good: these imports take a moment.
    from device_bench.commands.targets import choose_targets
    from device_bench.measuring.bench import Outcome, bench_all, prepare
    from models.data import dataset_loader

    dataset_loader(arguments.dataset)
    stop = threading.Event()
    targets, left_out = choose_targets(arguments.device, arguments.adb_server, stop)
    with progress_display() as report:
        images = max(request.check_images, request.accuracy_images)
        prepared = prepare(spec, arguments.weights, arguments.dataset, precisions, arguments.build_dir, images, report)
        try:
            outcomes = bench_all(targets, request, prepared, report, stop)
            outcomes += [Outcome(target=name, error=error) for name, error in left_out.items()]
        except KeyboardInterrupt:
            raise KeyboardInterrupt(
                "what was measured is kept, devices are as they were; with RESUME=1 (--resume) it goes on"
            ) from None
    if arguments.dry_run:
        print_plans(outcomes, as_json=arguments.json)
    elif arguments.json:
        print_json(outcomes)
    else:
        print_tables(outcomes, next_line("bench", arguments, "ACCURACY=100", "SUSTAINED=5"))
    return exit_code(outcomes)


def make_request(arguments: argparse.Namespace) -> BenchRequest:
    """What the command line asks for.

    Raises:
        UnknownNameError: no such runner or delegate.
        UsageError: options that contradict each other.
    """
    from device_bench.measuring.bench import BenchRequest
    from device_bench.measuring.correctness import CHECK_IMAGES
    from device_bench.state.thermal import Limits
    from models.errors import UnknownNameError

    for what, given, known in (
        ("runner", arguments.runner, get_args(RunnerName)),
        ("delegate", arguments.delegate, get_args(Delegate)),
    ):
        for name in given:
            if name not in known:
                raise UnknownNameError(what, name, known)
    check_durations(arguments)
    return BenchRequest(
        runners=arguments.runner,
        runner_path=arguments.runner_path,
        delegates=arguments.delegate or ("cpu",),
        threads=arguments.threads,
        affinity=arguments.affinity,
        settings=RunSettings(
            runs=arguments.runs, min_s=arguments.min_seconds, max_s=arguments.max_seconds, strict=arguments.strict
        ),
        repeats=arguments.repeats,
        memory=arguments.memory,
        profile=arguments.profile,
        check_images=CHECK_IMAGES if arguments.check is None else arguments.check,
        accuracy_images=arguments.accuracy,
        sustained_min=arguments.sustained,
        seed=arguments.seed,
        limits=Limits(),
        patience_s=arguments.cool_down,
        resume=arguments.resume,
        dry_run=arguments.dry_run,
        fixed_performance=arguments.fixed_performance,
        stay_awake=arguments.stay_awake,
        aa=arguments.aa,
    )


def exit_code(outcomes: list[Outcome]) -> int:
    """The worst of all targets: 3 a device failed, 1 numbers are wrong, 2 the request did not fit, 0 all passed."""
    codes = {0}
    for outcome in outcomes:
        if outcome.error is not None:
            codes.add(outcome.error.exit_code)
        elif outcome.record is not None and outcome.record.disagrees:
            codes.add(1)
        elif outcome.record is not None and not outcome.record.passed:
            codes.add(3)
    return next(code for code in (3, 1, 2, 0) if code in codes)


def print_plans(outcomes: list[Outcome], *, as_json: bool) -> None:
    """What would be done: exact commands, ready to be run by hand."""
    plans = [(outcome.target, outcome.plan, outcome.commands) for outcome in outcomes if outcome.plan]
    if as_json:
        rows = [
            {"target": name, "digest": plan.digest, "plan": plan.to_json(), "commands": list(commands)}
            for name, plan, commands in plans
        ]
        print(format_json({"schema": 1, "plans": rows}), end="")
    else:
        for name, plan, commands in plans:
            print(f"# {one_line(name)}: {len(plan.cases)} cases, {len(plan.jobs())} timed processes")
            for command in commands:
                print(command)
            for case, reason in plan.skipped:
                print(f"# not measured: {one_line(case)}: {one_line(reason)}")
    print_errors(outcomes)


def print_json(outcomes: list[Outcome]) -> None:
    """All records, whole."""
    rows = [
        {
            "target": outcome.target,
            "file": None if outcome.path is None else str(outcome.path),
            "error": None if outcome.error is None else str(outcome.error),
            "complete": outcome.complete,
            "record": None if outcome.record is None else outcome.record.to_json(),
        }
        for outcome in outcomes
    ]
    print(format_json({"schema": 1, "outcomes": rows}), end="")


def print_tables(outcomes: list[Outcome], then: str) -> None:
    """A table per target, what to know of it, and what to do next if all passed."""
    from device_bench.measuring.tables import bench_notes, bench_tables, bench_title

    console = result_console()
    for outcome in outcomes:
        if outcome.record is not None and outcome.path is not None:
            console.print(f"[bold]{bench_title(outcome.record)}[/]", highlight=False, soft_wrap=True)
            print_table(console, list(bench_tables(outcome.record)))
            if outcome.complete:
                finished = inert(outcome.record.finished)
                console.print(f"[yellow]nothing was measured[/]: this benchmark ended {finished}", highlight=False)
            for note in bench_notes(outcome.record, outcome.path):
                console.print(note, highlight=False, soft_wrap=True)
    print_errors(outcomes)
    if all(outcome.record is not None and outcome.record.passed for outcome in outcomes):
        console.print(then, highlight=False, soft_wrap=True)


def print_table(console: Console, tables: Sequence[Table]) -> None:
    """The first of the tables that the terminal can hold unbroken, else the last."""
    # Asked with the terminal's own width, a table says that it fits: it would cut its columns.
    wide = console.options.update(width=1000)
    fitting = (table for table in tables if console.measure(table, options=wide).maximum <= console.width)
    table = next(fitting, tables[-1])
    console.print(table)
    if table is not tables[0]:
        console.print("columns are left out that this terminal cannot hold; --json has all", highlight=False)


def print_errors(outcomes: list[Outcome]) -> None:
    """One line for each target that failed."""
    for outcome in outcomes:
        if outcome.error is not None:
            sys.stderr.write(f"error: {one_line(outcome.target)}: {one_line(str(outcome.error))}\n")
