"""Makes small_int8.tflite: convolution, depthwise, pointwise twice, pool and dense layer, all int8.

Run by hand from the root of the repository: .venv/bin/python tests/golden/lab_int8/make.py
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf


def main() -> None:
    """Writes the file beside this one."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((32, 32, 3), batch_size=1),
            layers.Conv2D(16, 3, strides=2, padding="same", activation="relu6"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu6"),
            layers.Conv2D(32, 1, activation="relu6"),
            layers.Conv2D(64, 1, activation="relu6"),
            layers.GlobalAveragePooling2D(keepdims=True),
            layers.Conv2D(100, 1),
            layers.Flatten(),
        ]
    )
    images = np.random.default_rng(0).uniform(-1, 1, (20, 1, 32, 32, 3)).astype(np.float32)
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in images)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    Path(__file__).with_name("small_int8.tflite").write_bytes(converter.convert())


if __name__ == "__main__":
    main()
