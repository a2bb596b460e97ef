"""The embedded digits: their bytes and splits are those of every earlier run."""

from dataclasses import replace

import numpy as np
import pytest

from models.data import SPLITS, Dataset, Pixels, load_dataset, stratified_sample

# SHA-256 over labels, pictures, classes and splits. It changes only if a test picture may have moved into a training
# set: then no accuracy measured before can be compared with one measured after.
DIGEST = "518dc6e54e52b39dbf889dd9e65ce68a384996b33d40c3d9f552d6d8cd38c354"
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load_dataset("digits")


def pictures(dataset: Dataset) -> tuple[Pixels, ...]:
    return tuple(dataset.images[number] for number in range(len(dataset.images)))


def test_a_data_set_has_pictures_classes_and_labels_that_fit(dataset: Dataset) -> None:
    assert len(dataset.images) == len(dataset.classes) == 1797
    assert set(dataset.classes.tolist()) == set(range(len(dataset.labels)))
    assert all(image.dtype == np.uint8 and image.ndim == 3 and image.shape[2] == 3 for image in pictures(dataset))


def test_the_splits_are_disjoint_and_complete(dataset: Dataset) -> None:
    assert tuple(dataset.splits) == SPLITS
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
    assert dataset.digest == DIGEST


def test_the_digest_notices_one_grey_level_one_label_and_one_moved_picture() -> None:
    digits = load_dataset("digits")
    image = digits.images[0].copy()
    image[0, 0, 0] ^= 1
    moved = {**digits.splits, "test": digits.splits["test"][1:], "train": digits.splits["train"]}
    for changed in (
        replace(digits, images=(image, *pictures(digits)[1:])),
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
    pixels = np.stack(pictures(digits))
    assert pixels.shape == (1797, 8, 8, 3)
    assert (pixels.min(), pixels.max()) == (0, 255)
    assert np.array_equal(pixels[..., 0], pixels[..., 1])
    assert np.array_equal(pixels[..., 0], pixels[..., 2])


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
