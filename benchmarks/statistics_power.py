"""How often each method is wrong, by simulation: false alarms and slowdowns found, for several kinds of noise.

    .venv/bin/python benchmarks/statistics_power.py [--experiments N] [--output FILE]

Two versions of a case are measured as `bench` does: fresh processes of 50 runs, in rounds, the old version twice for
the noise floor. "rounds" sets processes of the same round against each other, "records" two measurements of different
times. "usual" is what most scripts do: one process each, mean of 50 runs, Welch's test at 5 % as if runs were
independent.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.noise_model import REALISTIC, Noise, draw
from device_bench.stats import Verdict, judge, noise_floor, paired_ratio, unpaired_ratio

RUNS = 50
SLOWDOWN = 0.05
NOISES = {
    "quiet desktop": replace(REALISTIC, between=0.005),
    "realistic": REALISTIC,
    "warm rounds": replace(REALISTIC, between_rounds=0.02),
    "loud": replace(REALISTIC, between=0.02),
}


def usual_verdict(
    old_us: Sequence[float] | NDArray[np.float64], new_us: Sequence[float] | NDArray[np.float64]
) -> Verdict:
    """Means of two processes' runs, compared by Welch's test with the normal quantile (50 runs each are many)."""
    old, new = np.asarray(old_us), np.asarray(new_us)
    error = math.sqrt(float(np.var(old, ddof=1)) / len(old) + float(np.var(new, ddof=1)) / len(new))
    shift = float(np.mean(new) - np.mean(old))
    if abs(shift) <= 1.959964 * error:
        return "no difference shown"
    return "slower" if shift > 0 else "faster"


def shares(noise: Noise, processes: int, experiments: int, rng: np.random.Generator) -> tuple[float, ...]:
    """False alarms and slowdowns found of rounds, records and the usual way, in this order."""
    cases = (1000.0, 1000.0, 1000.0, 1000.0 * (1 + SLOWDOWN))
    runs = draw(noise, rng, experiments=experiments, processes=processes, runs=RUNS, cases=cases)
    counts = np.zeros(6)
    for experiment, medians in zip(runs, np.median(runs, axis=-1).tolist(), strict=True):
        old, twin, same, slow = medians
        floor = noise_floor(paired_ratio(old, twin))
        pairs = [(judge(paired_ratio(old, new), floor)) for new in (same, slow)]
        pairs += [(judge(unpaired_ratio(old, new), floor)) for new in (same, slow)]
        pairs += [usual_verdict(experiment[0, 0], experiment[case, 0]) for case in (2, 3)]
        counts += [said != "no difference shown" if at % 2 == 0 else said == "slower" for at, said in enumerate(pairs)]
    return tuple(counts / experiments)


def table(experiments: int, seed: int = 0) -> str:
    """Markdown."""
    lines = [
        "| noise | processes | rounds: false | found | records: false | found | usual: false | found |",
        "|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    rng = np.random.default_rng(seed)
    for name, noise in NOISES.items():
        for processes in (5, 7, 10, 15):
            cells = " | ".join(f"{share:.1%}" for share in shares(noise, processes, experiments, rng))
            lines.append(f"| {name} | {processes} | {cells} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiments", type=int, default=2000)
    parser.add_argument("--output", type=Path, help="Markdown file for the table")
    options = parser.parse_args()
    text = table(options.experiments)
    print(f"true slowdown {SLOWDOWN:.0%}, {options.experiments} experiments per line\n\n{text}", end="")
    if options.output:
        options.output.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
