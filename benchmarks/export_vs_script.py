"""Wall time and peak memory of `python -m export run`, verification included, beside the plain script without any.

    .venv/bin/python benchmarks/export_vs_script.py [--model NAME] [--rounds N]

Both start from the same checkpoint (`make export MODEL=…` first) and make the same eight files from 128 calibration
images, in turn, as whole processes. Memory is the largest sum of the proportional set sizes (PSS, which counts a shared
page once) of all processes of a run, sampled ten times a second; Linux only.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
IMAGES = 128
PERIOD_S = 0.1


def tree_bytes(process: psutil.Process) -> int:
    """Memory of a process and all its descendants, shared pages counted once."""
    total = 0
    for member in (process, *process.children(recursive=True)):
        try:
            total += member.memory_full_info().pss
        except psutil.Error:  # it ended in between
            continue
    return total


def measure(command: list[str], folder: str) -> tuple[float, float]:
    """Wall seconds and peak gigabytes of a command; its output goes to a file that is shown if it fails."""
    with tempfile.TemporaryFile() as output:
        started = time.monotonic()
        running = subprocess.Popen(command, stdout=output, stderr=output, cwd=ROOT)
        process, peak = psutil.Process(running.pid), 0
        while running.poll() is None:
            try:
                peak = max(peak, tree_bytes(process))
            except psutil.Error:
                break
            time.sleep(PERIOD_S)
        code, seconds = running.wait(), time.monotonic() - started
        if code:
            output.seek(0)
            sys.exit(f"{command[1:4]} ended with {code} in {folder}:\n{output.read().decode(errors='replace')[-2000:]}")
    return seconds, peak / 1e9


def main() -> None:
    """Runs both in turn and prints a row per round, then the medians and their ratio."""
    parser = argparse.ArgumentParser(description="export against the plain script")
    parser.add_argument("--model", default="mobilenet_v2_1.4")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    checkpoint = ROOT / "build" / f"{arguments.model}-digits" / "trained.keras"
    if not checkpoint.is_file():
        sys.exit(f"{checkpoint} does not exist; run `make export MODEL={arguments.model}` first")
    rows: dict[str, list[tuple[float, float]]] = {"export": [], "plain script": []}
    print(f"{'round':<6}{'what':<14}{'wall s':>8}{'peak GB':>9}")
    for number in range(1, arguments.rounds + 1):
        for what, measured in rows.items():
            with tempfile.TemporaryDirectory() as folder:
                ours = ["-m", "export", "run", "--model", arguments.model, "--weights", str(checkpoint),
                        "--calibration-images", str(IMAGES), "--build-dir", folder]  # fmt: skip
                theirs = ["benchmarks/plain_script.py", str(checkpoint), folder, arguments.model, str(IMAGES)]
                row = measure([sys.executable, *(ours if what == "export" else theirs)], folder)
            measured.append(row)
            print(f"{number:<6}{what:<14}{row[0]:>8.1f}{row[1]:>9.2f}", flush=True)
    medians = {what: [statistics.median(column) for column in zip(*pairs, strict=True)] for what, pairs in rows.items()}
    ratios = [ours / theirs for ours, theirs in zip(medians["export"], medians["plain script"], strict=True)]
    for what, (seconds, gigabytes) in medians.items():
        print(f"median {what:<13}{seconds:>8.1f}{gigabytes:>9.2f}")
    print(f"ratio export / plain script {ratios[0]:.2f} wall, {ratios[1]:.2f} memory")


if __name__ == "__main__":
    main()
