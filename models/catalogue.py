"""What is said of the networks: a row each, one network's cost by layer and kind, and the page of all for the docs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from models.cost import Cost, cost_by_kind, layer_costs, model_cost
from models.imagenet import RELEASES
from models.spec import ModelSpec
from models.zoo import MODELS


def describe_row(spec: ModelSpec) -> dict[str, Any]:
    """One network in the listing: its cost, and what its source states; None where the source is silent."""
    cost, published = model_cost(spec), spec.published
    return {
        "name": spec.name,
        "family": spec.family,
        "width": spec.width,
        "resolution_px": spec.resolution_px,
        "num_classes": spec.num_classes,
        "parameters": cost.parameters,
        "mult_adds": cost.mult_adds,
        "published_top1": published.top1 if published else None,
        "published_mult_adds": published.mult_adds if published else None,
        "published_parameters": published.parameters if published else None,
        "source": published.source if published else None,
        "imagenet_weights": RELEASES[spec.name].url if spec.name in RELEASES else None,
    }


def describe_kinds(spec: ModelSpec) -> dict[str, dict[str, Any]]:
    """Per kind of layer with weights, the dearest first: how many there are, and their shares (0..1) of the network."""
    whole, counts = model_cost(spec), Counter(cost.kind for cost in layer_costs(spec))
    return {
        kind: {
            "layers": counts[kind],
            **asdict(cost),
            "mult_adds_share": cost.mult_adds / whole.mult_adds,
            "weights_share": cost.weights / whole.weights,
        }
        for kind, cost in cost_by_kind(spec).items()
        if cost.weights
    }


def describe_model(spec: ModelSpec, *, layers: bool) -> dict[str, Any]:
    """All that is known of one network without building it, layer by layer if asked for."""
    described = {
        **describe_row(spec),
        "preprocessing": spec.preprocessing.to_json(),
        "weights": model_cost(spec).weights,
        "kinds": describe_kinds(spec),
    }
    return {**described, "layers": [asdict(cost) for cost in layer_costs(spec)]} if layers else described


def format_millions(count: float, digits: int) -> str:
    """A count in millions."""
    return f"{count / 1e6:.{digits}f} M"


def format_top1(top1: float | None) -> str:
    """A published accuracy, or a dash where there is none."""
    return "-" if top1 is None else f"{top1:.1%}"


PAGE = """\
# Networks

Written by `.venv/bin/python -m models table`; a test keeps it true.

Parameters are the trainable ones (kernels, biases, batch normalization's gamma and beta), mult-adds those of the
kernels for one picture, both counted from the stage tables with 1000 classes (the VGG pair with 10) and checked
against the built networks. *Stated* is what the source prints. Where the two differ by more than rounding,
`tests/models/test_cost.py` lists by how much and why. Top-1 is ImageNet's, as published; this project trains on other
data. *Weights*: `--weights imagenet` has them (see below).

A name is `<family>_<width>[_<resolution>]`, at 224 px where none is given; networks that exist once carry neither:
V4 conv medium takes 256 px and large 384, as in their paper, the VGG pair 32.

{networks}

## ImageNet weights

`--weights imagenet` exports a network with the weights that `keras.applications` has for it, in the networks of this
project: downloaded on first use by Keras' own downloader into Keras' own cache (`$KERAS_HOME/models`, by default
`~/.keras/models`), checked against Keras' MD5 where it knows one (V3; V1 and V2 have none), and proven at each load to
compute what Keras' network does. V3 of Keras rescales its pictures inside; here that is the preprocessing, the same for
all. Above width 1, V2 was released at 224 px alone. The weights are under the Apache-2.0 licence of tensorflow/models;
the terms of the pictures they were trained on allow non-commercial research. The published accuracies were measured on
the middle 87.5 % of each picture; here all of it is stretched to the input.

    .venv/bin/python -m export run --model mobilenet_v2_1.0 --weights imagenet --dataset path/to/imagenet

Without a network the message has the address and the folder to put the file into. A file that is cut off, another
network's, or a web page is refused and gets no place in the cache.

The data set calibrates and verifies: a folder of pictures whose class folders are WordNet ids (`n01440764`) or names
(`tench`) of ImageNet, any two of them or more (`docs/data.md`). `labels.txt` has the 1000 names in the order of the
outputs, which is the order of the ids. Lists of 1001 names are TensorFlow-slim's, with `background` at 0: its networks
have an output more, which Keras cut off, and with the wrong list every answer is one class off. Such lists and networks
are refused.

## Where the cost is: MobileNetV1 1.0 at 224 px

`.venv/bin/python -m models info mobilenet_v1_1.0`, which is Table 2 of arXiv:1704.04861. The paper counts kernels alone
as parameters, and so does this table. It prints 1.19 % for the first convolution, two digits swapped: 32 · 27 · 112²
of 569 M mult-adds are 1.91 %, and only with them its column adds up to 100 %.

{kinds}
"""


def format_page() -> str:
    """`docs/models.md`."""
    heads = ("name", "px", "parameters", "stated", "mult-adds", "stated", "top-1", "weights", "source")
    networks = [_page_row(spec) for spec in MODELS.values()]
    kinds = [
        (
            kind, str(share["layers"]), format_millions(share["mult_adds"], 1), f"{share['mult_adds_share']:.2%}",
            format_millions(share["weights"], 3), f"{share['weights_share']:.2%}",
        )
        for kind, share in describe_kinds(MODELS["mobilenet_v1_1.0"]).items()
    ]  # fmt: skip
    return PAGE.format(
        networks=_markdown(heads, networks),
        kinds=_markdown(("kind", "layers", "mult-adds", "share", "parameters (kernels)", "share"), kinds),
    )


def _page_row(spec: ModelSpec) -> tuple[str, ...]:
    cost: Cost = model_cost(spec)
    published = spec.published
    return (
        f"`{spec.name}`",
        str(spec.resolution_px),
        format_millions(cost.parameters, 2),
        _stated(published.parameters if published else None),
        format_millions(cost.mult_adds, 1),
        _stated(published.mult_adds if published else None),
        format_top1(published.top1 if published else None),
        "ImageNet" if spec.name in RELEASES else "-",
        published.source if published else "-",
    )


def _stated(count: float | None) -> str:
    return "-" if count is None else f"{count / 1e6:g} M"


def _markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    # Names and sources are text, all between them numbers.
    marks = ["---" if head in ("name", "kind", "weights", "source") else "---:" for head in heads]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (heads, marks, *rows))
