"""Options that every command which may export takes, and the request they make."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from export.precision import Precision
from export.quantization.settings import parse_settings, settings_words
from models.cli import at_least_one, seed
from models.labels import read_labels
from models.presets import PRESETS
from models.zoo import lookup

if TYPE_CHECKING:
    from export.request import ExportRequest
    from models.worker import Report

CODES = "exit codes: 0 all passed, 1 a check failed, 2 bad input"


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """All but precision and format, in which the commands differ."""
    parser.add_argument(
        "--model",
        required=True,
        metavar="NAME|PATH.keras",
        help="a name from `.venv/bin/python -m models list`, or a classifier of your own, of stock Keras layers",
    )
    parser.add_argument(
        "--preprocessing",
        metavar="PRESET|PATH.json",
        help=f"of your own network: {', '.join(PRESETS)}, or a file with mean and std in grey levels",
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="class names, one per line (default: the data set's)"
    )
    parser.add_argument(
        "--weights",
        default="auto",
        metavar="auto|qat|random|imagenet|PATH",
        help="auto: this machine's training run of model and data set, trained now if there is none; qat: its "
        "quantization-aware training, see `make train QAT=1`; random: untrained, "
        "for latency; imagenet: released weights of MobileNetV1, V2 and V3 for ImageNet's 1000 classes, "
        "which need --dataset DIR with pictures of some of them; PATH: a .keras checkpoint (default: %(default)s)",
    )
    parser.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|DIR",
        help="to train, calibrate and verify: digits, shapes, cifar10, or a folder of pictures; imagenet:DIR is a "
        "folder whose class folders are some of ImageNet's classes (default: %(default)s)",
    )
    parser.add_argument(
        "--allow-broken", action="store_true", help="leave out any number of broken files of the folder"
    )
    parser.add_argument(
        "--calibration-images",
        type=at_least_one,
        metavar="N",
        help="size of the representative data set (default: 128, or all training pictures where there are fewer)",
    )
    parser.add_argument(
        "--quantization",
        default="",
        metavar="WORDS",
        help=f"how 8-bit files keep their accuracy: comma separated, of {settings_words()} "
        "(default: mse,exact,equalize=auto,bias; docs/quantization.md)",
    )
    parser.add_argument(
        "--seed",
        type=seed,
        default=0,
        help="chooses the calibration images, and starts a training (default: %(default)s)",
    )
    parser.add_argument(
        "--output",
        choices=("probabilities", "logits"),
        default="probabilities",
        help="what the files compute (default: %(default)s)",
    )
    parser.add_argument("--author", metavar="TEXT", help="whoever answers for the files; written into every .tflite")
    parser.add_argument("--license", metavar="TEXT", help="what they may be used under; written into every .tflite")
    parser.add_argument(
        "--build-dir", type=Path, default=Path("build"), metavar="DIR", help="where results go (default: %(default)s)"
    )


def check_export_options(arguments: argparse.Namespace) -> tuple[str, ...] | None:
    """The class names given, if any, once all names are known to be good: before anything heavy is imported.

    Raises:
        UnknownNameError: no such network, or no such data set.
        UsageError: class names that cannot be read, or an unknown quantization setting.
    """
    if not arguments.model.endswith(".keras"):
        lookup(arguments.model)
    parse_settings(arguments.quantization)
    return read_labels(arguments.labels) if arguments.labels else None


def export_request(
    arguments: argparse.Namespace, precisions: tuple[Precision, ...], labels: tuple[str, ...] | None, report: Report
) -> ExportRequest:
    """What the options ask for.

    Raises:
        ToolchainError: of the kinds listed in `models.errors`, for what cannot be had.
    """
    # These imports take a moment.
    from export.request import ExportRequest
    from models.data import allowing_broken, dataset_loader
    from models.given import find_model

    dataset = allowing_broken(arguments.dataset, arguments.allow_broken)
    dataset_loader(dataset)
    return ExportRequest(
        spec=find_model(arguments.model, arguments.preprocessing, arguments.weights, report),
        dataset=dataset,
        weights=arguments.weights,
        precisions=precisions,
        calibration_images=arguments.calibration_images,
        seed=arguments.seed,
        output=arguments.output,
        build_dir=arguments.build_dir,
        labels=labels,
        author=arguments.author,
        license=arguments.license,
        quantization=parse_settings(arguments.quantization),
    )
