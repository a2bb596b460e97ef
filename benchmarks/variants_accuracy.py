"""Accuracy of small networks on rendered scenes, float and 8 bits: trains, exports, prints the table of the docs.

    .venv/bin/python benchmarks/variants_accuracy.py [--model NAME ...] [--dataset DATASET] [--build-dir DIR]

Hours on two cores. A training that was interrupted goes on from its last epoch, a finished one is not repeated, so the
script can be stopped and started at any time.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

MODELS = (
    "mobilenet_v1_0.25_128",
    "mobilenet_v1_0.5_128",
    "mobilenet_v2_0.35_96",
    "mobilenet_v2_0.5_96",
    "vgg_small",
    "vgg_small_separable",
)


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Accuracy of small networks on rendered scenes, float and 8 bits.")
    parser.add_argument("--model", action="append", metavar="NAME", help=f"default: {', '.join(MODELS)}")
    parser.add_argument("--dataset", default="shapes:test=10000", help="default: %(default)s")
    parser.add_argument("--build-dir", type=Path, default=Path("build"), metavar="DIR", help="default: %(default)s")
    return parser.parse_args()


def export(model: str, dataset: str, build_dir: Path) -> dict[str, Any]:
    """The manifest of a network's float32 and int8 TFLite files, trained by the default recipe.

    Raises:
        CalledProcessError: the export could not even be made; a file that failed its limits is a result.
    """
    command = [sys.executable, "-m", "export", "run", f"--model={model}", f"--dataset={dataset}", "--json"]
    command += ["--precision=float32,int8", "--format=tflite", f"--build-dir={build_dir}"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 1):
        raise subprocess.CalledProcessError(done.returncode, command)
    manifest: dict[str, Any] = json.loads(done.stdout)
    return manifest


def table_row(manifest: dict[str, Any]) -> str:
    """One network as a row of Markdown."""
    float32, int8 = ({a["precision"]: a for a in manifest["artifacts"]}[name] for name in ("float32", "int8"))
    found = int8["verification"]
    low, high = (100 * bound for bound in found["top1_drop_ci95"])
    cells = (
        f"`{manifest['model']['name']}`",
        f"{manifest['weights']['top1']:.2%}",
        f"{float32['verification']['top1']:.2%}",
        f"{found['top1']:.2%}",
        f"{100 * found['top1_drop']:.2f} ({low:.2f} to {high:.2f})",
        f"{found['top1_agreement']:.2%}",
        f"{float32['size_bytes'] / 1e6:.2f}",
        f"{int8['size_bytes'] / 1e6:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Trains and exports one network after the other, and prints their table."""
    arguments = parse_arguments()
    heads = ("network", "Keras", "float32", "int8", "drop, points (95 %)", "agree", "float32, MB", "int8, MB")
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for model in arguments.model or MODELS:
        print(table_row(export(model, arguments.dataset, arguments.build_dir)), flush=True)


if __name__ == "__main__":
    main()
