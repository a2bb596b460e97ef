"""`python -m models`: list the networks, train one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from models.cli import Parser, inert, progress_display, result_console, run, seed
from models.cost import model_cost
from models.spec import ModelSpec
from models.zoo import MODELS, lookup


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = Parser(prog="python -m models", description="The networks of the zoo, and their training.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="all networks with parameters, mult-adds and published accuracy")
    listing.add_argument("--json", action="store_true", help="print JSON instead of a table")

    train = commands.add_parser("train", help="train a network and keep its best checkpoint under the build folder")
    train.add_argument("--model", required=True, metavar="NAME", help="a name from `python -m models list`")
    train.add_argument(
        "--dataset", default="digits", metavar="NAME", help="data set to train on (default: %(default)s)"
    )
    train.add_argument(
        "--seed", type=seed, default=0, help="of initial weights and picture order (default: %(default)s)"
    )
    train.add_argument("--epochs", type=int, help="epochs at the network's own picture size (default: by the recipe)")
    train.add_argument("--build-dir", type=Path, default=Path("build"), metavar="DIR", help="default: %(default)s")
    train.add_argument("--json", action="store_true", help="print trained.json instead of a summary")
    return parser.parse_args()


def row(spec: ModelSpec) -> dict[str, object]:
    """What the listing says of one network, for 1000 classes."""
    cost = model_cost(spec)
    published = spec.published
    return {
        "name": spec.name,
        "family": spec.family,
        "width": spec.width,
        "resolution_px": spec.resolution_px,
        "parameters": cost.parameters,
        "mult_adds": cost.mult_adds,
        "published_top1": published.top1 if published else None,
        "published_mult_adds": published.mult_adds if published else None,
        "published_parameters": published.parameters if published else None,
        "source": published.source if published else None,
    }


def list_models(arguments: argparse.Namespace) -> int:
    """Prints the zoo."""
    rows = [row(spec) for spec in MODELS.values()]
    if arguments.json:
        print(json.dumps(rows, indent=2))
        return 0
    from rich.table import Table

    table = Table(title="Networks (1000 classes; top-1 on ImageNet as published)", title_justify="left")
    for heading in ("name", "parameters", "mult-adds", "top-1"):
        table.add_column(heading, justify="left" if heading == "name" else "right")
    for spec in MODELS.values():
        cost = model_cost(spec)
        top1 = spec.published.top1 if spec.published else None
        table.add_row(
            spec.name,
            f"{cost.parameters / 1e6:.2f} M",
            f"{cost.mult_adds / 1e6:.0f} M",
            "-" if top1 is None else f"{top1:.1%}",
        )
    result_console().print(table)
    return 0


def train_model(arguments: argparse.Namespace) -> int:
    """Trains one network."""
    from models.checkpoint import run_folder
    from models.data import dataset_loader
    from models.schedule import default_settings
    from models.weights import train_now

    spec = lookup(arguments.model)
    dataset_loader(arguments.dataset)
    settings = default_settings(spec, seed=arguments.seed, epochs=arguments.epochs)
    folder = run_folder(arguments.build_dir, spec.name, arguments.dataset)
    with progress_display() as report:
        trained = train_now(spec, arguments.dataset, settings, folder, report)
    if arguments.json:
        print(json.dumps(trained.record, indent=2))
        return 0
    top1, images = trained.record["accuracy"]["test_top1"], trained.record["dataset"]["images"]["test"]
    console = result_console()
    console.print(
        f"[bold]{inert(trained.path)}[/]: top-1 {top1:.2%} on {images} test images", highlight=False, soft_wrap=True
    )
    console.print(f"next: make export MODEL={spec.name}", highlight=False, soft_wrap=True)
    return 0


def main() -> int:
    """Runs the command asked for."""
    arguments = parse_arguments()
    return {"list": list_models, "train": train_model}[arguments.command](arguments)


if __name__ == "__main__":
    run(main)
