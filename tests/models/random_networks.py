"""Networks of random weights and statistics whose logits depend on the picture."""

import keras
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


def pictures(size_px: int, count: int = 4) -> Array:
    """Random colour fields of 4 x 4 squares in -1..1, as different from each other as pictures are."""
    fields = np.random.default_rng(1).uniform(-1, 1, (count, 4, 4, 3))
    return np.kron(fields, np.ones((1, size_px // 4, size_px // 4, 1))).astype(np.float32)


def randomise(model: keras.Model, size_px: int) -> None:
    """Gives each normalization random numbers near those of its input, and the logits a size of 1 to 5."""
    rng = np.random.default_rng(3)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for norm in norms:
        gamma, beta, mean, variance = norm.get_weights()
        norm.set_weights([rng.uniform(0.7, 1.4, gamma.shape), rng.normal(0, 0.3, beta.shape), mean, variance])
        norm.momentum = 0.0
    # One batch in training gives every normalization the statistics of its input; then each is put a little wrong.
    model(pictures(size_px), training=True)
    for norm in norms:
        gamma, beta, mean, variance = norm.get_weights()
        mean += rng.normal(0, 0.1, mean.shape) * np.sqrt(variance)
        norm.set_weights([gamma, beta, mean, variance * rng.uniform(0.7, 1.4, variance.shape)])
    last = [layer for layer in model.layers if layer.weights][-1]
    kernel, bias = last.get_weights()
    largest = np.abs(model.predict_on_batch(pictures(size_px))).max()
    last.set_weights([kernel * 4 / largest, rng.normal(0, 0.3, bias.shape)])
