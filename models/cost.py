"""Parameters and multiply-add operations, per layer and per layer kind, without building the network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from models.blocks import Layer, plan_layers
from models.spec import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """What one layer costs. One multiply-add is one multiplication and one addition, as the papers count."""

    name: str
    kind: str
    """`conv 3x3`, `conv 1x1`, `depthwise 3x3`, `dense`, or the layer's kind: `add`, `pool`."""
    shape: tuple[int, ...]
    """Of the output for one image: `(height, width, channels)`, behind the pooling `(channels,)`."""
    parameters: int
    """Trainable ones: kernels, biases, batch normalization's gamma and beta; not its moving statistics."""
    weights: int
    """Of the kernels alone, which is what the MobileNetV1 paper calls parameters."""
    mult_adds: int
    """Of the kernels for one image; batch normalization folds away and costs nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a network, or a kind of layer in it, costs per image."""

    parameters: int
    weights: int
    mult_adds: int


def layer_cost(layer: Layer) -> LayerCost:
    """Cost of one layer."""
    kind: str = layer.kind
    weights = 0
    match layer.kind:
        case "conv":
            weights = layer.kernel**2 * layer.in_channels * layer.channels
            kind = f"conv {layer.kernel}x{layer.kernel}"
        case "depthwise":
            weights = layer.kernel**2 * layer.channels
            kind = f"depthwise {layer.kernel}x{layer.kernel}"
        case "dense":
            weights = layer.in_channels * layer.channels
    flat = layer.kind in ("pool", "flatten", "dense")
    return LayerCost(
        name=layer.name,
        kind=kind,
        shape=(layer.channels,) if flat else (layer.size_px, layer.size_px, layer.channels),
        parameters=weights + {"norm": 2, "bias": 1, "none": 0}[layer.shift] * layer.channels,
        weights=weights,
        mult_adds=weights * layer.size_px**2,
    )


def layer_costs(spec: ModelSpec) -> tuple[LayerCost, ...]:
    """Cost of every layer in order."""
    return tuple(layer_cost(layer) for layer in plan_layers(spec))


def total(costs: Iterable[LayerCost]) -> Cost:
    """Sum over layers."""
    rows = tuple(costs)
    return Cost(
        parameters=sum(row.parameters for row in rows),
        weights=sum(row.weights for row in rows),
        mult_adds=sum(row.mult_adds for row in rows),
    )


def model_cost(spec: ModelSpec) -> Cost:
    """Cost of the whole network."""
    return total(layer_costs(spec))


def cost_by_kind(spec: ModelSpec) -> dict[str, Cost]:
    """Cost per layer kind, the dearest first."""
    costs = layer_costs(spec)
    kinds = {kind: total(c for c in costs if c.kind == kind) for kind in dict.fromkeys(c.kind for c in costs)}
    return dict(sorted(kinds.items(), key=lambda item: -item[1].mult_adds))
