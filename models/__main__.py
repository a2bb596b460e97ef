"""`python -m models`: list the networks, take one apart, train one; look at data sets."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.catalogue import (
    describe_kinds,
    describe_model,
    describe_row,
    format_millions,
    format_page,
    format_top1,
)
from models.checkpoint import TrainedModel
from models.cli import Parser, at_least_one, inert, progress_display, result_console, run, seed, words
from models.cost import layer_costs, model_cost
from models.spec import FITS
from models.training.pace import format_duration
from models.training.recipes import RECIPES, Wishes, plan_training
from models.training.settings import CLASS_WEIGHTS, MIXED_PRECISION
from models.training.team import PATIENCE_S, Team, find_team
from models.zoo import MODELS, lookup


def make_parser() -> Parser:
    """The command line."""
    parser = Parser(prog="python -m models", description="The networks of the zoo, and their training.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="all networks with parameters, mult-adds and published accuracy")
    listing.add_argument("--json", action="store_true", help="print JSON instead of a table")

    info = commands.add_parser("info", help="one network: what it costs, by kind of layer")
    info.add_argument("model", metavar="NAME", help="a name from `python -m models list`")
    info.add_argument("--layers", action="store_true", help="also every layer")
    info.add_argument("--json", action="store_true", help="print JSON instead of tables")

    commands.add_parser("table", help="all networks as Markdown: docs/models.md")

    recipes = commands.add_parser("recipes", help="the ways to train, and where they come from")
    recipes.add_argument("--json", action="store_true", help="print JSON with all settings instead of a table")

    _add_train(commands)

    data = commands.add_parser("data", help="what is in a data set: classes, splits, broken files, a contact sheet")
    data.add_argument("dataset", metavar="NAME|DIR", help="digits, shapes, cifar10, or a folder of pictures")
    data.add_argument("--allow-broken", action="store_true", help="any number of files of the folder may be broken")
    data.add_argument(
        "--sheet", type=Path, metavar="FILE", help="where the picture goes (default: BUILD/data/NAME.png)"
    )
    data.add_argument("--build-dir", type=Path, default=Path("build"), metavar="BUILD", help="default: %(default)s")
    data.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser


def _add_train(commands: argparse._SubParsersAction[Parser]) -> None:
    train = commands.add_parser(
        "train",
        help="train a network and keep its best checkpoint under the build folder",
        description="Trains a network. When it is interrupted, even by kill -9, the same command goes on from the last "
        "finished epoch and ends with the same weights.",
    )
    train.add_argument("--model", required=True, metavar="NAME", help="a name from `python -m models list`")
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
        help="a name from `python -m models recipes` (default: progressive for digits, else scratch)",
    )
    train.add_argument("--epochs", type=int, help="epochs at the network's own picture size (default: by the recipe)")
    train.add_argument("--batch-size", type=int, metavar="N", help="pictures per step (default: by the recipe)")
    train.add_argument(
        "--fine-tune",
        metavar="imagenet|PATH",
        help="start from ImageNet's weights or a .keras file: a new classifier learns first, then all kernels",
    )
    train.add_argument(
        "--frozen-epochs", type=int, metavar="N", help="of --fine-tune: epochs of the new classifier alone (default: 3)"
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


def list_models(arguments: argparse.Namespace) -> int:
    """Prints the zoo."""
    rows = [describe_row(spec) for spec in MODELS.values()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    from rich.table import Table

    table = Table(title="Networks (1000 classes, VGG 10; top-1 on ImageNet as published)", title_justify="left")
    for heading in ("name", "parameters", "mult-adds", "top-1", ""):
        table.add_column(heading, justify="left" if heading == "name" else "right", no_wrap=True)
    for row in rows:
        table.add_row(
            row["name"],
            format_millions(row["parameters"], 2),
            format_millions(row["mult_adds"], 0),
            format_top1(row["published_top1"]),
            "*" if row["imagenet_weights"] else "",
        )
    result_console().print(table, "* released weights: --weights imagenet", sep="\n", highlight=False)
    return 0


def show_model(arguments: argparse.Namespace) -> int:
    """Prints what one network costs, and where."""
    spec = lookup(arguments.model)
    if arguments.json:
        print(json.dumps(describe_model(spec, layers=arguments.layers), indent=2))
        return 0
    from rich.table import Table

    def table(*headings: str) -> Table:
        made = Table(box=None, padding=(0, 2, 0, 0))
        for number, heading in enumerate(headings):
            made.add_column(heading, justify="right" if number else "left", no_wrap=True)
        return made

    console, cost, published = result_console(), model_cost(spec), spec.published
    console.print(
        f"[bold]{spec.name}[/]: {spec.resolution_px} px, {spec.num_classes} classes, "
        f"{format_millions(cost.parameters, 2)} parameters, {format_millions(cost.mult_adds, 1)} mult-adds",
        highlight=False,
    )
    if published:
        console.print(f"published: top-1 {format_top1(published.top1)} ({published.source})", highlight=False)
    if arguments.layers:
        layers = table("layer", "kind", "output", "parameters", "mult-adds", "share")
        for layer in layer_costs(spec):
            share = layer.mult_adds / cost.mult_adds
            shape = " x ".join(map(str, layer.shape))
            layers.add_row(
                layer.name, layer.kind, shape, f"{layer.parameters:,}", f"{layer.mult_adds:,}", f"{share:.2%}"
            )
        console.print(layers)
    kinds = table("kind", "layers", "mult-adds", "share", "kernels", "share")
    for kind, part in describe_kinds(spec).items():
        kinds.add_row(
            kind, str(part["layers"]), f"{part['mult_adds']:,}", f"{part['mult_adds_share']:.2%}",
            f"{part['weights']:,}", f"{part['weights_share']:.2%}",
        )  # fmt: skip
    console.print(kinds)
    return 0


def print_page(_: argparse.Namespace) -> int:
    """Prints `docs/models.md`."""
    print(format_page(), end="")
    return 0


def list_recipes(arguments: argparse.Namespace) -> int:
    """Prints the ways to train."""
    if arguments.json:
        print(json.dumps([recipe.to_json() for recipe in RECIPES.values()], indent=2))
        return 0
    from rich.table import Table

    table = Table(title="Recipes (--recipe)", title_justify="left", show_lines=True)
    for heading in ("name", "epochs", "batch", "what and whence"):
        table.add_column(heading, justify="right" if heading in ("epochs", "batch") else "left")
    for recipe in RECIPES.values():
        epochs = "by cost" if recipe.epochs is None else str(recipe.epochs)
        table.add_row(
            recipe.name, epochs, str(recipe.batch), f"{inert(recipe.summary)}\n[dim]{inert(recipe.source)}[/]"
        )
    result_console().print(table)
    return 0


def train_model(arguments: argparse.Namespace) -> int:
    """Trains one network."""
    from models.checkpoint import run_folder
    from models.data import allowing_broken, dataset_slug
    from models.weights import help_train, train_now

    team = find_team(arguments.workers, arguments.worker_index, os.environ, patience_s=arguments.worker_timeout)
    spec = lookup(arguments.model)
    if arguments.fit:
        spec = replace(spec, preprocessing=replace(spec.preprocessing, fit=arguments.fit))
    dataset = allowing_broken(arguments.dataset, arguments.allow_broken)
    folder = run_folder(arguments.build_dir, spec.name, dataset_slug(dataset))
    wishes = Wishes(
        recipe=arguments.recipe,
        epochs=arguments.epochs,
        batch=arguments.batch_size,
        flip=None if arguments.flip is None else arguments.flip == "on",
        fine_tune=arguments.fine_tune,
        frozen_epochs=arguments.frozen_epochs,
        class_weights=arguments.class_weights,
        mixed_precision=arguments.mixed_precision,
    )
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
    console.print(f"next: make export MODEL={trained.model}{own}", highlight=False, soft_wrap=True)


def show_data(arguments: argparse.Namespace) -> int:
    """Prints what is in a data set, and draws a contact sheet."""
    from models.data import allowing_broken
    from models.data.overview import format_overview, show_dataset

    dataset = allowing_broken(arguments.dataset, arguments.allow_broken)
    with progress_display() as report:
        overview = show_dataset(dataset, report, arguments.build_dir, arguments.sheet)
    if arguments.json:
        print(json.dumps(overview.to_json(), indent=2))
    else:
        result_console().print(*format_overview(overview), sep="\n", highlight=False, soft_wrap=True)
    if overview.failure:
        raise overview.failure
    return 0


def main() -> int:
    """Runs the command asked for."""
    arguments = make_parser().parse_args()
    commands = {
        "list": list_models,
        "info": show_model,
        "table": print_page,
        "recipes": list_recipes,
        "train": train_model,
        "data": show_data,
    }
    return commands[arguments.command](arguments)


if __name__ == "__main__":
    run(main)
