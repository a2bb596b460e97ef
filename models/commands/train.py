"""`train`: one network from data to checkpoint."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.checkpoint import TrainedModel
from models.cli import at_least_one, inert, progress_display, result_console, seed, words
from models.errors import UsageError
from models.spec import FITS, ModelSpec, Preprocessing
from models.training.advice import suggest_start
from models.training.pace import format_duration
from models.training.plan import Wishes, plan_training
from models.training.settings import CLASS_WEIGHTS, MIXED_PRECISION
from models.training.team import PATIENCE_S, Team, find_team
from models.zoo import lookup


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    train = commands.add_parser(
        "train",
        help="train a network and keep its best checkpoint under the build folder",
        description="Trains a network. When it is interrupted, even by kill -9, the same command goes on from the last "
        "finished epoch and ends with the same weights.",
    )
    train.add_argument("--model", required=True, metavar="NAME", help="a name from `.venv/bin/python -m models list`")
    train.add_argument(
        "--dataset",
        default="digits",
        metavar="NAME|DIR",
        help="digits, shapes, cifar10, or a folder of pictures (default: %(default)s)",
    )
    train.add_argument("--allow-broken", action="store_true", help="leave out any number of broken files of the folder")
    train.add_argument("--fit", choices=FITS, help="how pictures become square (default: as the network's authors do)")
    train.add_argument(
        "--recipe",
        metavar="NAME",
        help="a name from `.venv/bin/python -m models recipes` (default: progressive for digits, else scratch)",
    )
    train.add_argument("--epochs", type=int, help="epochs at the network's own picture size (default: by the recipe)")
    train.add_argument(
        "--learning-rate",
        type=float,
        metavar="RATE",
        help="highest of the course, which keeps its shape (by the recipe)",
    )
    train.add_argument("--batch-size", type=int, metavar="N", help="pictures per step (default: by the recipe)")
    train.add_argument(
        "--fine-tune",
        metavar="imagenet|PATH",
        help="start from ImageNet's weights or a .keras file: a new classifier learns first, then all kernels; with "
        "--recipe of another name, all learn by that",
    )
    train.add_argument(
        "--frozen-epochs", type=int, metavar="N", help="of --fine-tune: epochs of the new classifier alone (default: 3)"
    )
    train.add_argument(
        "--qat",
        action="store_true",
        help="quantization-aware training: this machine's float training of model and data set (or --fine-tune PATH) "
        "goes on as its int8 file computes, for a tenth of its epochs, into a folder of its own (--weights qat)",
    )
    train.add_argument(
        "--flip",
        choices=("on", "off"),
        help="mirror pictures left to right while training (default: by the recipe for shapes and cifar10; off for "
        "digits and folders, whose classes may change by it)",
    )
    train.add_argument(
        "--class-weights",
        choices=CLASS_WEIGHTS,
        default="none",
        help="balanced: rare classes count as much as frequent ones (default: %(default)s)",
    )
    train.add_argument(
        "--mixed-precision",
        choices=MIXED_PRECISION,
        default="auto",
        help="compute in float16, keep weights in float32 (default: on a GPU only)",
    )
    train.add_argument(
        "--workers",
        type=words,
        default=(),
        metavar="HOST:PORT,…",
        help="train on several machines together: the addresses of all, the same on each (default: alone)",
    )
    train.add_argument(
        "--worker-index", type=int, metavar="N", help="which of the workers this is, from 0, which leads"
    )
    train.add_argument(
        "--worker-timeout",
        type=at_least_one,
        default=round(PATIENCE_S),
        metavar="SECONDS",
        help="how long to wait for the other workers at the start (default: %(default)s)",
    )
    train.add_argument("--tensorboard", action="store_true", help="write TensorBoard's events beside the checkpoint")
    train.add_argument(
        "--seed", type=seed, default=0, help="of initial weights, picture order, augmentation (default: %(default)s)"
    )
    train.add_argument("--build-dir", type=Path, default=Path("build"), metavar="DIR", help="default: %(default)s")
    train.add_argument("--json", action="store_true", help="print trained.json instead of a summary")
    train.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Trains one network."""
    from models.checkpoint import run_folder
    from models.data import allowing_broken, dataset_slug
    from models.qat.plan import check_name, plan_qat, qat_folder
    from models.weights import help_train, train_now

    team = find_team(arguments.workers, arguments.worker_index, os.environ, patience_s=arguments.worker_timeout)
    spec = lookup(arguments.model)
    if arguments.fit:
        spec = replace(spec, preprocessing=replace(spec.preprocessing, fit=arguments.fit))
    dataset = allowing_broken(arguments.dataset, arguments.allow_broken)
    slug = dataset_slug(dataset)
    check_name(slug)
    wishes = Wishes(
        recipe=arguments.recipe,
        epochs=arguments.epochs,
        batch=arguments.batch_size,
        flip=None if arguments.flip is None else arguments.flip == "on",
        fine_tune=arguments.fine_tune,
        frozen_epochs=arguments.frozen_epochs,
        learning_rate=arguments.learning_rate,
        class_weights=arguments.class_weights,
        mixed_precision=arguments.mixed_precision,
    )
    if arguments.qat and team:
        raise UsageError("--workers and --qat: quantization-aware training is done by one machine; leave one out")
    if arguments.qat:
        if not (arguments.fit or arguments.fine_tune):
            spec = _fitted_as_before(spec, run_folder(arguments.build_dir, spec.name, slug))
        folder = qat_folder(arguments.build_dir, spec.name, slug)
        settings = plan_qat(spec, dataset, arguments.build_dir, seed=arguments.seed, wishes=wishes)
    else:
        folder = run_folder(arguments.build_dir, spec.name, slug)
        settings = plan_training(spec, dataset, seed=arguments.seed, wishes=wishes)
    if team and not team.leads:
        with progress_display() as report:
            record = help_train(spec, dataset, settings, report, team=team)
        _print_helped(record, team, as_json=arguments.json)
        return 0
    with progress_display() as report:
        trained = train_now(spec, dataset, settings, folder, report, tensorboard=arguments.tensorboard, team=team)
    if arguments.json:
        print(json.dumps(trained.record, indent=2))
        return 0
    _print_trained(trained, dataset)
    return 0


