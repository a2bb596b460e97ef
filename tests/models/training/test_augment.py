"""What is done to pictures on their way into a step."""

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of_hypothesis
from hypothesis import strategies as st

from models.data import normalise
from models.spec import MINUS_ONE_TO_ONE
from models.training.augment import Augmenter, Batch, balanced_weights, shifted
from models.training.settings import PLAIN, Method

RNG = np.random.default_rng(0)
PICTURES = RNG.integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
CLASSES = np.arange(16) % 4


def batch(method: Method, class_weights: Any = None, seed: int = 0) -> Batch:
    augmenter = Augmenter(method, MINUS_ONE_TO_ONE, class_weights, class_count=4, seed=seed)
    return augmenter.batch(PICTURES, CLASSES, 0.0, np.random.default_rng(0))


def test_without_wishes_a_batch_is_the_normalised_pictures_and_their_classes() -> None:
    made = batch(PLAIN)
    assert np.array_equal(made.images, normalise(PICTURES, MINUS_ONE_TO_ONE))
    assert np.array_equal(made.targets, CLASSES)
    assert made.weights is None


def test_mirrored_pictures_are_the_pictures_or_their_mirror_images() -> None:
    made = batch(Method(flip=True))
    plain = normalise(PICTURES, MINUS_ONE_TO_ONE)
    same = [np.array_equal(a, b) for a, b in zip(made.images, plain, strict=True)]
    mirrored = [np.array_equal(a, b[:, ::-1]) for a, b in zip(made.images, plain, strict=True)]
    assert all(a or b for a, b in zip(same, mirrored, strict=True))
    assert any(same)
    assert any(mirrored)


@pytest.mark.parametrize("method", [Method(colour=0.4), Method(rand_augment=0.45)], ids=["colour", "RandAugment"])
def test_recoloured_pictures_stay_in_the_range_of_pictures_and_keep_their_classes(method: Method) -> None:
    made = batch(method)
    assert made.images.shape == PICTURES.shape
    assert made.images.min() >= -1
    assert made.images.max() <= 1
    assert not np.allclose(made.images, normalise(PICTURES, MINUS_ONE_TO_ONE), atol=0.01)
    assert np.array_equal(made.targets, CLASSES)


def test_mixed_pictures_have_targets_mixed_in_the_same_ratio() -> None:
    made = batch(Method(mixup=0.4))
    assert made.targets.shape == (16, 4)
    assert made.targets.sum(axis=1) == pytest.approx(np.ones(16))
    assert ((made.targets > 0.01) & (made.targets < 0.99)).any()
    # Any mixture of two pictures lies between them; find the partner of the first that is mixed.
    plain = normalise(PICTURES, MINUS_ONE_TO_ONE)
    mixed = int(np.argmax(made.targets.max(axis=1) < 0.99))
    share = made.targets[mixed, CLASSES[mixed]]
    rest = (made.images[mixed] - share * plain[mixed]) / (1 - share)
    partner = int(np.abs(plain - rest).sum(axis=(1, 2, 3)).argmin())
    assert rest == pytest.approx(plain[partner], abs=1e-3)
    assert made.targets[mixed, CLASSES[partner]] == pytest.approx(1 - share, abs=1e-5)


def test_smoothed_labels_are_one_hot_here_and_smoothed_by_the_loss() -> None:
    assert np.array_equal(batch(Method(label_smoothing=0.1)).targets, np.eye(4)[CLASSES])


def test_rare_classes_weigh_more_and_all_pictures_weigh_as_much_as_without() -> None:
    classes = np.array([0] * 60 + [1] * 30 + [2] * 10)
    weights = balanced_weights(classes, 4)
    assert weights == pytest.approx([5 / 9, 10 / 9, 10 / 3, 0.0])
    assert [float(weights[name] * (classes == name).sum()) for name in range(3)] == pytest.approx([100 / 3] * 3)
    assert weights[classes].mean() == pytest.approx(1)


def test_a_mixed_pictures_weight_is_mixed_too() -> None:
    weights = np.array([1.0, 2.0, 3.0, 4.0], np.float32)
    plain, mixed = batch(PLAIN, weights), batch(Method(mixup=0.4), weights)
    assert plain.weights is not None
    assert mixed.weights is not None
    assert plain.weights.tolist() == [1, 2, 3, 4] * 4
    assert mixed.weights == pytest.approx(mixed.targets @ weights)


@pytest.mark.parametrize("method", [Method(flip=True), Method(colour=0.4), Method(rand_augment=0.4), Method(mixup=0.2)])
def test_chance_is_decided_by_the_seed(method: Method) -> None:
    one, again, other = batch(method), batch(method), batch(method, seed=100)
    assert np.array_equal(one.images, again.images)
    assert not np.array_equal(one.images, other.images)


def test_chance_goes_on_where_it_was_kept() -> None:
    method = Method(flip=True, colour=0.2, mixup=0.2)
    one = Augmenter(method, MINUS_ONE_TO_ONE, None, class_count=4, seed=0)
    rng = np.random.default_rng(0)
    one.batch(PICTURES, CLASSES, 0.0, rng)
    kept = [np.array(variable) for variable in one.variables]
    assert len(kept) >= 3
    expected = one.batch(PICTURES, CLASSES, 0.0, rng)
    keras.utils.set_random_seed(5)
    other = Augmenter(method, MINUS_ONE_TO_ONE, None, class_count=4, seed=77)
    for variable, values in zip(other.variables, kept, strict=True):
        variable.assign(values)
    made = other.batch(PICTURES, CLASSES, 0.0, rng)
    assert np.array_equal(made.images, expected.images)
    assert np.array_equal(made.targets, expected.targets)


@settings_of_hypothesis(max_examples=20)
@given(share=st.sampled_from([1 / 8, 1 / 4]), seed=st.integers(0, 2**32 - 1), size_px=st.sampled_from([16, 32]))
def test_shifted_pictures_are_the_pictures_moved_and_no_further_than_asked(
    share: float, seed: int, size_px: int
) -> None:
    values = np.arange(size_px * size_px, dtype=np.uint32).astype(np.uint8).reshape(size_px, size_px)
    pictures = np.repeat(np.stack([values] * 8)[..., None], 3, axis=3)
    moved = shifted(pictures, share, np.random.default_rng(seed))
    assert (moved.shape, str(moved.dtype)) == (pictures.shape, "uint8")
    reach = int(share * size_px)
    wide = np.pad(pictures[0], ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    windows = {
        wide[y : y + size_px, x : x + size_px].tobytes() for y in range(2 * reach + 1) for x in range(2 * reach + 1)
    }
    assert all(picture.tobytes() in windows for picture in moved)
    assert len({picture.tobytes() for picture in moved}) > 1, "each its own way"
