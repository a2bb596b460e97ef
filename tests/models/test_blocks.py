"""From stages to layers: sizes, strides and residuals."""

import pytest

from models.blocks import INPUT, plan_layers
from models.spec import ModelSpec
from models.zoo import MODELS


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_every_layer_reads_layers_before_it_and_fits_their_channels(spec: ModelSpec) -> None:
    channels, size = {INPUT: 3}, {INPUT: spec.resolution_px}
    for layer in plan_layers(spec):
        assert all(channels[name] == layer.in_channels for name in layer.inputs), layer
        assert layer.name not in channels
        if layer.kind in ("conv", "depthwise"):
            assert layer.size_px * layer.stride == size[layer.inputs[0]], layer
        channels[layer.name], size[layer.name] = layer.channels, layer.size_px
    assert layer.kind == "dense"
    assert layer.channels == spec.num_classes


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_the_last_feature_map_is_a_32nd_of_the_picture(spec: ModelSpec) -> None:
    *_, last, _, _ = plan_layers(spec)
    assert last.size_px == spec.resolution_px // 32


def test_mobilenet_v1_is_a_convolution_and_13_separable_blocks() -> None:
    kinds = [layer.kind for layer in plan_layers(MODELS["mobilenet_v1_1.0"])]
    assert kinds == ["conv", *["depthwise", "conv"] * 13, "pool", "dense"]


def test_mobilenet_v2_has_17_blocks_of_which_10_are_residual_and_the_first_has_no_expansion() -> None:
    layers = plan_layers(MODELS["mobilenet_v2_1.0"])
    assert sum(layer.kind == "depthwise" for layer in layers) == 17
    assert sum(layer.kind == "add" for layer in layers) == 10
    assert sum(layer.name.endswith("_expand") for layer in layers) == 16


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.3, 1.4])
def test_only_the_projections_of_mobilenet_v2_are_linear(width: float) -> None:
    for layer in plan_layers(MODELS[f"mobilenet_v2_{width}"]):
        if layer.kind in ("conv", "depthwise"):
            assert (layer.activation is None) == layer.name.endswith("_project"), layer
