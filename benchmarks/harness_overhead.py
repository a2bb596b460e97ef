"""What `bench` adds to a runner: latency it reports, and wall time it spends, beside the same runner started by hand.

    .venv/bin/python benchmarks/harness_overhead.py --device SERIAL [--model NAME] [--pairs N] [--runs N]

In each pair, in random order, one process of `bench` and one bare `adb shell benchmark_model …` with the very flags
that `bench` used, on a phone, a board or a device of the lab (`make lab`) that has a native runner. The ratio of the
reported latencies should be 1: its interval says what this run could have seen.
"""

from __future__ import annotations

import argparse
import json
import random
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from device_bench.adb.program import find_adb
from device_bench.parse import parse_output
from device_bench.result import RunnerOutput

ROOT = Path(__file__).resolve().parent.parent
FOLDER = "/data/local/tmp/harness_overhead"


def adb(serial: str, *words: str) -> str:
    """What adb prints; ends the program if it fails."""
    done = subprocess.run(
        [str(find_adb(None)), "-s", serial, *words], capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        sys.exit(f"adb {words[0]} ended with {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout


def through_bench(arguments: argparse.Namespace, build: Path) -> tuple[float, float, float, list[str], Path]:
    """Reported mean latency, seconds of the runner, seconds of the harness, its command line, the file it measured."""
    command = [
        *(sys.executable, "-m", "device_bench", "bench", f"--model={arguments.model}", f"--build-dir={build}"),
        *(f"--device={arguments.device}", "--runner=classic", "--precision=int8", "--threads=1", "--repeats=1"),
        *(f"--runs={arguments.runs}", "--check=0", "--no-memory", "--no-profile", "--json"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=600)
    if done.returncode:
        sys.exit(f"bench ended with {done.returncode}: {done.stderr[-2000:]}")
    (outcome,) = json.loads(done.stdout)["outcomes"]
    (attempt,) = outcome["record"]["attempts"]
    (case,) = outcome["record"]["plan"]["cases"]
    file = Path(outcome["file"]).parents[1] / case["model"]["file"]
    mean_us = attempt["output"]["measured"]["latency"]["mean_us"]
    return mean_us, attempt["wall_s"], attempt["harness_s"], attempt["argv"], ROOT / file


def by_hand(serial: str, argv: list[str]) -> tuple[float, float]:
    """Reported mean latency, and seconds, of the bare runner."""
    words = [f"--graph={FOLDER}/model.tflite" if word.startswith("--graph=") else word for word in argv]
    started = time.monotonic()
    text = adb(serial, "shell", f"{shlex.join(words)} 2>&1")
    seconds = time.monotonic() - started
    output = parse_output(text, "")
    if not isinstance(output, RunnerOutput):
        sys.exit(f"the runner gave no result: {text[-2000:]}")
    return output.measured.latency.mean_us, seconds


def main() -> None:
    """Runs the pairs; prints each, then the ratio with its interval and the time added."""
    parser = argparse.ArgumentParser(description="bench against the bare runner")
    parser.add_argument("--device", required=True)
    parser.add_argument("--model", default="mobilenet_v1_0.25_128")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--runs", type=int, default=50)
    arguments = parser.parse_args()
    order, ratios, added, runner_s = random.Random(0), [], [], []  # noqa: S311 - an order, no secret
    build = ROOT / "build"
    # The first tells the flags and the file; exports it if need be.
    _, _, _, argv, file = through_bench(arguments, build)
    adb(arguments.device, "shell", f"mkdir -p {FOLDER}")
    try:
        adb(arguments.device, "push", str(file), f"{FOLDER}/model.tflite")
        for pair in range(arguments.pairs):
            if order.random() < 0.5:
                harness_us, wall_s, harness_s, argv, _ = through_bench(arguments, build)
                hand_us, _ = by_hand(arguments.device, argv)
            else:
                hand_us, _ = by_hand(arguments.device, argv)
                harness_us, wall_s, harness_s, argv, _ = through_bench(arguments, build)
            ratios.append(harness_us / hand_us)
            added.append(harness_s)
            runner_s.append(wall_s)
            print(
                f"{pair + 1:3d}  bench {harness_us:9.0f} us  by hand {hand_us:9.0f} us  ratio {ratios[-1]:.4f}",
                flush=True,
            )
    finally:
        adb(arguments.device, "shell", f"rm -rf {FOLDER}")
    drawn = np.random.default_rng(0).choice(np.log(ratios), (10_000, len(ratios)))
    low, high = np.exp(np.percentile(np.median(drawn, axis=1), (2.5, 97.5)))
    print(f"reported latency, bench / by hand: {statistics.median(ratios):.4f} (95 %: {low:.4f} to {high:.4f})")
    print(
        f"wall time per process: {statistics.median(runner_s):.2f} s in the runner, "
        f"{statistics.median(added):.2f} s added"
    )


if __name__ == "__main__":
    main()
