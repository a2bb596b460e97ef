"""`info`: one network taken apart."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from models.catalogue import describe_kinds, describe_model, format_millions, format_top1
from models.cli import result_console
from models.cost import layer_costs, model_cost
from models.zoo import lookup

if TYPE_CHECKING:
    from rich.table import Table


def add_options(commands: argparse._SubParsersAction[Any]) -> None:
    """The command's options."""
    info = commands.add_parser("info", help="one network: what it costs, by kind of layer")
    info.add_argument("model", metavar="NAME", help="a name from `.venv/bin/python -m models list`")
    info.add_argument("--layers", action="store_true", help="also every layer")
    info.add_argument("--json", action="store_true", help="print JSON instead of tables")
    info.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
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
