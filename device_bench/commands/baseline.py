"""`baseline`: measure a network on this desktop's GPU, or on its CPU, clearly labelled."""

from __future__ import annotations

import argparse
import shlex
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from device_bench.baseline.case import PRECISIONS
from device_bench.baseline.engines import AUTO, ENGINES
from device_bench.baseline.program.request import Settings
from device_bench.commands.options import (
    add_build_dir_option,
    add_model_option,
    add_precision_option,
    add_process_options,
    add_weights_options,
    check_durations,
    count,
    next_line,
    number,
)
from models.cli import one_line, progress_display, result_console, words
from models.files import format_json
from models.zoo import lookup

if TYPE_CHECKING:
    from device_bench.baseline.plan import BaselineRequest
    from device_bench.baseline.record import BaselineRecord

LARGEST_BATCH = 4096
"""That may be asked for: 4096 pictures of 224 px are 2.5 GB."""


def add_options(commands: Any) -> None:
    """The command line."""
    baseline = commands.add_parser(
        "baseline",
        help="measure on this desktop's GPU, or its CPU",
        description="Measures a network on this desktop: the first GPU engine that proves to do all the work there, "
        "else the CPU, labelled so. What was not exported yet is exported first.",
        epilog="exit codes: 0 all passed, 1 wrong numbers, or an engine asked for by name computed elsewhere, 2 bad "
        "input or not installed, 3 the GPU, its driver or a process failed",
    )
    add_model_option(baseline)
    add_weights_options(baseline)
    baseline.add_argument(
        "--engine",
        type=words,
        default=(AUTO,),
        metavar="NAMES",
        help=f"auto, or comma separated of {', '.join(ENGINES)} (default: auto)",
    )
    add_precision_option(baseline, ",".join(PRECISIONS), ", as far as the engine has them")
    baseline.add_argument(
        "--batch", type=batches, default=(), metavar="N,N", help="(default: doubled until it no longer pays)"
    )
    _add_how(baseline)
    add_build_dir_option(baseline)
    baseline.add_argument("--dry-run", action="store_true", help="print what would be tried, measure nothing")
    baseline.add_argument("--json", action="store_true", help="print the record (or the plan) instead of a table")
    baseline.set_defaults(run=run_baseline)


def _add_how(baseline: Any) -> None:
    add_process_options(baseline, Settings(), "samples per process and phase")
    baseline.add_argument("--gpu-index", type=number, metavar="I", help="as nvidia-smi counts (default: the first)")
    baseline.add_argument(
        "--threads", type=count, metavar="N", help="for what the CPU computes (default: as many as CPUs may be used)"
    )
    # The code of the GPU engines, tested where there is no GPU.
    baseline.add_argument("--device", choices=("gpu", "cpu"), default=None, help=argparse.SUPPRESS)


def batches(text: str) -> tuple[int, ...]:
    """Images per inference, ascending."""
    values = tuple(sorted({count(word) for word in words(text)}))
    if values and values[-1] > LARGEST_BATCH:
        raise argparse.ArgumentTypeError(f"{values[-1]} is outside 1..{LARGEST_BATCH}")
    return values


def run_baseline(arguments: argparse.Namespace) -> int:
    """Measures, and prints a table."""
    spec = lookup(arguments.model)
    request = make_request(arguments)
    # Not before the names are known to be good: these imports take a moment.
    from device_bench.baseline.baseline import measure_baseline, verdict
    from device_bench.desktop import Desktop
    from models.data import dataset_loader

    dataset_loader(arguments.dataset)
    if arguments.dry_run:
        print_plan(request, as_json=arguments.json)
        return 0
    with progress_display() as report:
        record, path = measure_baseline(
            Desktop(threading.Event()),
            request,
            spec,
            arguments.weights,
            arguments.dataset,
            arguments.build_dir,
            report,
        )
    error = verdict(record)
    if arguments.json:
        row = {"file": str(path), "error": None if error is None else str(error), "record": record.to_json()}
        print(format_json({"schema": 1, **row}), end="")
    else:
        print_tables(record, path)
    if error is not None:
        sys.stderr.write(f"error: {one_line(str(error))}\n")
        return error.exit_code
    if not arguments.json:
        result_console().print(next_line("bench", arguments), highlight=False, soft_wrap=True)
    return 0


def make_request(arguments: argparse.Namespace) -> BaselineRequest:
    """What the command line asks for.

    Raises:
        UnknownNameError: no such engine or precision.
        UsageError: options that contradict each other.
    """
    from device_bench.baseline.baseline import usable_cpus
    from device_bench.baseline.engines import find_engines
    from device_bench.baseline.plan import BaselineRequest
    from models.errors import UnknownNameError, UsageError

    names = arguments.engine or (AUTO,)
    if AUTO in names and len(names) > 1:
        raise UsageError(f"--engine {','.join(names)}: auto chooses one engine by itself; give auto, or names")
    for name in arguments.precision:
        if name not in PRECISIONS:
            raise UnknownNameError("precision", name, PRECISIONS)
    check_durations(arguments)
    return BaselineRequest(
        engines=() if names == (AUTO,) else find_engines(names),
        precisions=tuple(dict.fromkeys(arguments.precision)) or PRECISIONS,
        batches=arguments.batch,
        repeats=arguments.repeats,
        threads=arguments.threads or usable_cpus(),
        gpu_index=arguments.gpu_index,
        seed=arguments.seed,
        settings=Settings(
            runs=arguments.runs,
            min_s=arguments.min_seconds,
            max_s=arguments.max_seconds,
            # Whoever has little time has little for the warm-up, too; the record says whether it was enough.
            warmup_max_s=min(Settings().warmup_max_s, arguments.max_seconds),
        ),
        device=arguments.device,
    )


def print_plan(request: BaselineRequest, *, as_json: bool) -> None:
    """What would be tried in which order. The batches of a sweep are known only when it is done."""
    from device_bench.baseline.engines import FALLBACK, refusal

    auto = not request.engines
    engines = request.engines or (
        *(engine for engine in ENGINES.values() if engine.accelerator == "gpu" and engine.tells_device),
        FALLBACK,
    )
    rows = [
        {
            "engine": engine.name,
            "precision": precision,
            "refused": refusal(engine, precision),
            "install": engine.install,
        }
        for engine in engines
        for precision in request.precisions
    ]
    if as_json:
        print(format_json({"schema": 1, "auto": auto, "request": request.to_json(), "tries": rows}), end="")
        return
    sizes = ",".join(map(str, request.batches)) or "1,2,4,… until it no longer pays"
    said = "the first that proves to compute on the GPU is taken" if auto else "all of them are measured"
    print(f"# {said}; batches {sizes}; {request.repeats} processes each, {request.threads} threads")
    for row in rows:
        note = f"# cannot: {row['refused']}" if row["refused"] else f"# if missing: {row['install']}"
        print(f"{shlex.quote(str(row['engine']))} {row['precision']}  {note}")


def print_tables(record: BaselineRecord, path: Path) -> None:
    """The table, and what to know of it."""
    from device_bench.baseline.tables import baseline_notes, baseline_table, baseline_title

    console = result_console()
    console.print(f"[bold]{baseline_title(record)}[/]", highlight=False, soft_wrap=True)
    console.print(baseline_table(record))
    for note in baseline_notes(record, path):
        console.print(note, highlight=False, soft_wrap=True)
