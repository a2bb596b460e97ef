"""Which networks exist, under which names, and that their tables are the papers'."""

import pytest

from models.blocks import BLOCKS
from models.errors import UnknownNameError
from models.spec import ModelSpec, make_divisible
from models.zoo import MODELS, lookup

PROMISED = {
    "mobilenet_v1": ((0.25, 0.5, 0.75, 1.0), (128, 160, 192, 224)),
    "mobilenet_v2": ((0.35, 0.5, 0.75, 1.0, 1.3, 1.4), (96, 128, 160, 192, 224)),
    "mobilenet_v3_large": ((0.75, 1.0), (224,)),
    "mobilenet_v3_small": ((0.75, 1.0), (224,)),
    "mobilenet_v3_large_minimalistic": ((1.0,), (224,)),
    "mobilenet_v3_small_minimalistic": ((1.0,), (224,)),
}
# Networks that exist once, at the resolution their source gives them.
SINGLE = {
    "conv_mobilenet": 224,
    "mobilenet_v1_shallow": 224,
    "mobilenet_v4_conv_small": 224,
    "mobilenet_v4_conv_medium": 256,
    "mobilenet_v4_conv_large": 384,
    "vgg_small": 32,
    "vgg_small_separable": 32,
}

# Channels at the end of each stage as the authors' releases have them (tensorflow/models research/slim/nets,
# mobilenet_v1.py and mobilenet/mobilenet_v2.py), first and last convolution included.
CHANNELS = {
    "mobilenet_v1_0.25": (8, 16, 32, 32, 64, 64, 128, 128, 256, 256),
    "mobilenet_v1_1.0": (32, 64, 128, 128, 256, 256, 512, 512, 1024, 1024),
    "mobilenet_v2_0.35": (16, 8, 8, 16, 24, 32, 56, 112, 1280),
    "mobilenet_v2_1.0": (32, 16, 24, 32, 64, 96, 160, 320, 1280),
    "mobilenet_v2_1.3": (40, 24, 32, 40, 80, 128, 208, 416, 1664),
    "mobilenet_v2_1.4": (48, 24, 32, 48, 88, 136, 224, 448, 1792),
    # Tables 1 and 2, arXiv:1905.02244.
    "mobilenet_v3_large_1.0": (16, 16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160, 960),
    "mobilenet_v3_small_1.0": (16, 16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96, 576),
}


@pytest.mark.parametrize("family", PROMISED)
def test_a_family_has_every_promised_width_at_every_promised_resolution(family: str) -> None:
    widths, sizes = PROMISED[family]
    rows = {(spec.width, spec.resolution_px) for spec in MODELS.values() if spec.family == family}
    assert rows == {(width, size) for width in widths for size in sizes}


def test_these_are_all_networks() -> None:
    assert {spec.family for spec in MODELS.values()} == {*PROMISED, *SINGLE}


@pytest.mark.parametrize("name", SINGLE)
def test_a_network_that_exists_once_is_called_as_its_family(name: str) -> None:
    (spec,) = (spec for spec in MODELS.values() if spec.family == name)
    assert (spec.name, spec.width, spec.resolution_px) == (name, 1.0, SINGLE[name])


@pytest.mark.parametrize("name", [name for name in MODELS if name not in SINGLE])
def test_a_name_is_family_width_and_the_resolution_unless_it_is_224(name: str) -> None:
    spec = MODELS[name]
    suffix = "" if spec.resolution_px == 224 else f"_{spec.resolution_px}"
    assert name == spec.name == f"{spec.family}_{spec.width}{suffix}"


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_a_row_names_known_blocks_and_shrinks_the_picture_by_32_or_8(spec: ModelSpec) -> None:
    stages = (*spec.stages, *spec.head)
    assert {stage.block for stage in stages} <= set(BLOCKS)
    strides = [stage.stride for stage in stages]
    assert strides.count(2) == (3 if spec.family.startswith("vgg") else 5)
    assert set(strides) == {1, 2}
    assert spec.resolution_px % 32 == 0


@pytest.mark.parametrize("name", CHANNELS)
def test_the_stages_have_the_channels_of_the_authors_release(name: str) -> None:
    assert tuple(stage.channels for stage in MODELS[name].stages) == CHANNELS[name]


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_a_published_figure_has_its_source_and_its_unit(spec: ModelSpec) -> None:
    if spec.published is None:
        above_1 = spec.family == "mobilenet_v2" and spec.width > 1 and spec.resolution_px != 224
        assert above_1 or spec.family.startswith("vgg"), "V2 above width 1 was only released at 224"
        return
    assert spec.published.source
    assert spec.published.top1 is not None
    assert 0.4 < spec.published.top1 < 0.83
    assert (spec.published.mult_adds is None) == (spec.published.parameters is None)
    minimalistic = spec.family.endswith("minimalistic")
    assert (spec.published.mult_adds is not None) == ("arXiv:" in spec.published.source or minimalistic)


