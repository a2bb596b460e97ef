"""What one pass over the pictures finds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from export.quantization import observe as module
from export.quantization.observe import Activations, Observations, observe
from models.data import normalise
from models.spec import MINUS_ONE_TO_ONE
from tests.export.quantization.graphs import tiny_network


def network() -> bytes:
    rng = np.random.default_rng(0)
    return tiny_network(rng.normal(0, 1, (5, 3, 3, 3)).astype(np.float32), rng.normal(0, 1, 5).astype(np.float32), 24)


def pictures(count: int = 20) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (count, 24, 24, 3), np.uint8)


def seen(pixels: NDArray[np.uint8]) -> Observations:
    return observe(network(), pixels, MINUS_ONE_TO_ONE, lambda _: None)


def assert_same(left: Observations, right: Observations) -> None:
    for name, observed in left.items():
        other = right[name]
        assert (observed.least, observed.greatest) == (other.least, other.greatest)
        assert np.array_equal(observed.histogram.values, other.histogram.values)
        assert np.array_equal(observed.histogram.counts, other.histogram.counts)
        assert np.array_equal(observed.histogram.weights, other.histogram.weights)


def test_order_and_threads_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = seen(pictures())
    assert_same(wanted, seen(pictures()[::-1]))
    for threads in (1, 3):
        monkeypatch.setattr(module, "THREADS", threads)
        assert_same(wanted, seen(np.random.default_rng(2).permutation(pictures())))
    with pytest.raises(AssertionError):
        assert_same(wanted, seen(pictures(19)))


def test_extremes_are_those_of_every_value_and_the_histogram_counts_a_share(monkeypatch: pytest.MonkeyPatch) -> None:
    activations = Activations(network(), MINUS_ONE_TO_ONE)
    values = np.stack([activations.compute(picture)[0].copy() for picture in pictures()])
    assert 0 < values.max() <= 6
    found = seen(pictures())["layer"]
    assert (found.least, found.greatest) == (values.min(), values.max())
    assert found.histogram.counts.sum() == values.size
    np.testing.assert_allclose(np.average(found.histogram.values, weights=found.histogram.counts), values.mean(), 0.01)
    monkeypatch.setattr(module, "COUNTED_VALUES", 300)
    part = seen(pictures())["layer"]
    assert (part.least, part.greatest) == (values.min(), values.max())
    assert values.size / 20 < part.histogram.counts.sum() < values.size / 5
    np.testing.assert_allclose(np.average(part.histogram.values, weights=part.histogram.counts), values.mean(), 0.05)


@pytest.mark.parametrize("width", [6, 7, 24, 56, 112])
def test_a_sample_looks_at_every_column(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "COUNTED_VALUES", width * width * 4 // 6)
    columns = np.tile(np.arange(width, dtype=np.float32)[:, None], (1, width, 1, 4))
    assert set(module._sample(columns).ravel()) == set(range(width))  # noqa: SLF001


def test_the_file_is_computed_as_it_stands() -> None:
    kernel = np.zeros((1, 1, 1, 3), np.float32)
    kernel[0, 0, 0] = (1, 2, 4)
    file = tiny_network(kernel, np.array([3.0], np.float32), 24)
    (layer,) = Activations(file, MINUS_ONE_TO_ONE).compute(pictures(1)[0])
    wanted = np.clip(normalise(pictures(1), MINUS_ONE_TO_ONE) @ kernel[0, 0, 0] + 3, 0, 6)
    np.testing.assert_allclose(layer[..., 0], wanted, atol=1e-5)
