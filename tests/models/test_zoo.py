"""Which networks exist, under which names, and that their tables are the papers'."""

import pytest

from models.blocks import BLOCKS
from models.errors import UnknownNameError
from models.spec import ModelSpec
from models.zoo import MODELS, lookup, make_divisible

PROMISED = {
    "mobilenet_v1": ((0.25, 0.5, 0.75, 1.0), (128, 160, 192, 224)),
    "mobilenet_v2": ((0.35, 0.5, 0.75, 1.0, 1.3, 1.4), (96, 128, 160, 192, 224)),
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
}


@pytest.mark.parametrize("family", PROMISED)
def test_a_family_has_every_promised_width_at_every_promised_resolution(family: str) -> None:
    widths, sizes = PROMISED[family]
    rows = {(spec.width, spec.resolution_px) for spec in MODELS.values() if spec.family == family}
    assert rows == {(width, size) for width in widths for size in sizes}


@pytest.mark.parametrize(("name", "spec"), MODELS.items(), ids=MODELS)
def test_a_name_is_family_width_and_the_resolution_unless_it_is_224(name: str, spec: ModelSpec) -> None:
    suffix = "" if spec.resolution_px == 224 else f"_{spec.resolution_px}"
    assert name == spec.name == f"{spec.family}_{spec.width}{suffix}"


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_a_row_names_known_blocks_and_shrinks_the_picture_by_32(spec: ModelSpec) -> None:
    assert {stage.block for stage in spec.stages} <= set(BLOCKS)
    strides = [stage.stride for stage in spec.stages]
    assert strides.count(2) == 5
    assert set(strides) == {1, 2}
    assert spec.resolution_px % 32 == 0


@pytest.mark.parametrize("name", CHANNELS)
def test_the_stages_have_the_channels_of_the_authors_release(name: str) -> None:
    assert tuple(stage.channels for stage in MODELS[name].stages) == CHANNELS[name]


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_a_published_figure_has_its_source_and_its_unit(spec: ModelSpec) -> None:
    if spec.published is None:
        assert spec.family == "mobilenet_v2"
        assert spec.width > 1
        assert spec.resolution_px != 224, "V2 above width 1 was only released at 224"
        return
    assert spec.published.source
    assert spec.published.top1 is not None
    assert 0.4 < spec.published.top1 < 0.76
    assert (spec.published.mult_adds is None) == (spec.published.parameters is None)
    assert (spec.published.mult_adds is not None) == ("arXiv:" in spec.published.source)


# ImageNet top-1 of Table 7, arXiv:1704.04861 (V1-1.0 at its resolutions), and of V2's release README.
@pytest.mark.parametrize(
    ("name", "top1"), [("mobilenet_v1_1.0", 0.709), ("mobilenet_v1_0.25_128", 0.415), ("mobilenet_v2_1.4", 0.75)]
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
    assert "`python -m models list` shows all" in str(raised.value)


def test_an_unknown_width_is_answered_with_what_the_family_offers() -> None:
    with pytest.raises(UnknownNameError) as raised:
        lookup("mobilenet_v2_1.2_224")
    widths, sizes = (", ".join(map(str, values)) for values in PROMISED["mobilenet_v2"])
    assert f"mobilenet_v2 has widths {widths} and resolutions {sizes}" in str(raised.value)
