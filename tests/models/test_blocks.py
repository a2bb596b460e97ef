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
        assert layer.inputs
        assert layer.name not in channels
        if layer.kind in ("conv", "depthwise", "max_pool"):
            assert layer.size_px * layer.stride == size[layer.inputs[0]], layer
        channels[layer.name], size[layer.name] = layer.channels, layer.size_px
    assert layer.kind == "dense"
    assert layer.channels == spec.num_classes


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_the_last_feature_map_is_a_32nd_of_the_picture_or_an_8th(spec: ModelSpec) -> None:
    layers = {layer.name: layer for layer in plan_layers(spec)}
    pooling = layers["flatten" if spec.pooling == "flatten" else "pool"]
    share = 8 if spec.family.startswith("vgg") else 32
    assert layers[pooling.inputs[0]].size_px == spec.resolution_px // share


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


def test_a_squeeze_and_excite_gates_the_channels_in_front_of_the_projection() -> None:
    layers = {layer.name: layer for layer in plan_layers(MODELS["mobilenet_v3_small_1.0"])}
    squeeze, reduce, gate, excite, project = (
        layers[f"inverted_residual_4_{part}"] for part in ("squeeze", "reduce", "gate", "excite", "project")
    )
    assert (squeeze.inputs, squeeze.size_px, squeeze.channels) == (("inverted_residual_4_depthwise",), 1, 96)
    assert (reduce.channels, reduce.activation, reduce.shift) == (24, "relu", "bias")
    assert (gate.channels, gate.activation, gate.shift) == (96, "hard_sigmoid", "bias")
    assert excite.inputs == ("inverted_residual_4_depthwise", "inverted_residual_4_gate")
    assert project.inputs == ("inverted_residual_4_excite",)


def test_the_blocks_of_mobilenet_v3_large_have_the_hidden_channels_its_paper_prints() -> None:
    layers = plan_layers(MODELS["mobilenet_v3_large_1.0"])
    hidden = [layer.channels for layer in layers if layer.kind == "depthwise"]
    # "exp size", Table 1, arXiv:1905.02244.
    assert hidden == [16, 64, 72, 72, 120, 120, 240, 200, 184, 184, 480, 672, 672, 960, 960]
    assert sum(layer.kind == "squeeze" for layer in layers) == 8


def test_a_minimalistic_network_has_neither_large_kernels_nor_gates_nor_hard_swish() -> None:
    for size in ("small", "large"):
        layers = plan_layers(MODELS[f"mobilenet_v3_{size}_minimalistic_1.0"])
        assert {layer.kernel for layer in layers} == {1, 3}
        assert {layer.activation for layer in layers} == {None, "relu"}
        assert not any(layer.kind in ("squeeze", "multiply") for layer in layers)


def parts(name: str, number: int) -> list[tuple[str, int, int, str | None]]:
    """(part, kernel, stride, activation) of one universal inverted bottleneck."""
    prefix = f"universal_inverted_bottleneck_{number}_"
    layers = (layer for layer in plan_layers(MODELS[name]) if layer.name.startswith(prefix))
    return [(x.name.removeprefix(prefix), x.kernel, x.stride, x.activation) for x in layers]


def test_a_universal_inverted_bottleneck_has_the_depthwise_convolutions_of_its_row() -> None:
    name = "mobilenet_v4_conv_small"
    expand, project = ("expand", 1, 1, "relu"), ("project", 1, 1, None)
    # The kinds of Figure 4, arXiv:2404.10518, as the small and the medium network have them.
    assert parts(name, 1) == [("start", 5, 1, None), expand, ("depthwise", 5, 2, "relu"), project]
    assert parts(name, 2) == [expand, ("depthwise", 3, 1, "relu"), project, ("add", 1, 1, None)]
    assert parts(name, 6) == [("start", 3, 1, None), expand, project, ("add", 1, 1, None)]
    assert parts("mobilenet_v4_conv_medium", 9) == [expand, project, ("add", 1, 1, None)]


@pytest.mark.parametrize(("size", "blocks"), [("small", 12), ("medium", 21), ("large", 26)])
def test_mobilenet_v4_has_the_blocks_of_its_tables(size: str, blocks: int) -> None:
    layers = plan_layers(MODELS[f"mobilenet_v4_conv_{size}"])
    assert sum(x.name.startswith("universal") and x.name.endswith("_project") for x in layers) == blocks
    assert [x.channels for x in layers[-4:]] == [960, 960, 1280, 1000]


def test_the_twin_of_the_vgg_has_nothing_between_the_halves_of_its_convolutions() -> None:
    for layer in plan_layers(MODELS["vgg_small_separable"]):
        if layer.kind == "depthwise":
            assert (layer.shift, layer.activation) == ("none", None)
        if layer.kind == "conv":
            assert (layer.shift, layer.activation, layer.kernel) == ("bias", "relu", 1)
