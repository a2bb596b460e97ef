"""What several devices do together: a step of learning, and predictions. Imports TensorFlow.

Each device holds the whole network and learns from its share of every batch. Gradients and the statistics of batch
normalization are summed over all of them, so that a step is that of one device with the whole batch, up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.training.devices import Devices, Share


def synchronize_norms(model: keras.Model) -> None:
    """Lets batch normalization take its statistics from the whole batch, on all devices."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


Step = Callable[..., tuple[float, float]]


def make_step(devices: Devices, model: keras.Model, loss: keras.losses.Loss) -> Step:
    """A step of all devices: `step(images, targets, weights, share) -> (loss, top1)`, means over the whole batch.

    Args:
        devices: More than one.
        model: Compiled, its optimizer built.
        loss: Summed over pictures.
    """
    optimizer = model.optimizer

    def learn(images: Any, targets: Any, weights: Any, batch: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            # Of the whole batch, so that the gradients' sum over all devices is its gradient, however it was cut.
            mean = loss(targets, logits, sample_weight=weights[:, 0]) / batch[0]
            scaled = optimizer.scale_loss(mean)
        optimizer.apply_gradients(
            zip(tape.gradient(scaled, model.trainable_weights), model.trainable_weights, strict=True)
        )
        named = targets if targets.shape.rank == 1 else tf.argmax(targets, -1)
        right = tf.cast(tf.equal(tf.argmax(logits, -1), tf.cast(named, tf.int64)), tf.float32)
        return tf.stack([tf.cast(mean, tf.float32), tf.reduce_sum(right * weights[:, 1]) / batch[0]])

    function: Any = None

    def step(
        images: NDArray[Any], targets: NDArray[Any], weights: NDArray[Any] | None, share: Share
    ) -> tuple[float, float]:
        nonlocal function
        counted = share.counted.astype(np.float32)
        both = np.stack([counted if weights is None else counted * weights, counted], axis=1)
        batch = np.full(len(share.sizes), share.batch, np.float32)
        ones = (1,) * len(share.sizes)
        parts = [devices.spread(v, share.sizes) for v in (images, targets, both)] + [devices.spread(batch, ones)]
        if function is None:
            # Of open sizes, so that all workers trace once: one whose part alone changes its size would trace alone
            # and wait for the others for ever.
            function = tf.function(
                lambda *given: devices.strategy.reduce("SUM", devices.strategy.run(learn, args=given), axis=None),
                input_signature=devices.specs(images, targets, both, batch),
                autograph=False,
            )
        mean, top1 = np.array(function(*parts))
        return float(mean), float(top1)

    return step


def make_predictor(devices: Devices, model: keras.Model) -> Callable[[NDArray[np.float32]], NDArray[Any]]:
    """`predict(images) -> logits` on all devices of this worker."""
    strategy, here = devices.strategy, devices.replicas // devices.workers

    @tf.function(reduce_retracing=True, autograph=False)  # type: ignore[untyped-decorator]
    def run(images: Any) -> Any:
        return strategy.run(lambda part: model(part, training=False), args=(images,))

    def predict(images: NDArray[np.float32]) -> NDArray[Any]:
        filled = images if len(images) >= here else np.concatenate([images, np.repeat(images[:1], here, axis=0)])
        sizes = tuple(map(len, np.array_split(np.arange(len(filled)), here)))
        logits = strategy.experimental_local_results(run(devices.spread(filled, sizes)))
        return np.concatenate([np.array(part) for part in logits])[: len(images)]

    return predict