def _fitted_as_before(spec: ModelSpec, folder: Path) -> ModelSpec:
    """The network with the preprocessing that its float training had."""
    from models.checkpoint import load_trained

    trained = load_trained(folder)
    known = trained.record.get("preprocessing") if trained else None
    return replace(spec, preprocessing=Preprocessing.from_json(known)) if known else spec


def _print_helped(record: dict[str, Any], team: Team, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(record, indent=2))
        return
    top1 = record["accuracy"]["test_top1"]
    done = f"{team.name(team.index)} is done: top-1 {top1:.2%}; the files are on {team.name(0)}"
    result_console().print(inert(done), highlight=False, soft_wrap=True)


def _print_trained(trained: TrainedModel, dataset: str) -> None:
    record, console = trained.record, result_console()
    top1, images = record["accuracy"]["test_top1"], record["dataset"]["images"]["test"]
    console.print(
        f"[bold]{inert(trained.path)}[/]: top-1 {top1:.2%} on {images} test images", highlight=False, soft_wrap=True
    )
    epochs, recipe = len(record["history"]), record["settings"]["recipe"]
    console.print(
        f"recipe {recipe}, {epochs} epoch{'s' * (epochs > 1)} in {format_duration(record['seconds'])}; "
        f"curves in {inert(trained.path.parent / record['curves']['png'])}",
        highlight=False,
        soft_wrap=True,
    )
    own = "" if dataset == "digits" else f" DATASET={inert(shlex.quote(dataset))}"
    chosen = " WEIGHTS=qat" if record["settings"]["quantization_aware"] else ""
    if hint := suggest_start(record, dataset):
        console.print(inert(hint), highlight=False, soft_wrap=True)
    console.print(f"next: make export MODEL={trained.model}{own}{chosen}", highlight=False, soft_wrap=True)
