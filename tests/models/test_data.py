"""Data sets, splits, samples and the one preprocessing."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from models.data import (
    DATASETS,
    Dataset,
    Pixels,
    dataset_loader,
    load_dataset,
    normalise,
    preprocess,
    stratified_sample,
    stratified_split,
)
from models.errors import DataError, UnknownNameError
from models.spec import MINUS_ONE_TO_ONE

# SHA-256 over labels, pictures, classes and splits. It changes only if a test picture may have moved into a training
# set: then no accuracy measured before can be compared with one measured after.
DIGEST = {"digits": "518dc6e54e52b39dbf889dd9e65ce68a384996b33d40c3d9f552d6d8cd38c354"}
IMAGES = {"digits": 1797}
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


@pytest.fixture(scope="module", params=DATASETS)
def dataset(request: pytest.FixtureRequest) -> Dataset:
    return load_dataset(request.param)


def test_a_data_set_has_pictures_classes_and_labels_that_fit(dataset: Dataset) -> None:
    assert len(dataset.images) == len(dataset.classes) == IMAGES[dataset.name]
    assert set(dataset.classes.tolist()) == set(range(len(dataset.labels)))
    assert all(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 for image in dataset.images)


def test_the_splits_are_disjoint_and_complete(dataset: Dataset) -> None:
    assert list(dataset.splits) == ["train", "validation", "test"]
    together = np.concatenate(list(dataset.splits.values()))
    assert sorted(together.tolist()) == list(range(len(dataset.images)))
    assert all(np.all(np.diff(indices) > 0) for indices in dataset.splits.values()), "ascending"


def test_every_class_has_its_share_of_every_split_within_one_picture(dataset: Dataset) -> None:
    for label in range(len(dataset.labels)):
        members = np.sum(dataset.classes == label)
        for split, share in SHARES.items():
            found = np.sum(dataset.classes[dataset.splits[split]] == label)  # type: ignore[index]
            assert abs(found - share * members) <= 1, (label, split)


def test_the_data_is_that_of_every_earlier_run(dataset: Dataset) -> None:
    assert dataset.digest == DIGEST[dataset.name]


def test_the_digest_notices_one_grey_level_one_label_and_one_moved_picture() -> None:
    digits = load_dataset("digits")
    image = digits.images[0].copy()
    image[0, 0, 0] ^= 1
    moved = {**digits.splits, "test": digits.splits["test"][1:], "train": digits.splits["train"]}
    for changed in (
        replace(digits, images=(image, *digits.images[1:])),
        replace(digits, labels=("zero", *digits.labels[1:])),
        replace(digits, classes=np.roll(digits.classes, 1)),
        replace(digits, splits=moved),
    ):
        assert changed.digest != digits.digest


def test_the_split_knows_no_seed_but_its_own() -> None:
    before = load_dataset("digits").digest
    np.random.seed(7)  # noqa: NPY002 - the global state that a run's `--seed` sets
    assert load_dataset("digits").digest == before


def test_digits_are_grey_and_use_the_whole_range() -> None:
    digits = load_dataset("digits")
    pixels = np.stack(digits.images)
    assert pixels.shape == (1797, 8, 8, 3)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


def test_another_seed_splits_otherwise_with_the_same_shares() -> None:
    classes = np.repeat(np.arange(3), [10, 20, 31])
    one, other = (stratified_split(classes, validation=0.1, test=0.2, seed=seed) for seed in (0, 1))
    assert one["test"].tolist() != other["test"].tolist()
    assert np.bincount(classes[one["test"]]).tolist() == np.bincount(classes[other["test"]]).tolist() == [2, 4, 6]


def test_a_sample_is_the_same_for_the_same_seed_only(dataset: Dataset) -> None:
    train = dataset.splits["train"]
    one, again, other = (stratified_sample(dataset.classes, train, 100, seed) for seed in (0, 0, 1))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()


@pytest.mark.parametrize("count", [1, 9, 10, 100, 128, 999])
def test_a_sample_is_spread_evenly_over_the_classes(dataset: Dataset, count: int) -> None:
    train = dataset.splits["train"]
    chosen = stratified_sample(dataset.classes, train, count, 0)
    assert len(set(chosen.tolist())) == count
    assert set(chosen.tolist()) <= set(train.tolist())
    assert np.all(np.diff(chosen) > 0), "ascending"
    per_class = np.bincount(dataset.classes[chosen], minlength=len(dataset.labels))
    assert per_class.max() - per_class.min() <= 1


def test_a_sample_takes_all_of_a_small_class_and_the_rest_from_the_others() -> None:
    classes = np.repeat(np.arange(3), [2, 50, 50])
    chosen = stratified_sample(classes, np.arange(102), 42, 0)
    assert np.bincount(classes[chosen]).tolist() == [2, 20, 20]


def test_a_sample_of_everything_is_everything() -> None:
    classes = np.array([0, 1, 1, 0, 2])
    assert stratified_sample(classes, np.array([1, 3, 4]), 3, 0).tolist() == [1, 3, 4]


@pytest.mark.parametrize("count", [0, -1, 1259])
def test_a_sample_of_nothing_or_of_more_than_there_is_is_refused(count: int) -> None:
    digits = load_dataset("digits")
    with pytest.raises(DataError) as raised:
        stratified_sample(digits.classes, digits.splits["train"], count, 0)
    assert str(raised.value) == f"cannot take {count} calibration images from a split of 1258; ask for 1 to 1258"


def random_images(*shapes: tuple[int, int]) -> tuple[Pixels, ...]:
    rng = np.random.default_rng(0)
    return tuple(rng.integers(0, 256, (*shape, 3), dtype=np.uint8) for shape in shapes)


@pytest.mark.parametrize("size_px", [7, 96, 224])
def test_preprocessing_is_a_bilinear_stretch_by_pillow(size_px: int) -> None:
    images = random_images((8, 8), (37, 11), (5, 301), (240, 320))
    batch = preprocess(images, MINUS_ONE_TO_ONE, size_px)
    assert batch.dtype == np.uint8
    assert batch.shape == (4, size_px, size_px, 3)
    for made, image in zip(batch, images, strict=True):
        expected = Image.fromarray(image, "RGB").resize((size_px, size_px), Image.Resampling.BILINEAR)
        assert np.array_equal(made, np.asarray(expected))
        nearest = Image.fromarray(image, "RGB").resize((size_px, size_px), Image.Resampling.NEAREST)
        assert not np.array_equal(made, np.asarray(nearest))


def test_preprocessing_keeps_channels_apart_and_in_order() -> None:
    image = np.zeros((9, 4, 3), np.uint8)
    image[..., 0], image[..., 2] = 200, 50
    batch = preprocess((image,), MINUS_ONE_TO_ONE, 16)
    assert np.unique(batch.reshape(-1, 3), axis=0).tolist() == [[200, 0, 50]]


def test_preprocessing_of_no_picture_is_an_empty_batch() -> None:
    assert preprocess((), MINUS_ONE_TO_ONE, 96).shape == (0, 96, 96, 3)


@pytest.mark.parametrize("other", [{"resize": "bicubic"}, {"fit": "crop"}, {"channel_order": "BGR"}])
def test_a_preprocessing_that_is_not_known_is_refused_and_not_replaced(other: dict[str, str]) -> None:
    with pytest.raises(DataError) as raised:
        preprocess(random_images((8, 8)), replace(MINUS_ONE_TO_ONE, **other), 16)  # type: ignore[arg-type]
    assert "cannot execute the preprocessing" in str(raised.value)
    assert next(iter(other.values())) in str(raised.value)
    assert str(raised.value).endswith("only bilinear, stretch, RGB is known")


def test_normalising_maps_bytes_to_minus_one_to_one() -> None:
    pixels = np.array([0, 51, 255], np.uint8).reshape(1, 1, 3, 1).repeat(3, axis=3)
    values = normalise(pixels, MINUS_ONE_TO_ONE)
    assert values.dtype == np.float32
    assert values.shape == pixels.shape
    assert values[0, 0, :, 0] == pytest.approx([-1, -0.6, 1])


def test_normalising_is_per_channel() -> None:
    preprocessing = replace(MINUS_ONE_TO_ONE, mean=(0.0, 10.0, 20.0), std=(1.0, 2.0, 4.0))
    values = normalise(np.full((1, 1, 1, 3), 100, np.uint8), preprocessing)
    assert values.ravel().tolist() == [100, 45, 20]


def test_an_unknown_data_set_is_answered_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown data set 'imagenette'; known: digits$"):
        dataset_loader("imagenette")
    with pytest.raises(UnknownNameError, match=r"^unknown data set 'digit'; did you mean digits\?$"):
        load_dataset("digit")
