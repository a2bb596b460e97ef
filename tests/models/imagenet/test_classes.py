"""The 1000 classes: their order, their names, and what folder names stand for."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError
from models.imagenet.classes import background_hint, class_indices, imagenet_classes, imagenet_labels

# Indices that everybody who has used these networks knows: the ends, and answers of Keras' decode_predictions.
WELL_KNOWN = {
    0: ("n01440764", "tench"),
    134: ("n02012849", "crane (bird)"),
    281: ("n02123045", "tabby"),
    386: ("n02504458", "African elephant"),
    404: ("n02690373", "airliner"),
    517: ("n03126707", "crane (machine)"),
    638: ("n03710637", "maillot (tights)"),
    639: ("n03710721", "maillot (tank suit)"),
    954: ("n07753592", "banana"),
    999: ("n15075141", "toilet tissue"),
}


def test_there_are_a_thousand_in_ascending_order_of_their_ids() -> None:
    ids = [row.wordnet_id for row in imagenet_classes()]
    assert len(ids) == 1000
    assert all(re.fullmatch(r"n\d{8}", wordnet_id) for wordnet_id in ids)
    assert ids == sorted(set(ids))


def test_the_order_is_that_of_the_networks_outputs() -> None:
    classes = imagenet_classes()
    assert {index: (classes[index].wordnet_id, classes[index].name) for index in WELL_KNOWN} == WELL_KNOWN


def test_names_are_unique_whatever_the_case_and_printable() -> None:
    labels = imagenet_labels()
    assert len({name.casefold() for name in labels}) == 1000
    assert all(name.isprintable() and name == name.strip() for name in labels)
    assert "_" not in "".join(labels)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("n01440764", 0),
        ("n02085620-Chihuahua", 151),
        ("n02085620_Chihuahua", 151),
        ("tench", 0),
        ("tiger shark", 3),
        ("tiger_shark", 3),
        ("Tiger_Shark", 3),
        ("African_elephant", 386),
        ("crane (bird)", 134),
        ("cardigan", 474),
        ("cardigan_welsh_corgi", 264),
    ],
)
def test_a_folder_is_named_by_id_or_name(name: str, index: int) -> None:
    assert class_indices([name], "DIR") == (index,)


def test_every_id_and_every_name_stands_for_its_class() -> None:
    for names in ([row.wordnet_id for row in imagenet_classes()], imagenet_labels()):
        assert class_indices(names, "DIR") == tuple(range(1000))


@pytest.mark.parametrize("name", ["crane", "Crane", "maillot", "Cardigan"])
def test_a_name_of_two_classes_is_refused_with_both(name: str) -> None:
    with pytest.raises(DataError, match=r"stands for two: n\d{8} \(.+\), n\d{8} \(.+\); name the folder by its id$"):
        class_indices([name], "DIR")


@pytest.mark.parametrize("name", ["7", "cat", "n00000001", "n0144076", "", "n01440764x", "\u2603"])
def test_a_name_of_no_class_is_refused_with_what_is_needed(name: str) -> None:
    with pytest.raises(DataError) as raised:
        class_indices(["tench", name], "DIR")
    assert str(raised.value) == (
        f"DIR has a class {name!r}, which is none of ImageNet's 1000; give a folder whose class folders are WordNet "
        "ids (n01440764) or class names (tench) of ImageNet, any of them, with --dataset DIR"
    )


@given(st.lists(st.text(max_size=12) | st.sampled_from([*imagenet_labels(), "crane", "n02012849", "n1"]), max_size=4))
def test_any_names_are_classes_or_refused_in_one_printable_line(names: list[str]) -> None:
    said = ""
    try:
        indices = class_indices(names, "DIR")
    except DataError as error:
        said = str(error)
    else:
        assert len(set(indices)) == len(indices) == len(names)
        assert all(0 <= index < 1000 for index in indices)
    assert said.isprintable()


def test_two_names_of_one_class_are_refused() -> None:
    with pytest.raises(
        DataError, match=r"two folders for class n01440764 \(tench\): 'tench' and 'n01440764'; put their pictures"
    ):
        class_indices(["tench", "n01440764"], "DIR")


def test_a_background_among_the_classes_is_explained() -> None:
    with pytest.raises(DataError, match=r"'background', which TensorFlow-slim has at 0 of 1001 classes; .* remove the"):
        class_indices(["background", "tench"], "DIR")


def test_a_thousand_and_one_are_explained_if_they_begin_with_background() -> None:
    hint = background_hint(["background", *imagenet_labels()], 1001)
    assert hint == " (TensorFlow-slim's 1001: ImageNet's 1000 behind a `background` at 0, so that all are one off)"
    assert background_hint(None, 1001) == hint
    assert background_hint(["tench", *imagenet_labels()], 1001) == ""
    assert background_hint(["background", "tench"], 2) == ""
    assert background_hint(None, 1000) == ""