# ImageNet top-1 of Table 7, arXiv:1704.04861 (V1-1.0 at its resolutions), and of V2's release README.
@pytest.mark.parametrize(
    ("name", "top1"),
    [
        ("mobilenet_v1_1.0", 0.709),
        ("mobilenet_v1_0.25_128", 0.415),
        ("mobilenet_v2_1.4", 0.75),
        ("conv_mobilenet", 0.717),
        ("mobilenet_v1_shallow", 0.653),
        ("mobilenet_v3_large_1.0", 0.752),
        ("mobilenet_v4_conv_small", 0.738),
    ],
)
def test_published_accuracies_are_ratios_on_the_right_row(name: str, top1: float) -> None:
    published = MODELS[name].published
    assert published is not None
    assert published.top1 == pytest.approx(top1)


@pytest.mark.parametrize(
    ("wish", "given"),
    [
        (1.0, 8),  # never below the divisor
        (11.2, 16),  # 8 would be 29 % less
        (11.9, 16),
        (12.0, 16),  # halves go up
        (44.8, 48),
        (88.0, 88),
        (92.0, 96),
    ],
)
def test_channels_are_rounded_to_eights_and_lose_at_most_a_tenth(wish: float, given: int) -> None:
    assert make_divisible(wish) == given


def test_every_rounding_keeps_nine_tenths_of_the_wish() -> None:
    wishes = [n / 4 for n in range(4, 8192)]
    assert all(make_divisible(wish) % 8 == 0 and make_divisible(wish) >= 0.9 * wish for wish in wishes)
    assert all(make_divisible(wish) - wish <= 8 for wish in wishes)


@pytest.mark.parametrize("name", MODELS)
def test_lookup_gives_the_row_of_that_name(name: str) -> None:
    assert lookup(name).name == name


@pytest.mark.parametrize("name", MODELS)
def test_a_name_with_a_letter_too_many_is_answered_with_the_right_one(name: str) -> None:
    with pytest.raises(UnknownNameError) as raised:
        lookup(f"x{name}")
    assert f"unknown model 'x{name}'; did you mean " in str(raised.value)
    assert name in str(raised.value)
    assert "`.venv/bin/python -m models list` shows all" in str(raised.value)


def test_an_unknown_width_is_answered_with_what_the_family_offers() -> None:
    with pytest.raises(UnknownNameError) as raised:
        lookup("mobilenet_v2_1.2_224")
    widths, sizes = (", ".join(map(str, values)) for values in PROMISED["mobilenet_v2"])
    assert f"mobilenet_v2 has widths {widths} and resolutions {sizes}" in str(raised.value)


@pytest.mark.parametrize("name", ["mobilenet_v3_small", "mobilenet_v3_small_0.5", "mobilenet_v3_small_1.0_130"])
def test_a_family_is_recognised_by_its_whole_name(name: str) -> None:
    with pytest.raises(
        UnknownNameError, match=r"mobilenet_v3_small has widths 0\.75, 1\.0 and resolutions 224, and others by"
    ):
        lookup(name)
    with pytest.raises(UnknownNameError, match=r"mobilenet_v3_small_minimalistic has widths 1\.0 and"):
        lookup("mobilenet_v3_small_minimalistic_0.75")


@pytest.mark.parametrize(
    ("name", "row"), [("mobilenet_v3_small_1.0_96", "mobilenet_v3_small_1.0"), ("conv_mobilenet_64", "conv_mobilenet")]
)
def test_a_network_may_be_asked_for_at_another_picture_size(name: str, row: str) -> None:
    spec = lookup(name)
    assert (spec.name, spec.resolution_px, spec.published) == (name, int(name.rpartition("_")[2]), None)
    assert spec.stages == lookup(row).stages


@pytest.mark.parametrize(
    "name",
    [
        "mobilenet_v2_1.0_100",
        "mobilenet_v2_1.0_2048",
        "mobilenet_v2_1.0_0",
        "mobilenet_v2_1.0_064",
        "mobilenet_v2_1.0_224",
        "mobilenet_v2_1.0_96_64",
        "vgg_small_64",
    ],
)
def test_sizes_that_strides_do_not_divide_and_second_names_are_refused(name: str) -> None:
    with pytest.raises(UnknownNameError):
        lookup(name)


def test_a_family_that_exists_at_one_size_of_its_own_offers_no_others() -> None:
    with pytest.raises(UnknownNameError) as refusal:
        lookup("mobilenet_v4_conv_medium_320")
    assert "multiples of" not in str(refusal.value)


def test_every_row_keeps_its_own_name_and_figures() -> None:
    assert all(lookup(name) is spec for name, spec in MODELS.items())
