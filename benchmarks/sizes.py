"""Bytes of int8 TFLite files: ours, those of other tools, and what the network itself takes.

    .venv/bin/python -m benchmarks.sizes [NAME ...]

Each network has 10 classes and random weights, batch statistics and biases included, so that no two biases are equal
by chance; sizes do not depend on more. All tools get the same Keras network and the same pictures. TFLiteConverter's
file has uint8 input and output, as ours; litert-quantizer's int8, which saves it two operators. Ours holds its metadata
and the class names, and they count.

The floor is a byte per weight, and 4 bytes for the bias and 4 for the scale of each output channel. The last column is
the flatbuffer with biases that state a scale that is not theirs (`benchmarks.compact_variants`): it says what that
would save, and is not what is exported, because GPU delegates compute biases by the scale that is stored with them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np
import tensorflow as tf
from litert_quantizer import quantizer, recipe
from numpy.typing import NDArray
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from benchmarks.compact_variants import changed, kernels, untrue_bias_scales
from export.calibrate import measure_ranges
from export.metadata.info import compose_info
from export.metadata.labels import format_labels
from export.metadata.write import add_metadata
from export.precision import PRECISIONS
from export.quantization.settings import DEFAULTS
from export.quantize import quantize_tflite
from export.tflite_file import SIGNATURE, read_model, set_signature, write_model
from export.to_float import to_tflite
from models.build import build, fold_batch_norm
from models.data import Pixels, normalise
from models.spec import ModelSpec
from models.zoo import lookup

CLASSES = 10
PICTURES = 8
GOAL, GOAL_TO_PEERS = 1.04, 0.95


def main() -> None:
    """Prints a Markdown table row by row."""
    parser = argparse.ArgumentParser(description="sizes of int8 TFLite files")
    parser.add_argument("names", nargs="*", default=["mobilenet_v2_1.0", "mobilenet_v2_0.35"], metavar="NAME")
    print("| network | floor | ours | x floor | TFLiteConverter | litert-quantizer | x smallest | untrue bias scales |")
    print("|---|---|---|---|---|---|---|---|")
    for name in parser.parse_args().names:
        spec = replace(lookup(name), num_classes=CLASSES)
        side = spec.resolution_px
        pixels: Pixels = np.random.default_rng(0).integers(0, 256, (PICTURES, side, side, 3), np.uint8)
        model = random_network(spec)
        made = ours(model, spec, pixels)
        peers = converter(model, spec, pixels), litert_quantizer(model, spec, pixels)
        untrue, least = changed(made, untrue_bias_scales), floor(made)
        cells = [f"{len(made):,}", ratio(len(made) / least, GOAL), *(f"{len(peer):,}" for peer in peers)]
        cells += [
            ratio(len(made) / min(map(len, peers)), GOAL_TO_PEERS),
            f"{len(untrue):,} ({len(untrue) / least:.3f})",
        ]
        print(f"| `{name}` | {least:,} | {' | '.join(cells)} |", flush=True)


def ratio(value: float, goal: float) -> str:
    """A figure and whether it is as small as was asked for."""
    return f"{value:.3f} ({'met' if value <= goal else 'missed'}: {goal})"


def random_network(spec: ModelSpec) -> keras.Model:
    """A network that nothing has trained, but whose batch normalization is not at its start."""
    keras.utils.set_random_seed(0)
    model, rng = build(spec), np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            size = layer.gamma.shape
            spread = rng.uniform(0.5, 1.5, size), *rng.normal(0, 0.1, (2, *size)), rng.uniform(0.5, 1.5, size)
            layer.set_weights(list(spread))
    kernel, bias = model.get_layer("classifier").get_weights()
    model.get_layer("classifier").set_weights([kernel, rng.normal(0, 0.1, bias.shape)])
    return model


def ours(model: keras.Model, spec: ModelSpec, pixels: Pixels) -> bytes:
    """What `make export` makes."""
    source = to_tflite(fold_batch_norm(model, spec), spec, "probabilities")
    ranges = measure_ranges(source, pixels, spec.preprocessing, lambda _: None, DEFAULTS)
    made = quantize_tflite(source, PRECISIONS["tflite", "int8"], ranges)
    labels = format_labels([f"class {number}" for number in range(CLASSES)])
    return add_metadata(made, compose_info(spec, source="digits", weights_sha256="0" * 64), labels)


def samples(spec: ModelSpec, pixels: Pixels) -> Iterator[NDArray[np.float32]]:
    """Pictures as the float network takes them."""
    return (normalise(image[None], spec.preprocessing) for image in pixels)


def converter(model: keras.Model, spec: ModelSpec, pixels: Pixels | None) -> bytes:
    """TFLiteConverter's file: full integer, or float32 without pictures."""
    side = spec.resolution_px

    @tf.function(input_signature=[tf.TensorSpec((1, side, side, 3), tf.float32, name="image")])  # type: ignore[untyped-decorator]
    def serve(image: tf.Tensor) -> tf.Tensor:
        return tf.nn.softmax(model(image, training=False))

    frozen = convert_variables_to_constants_v2(serve.get_concrete_function())
    made = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if pixels is not None:
        made.optimizations = [tf.lite.Optimize.DEFAULT]
        made.representative_dataset = lambda: ([image] for image in samples(spec, pixels))
        made.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        made.inference_input_type = made.inference_output_type = tf.uint8
    return bytes(made.convert())


def litert_quantizer(model: keras.Model, spec: ModelSpec, pixels: Pixels) -> bytes:
    """Its static int8 of the converter's float file, which it wants a signature in."""
    source = read_model(converter(model, spec, None))
    set_signature(source)
    made = quantizer.Quantizer(write_model(source), recipe.static_wi8_ai8())
    seen = made.calibrate({SIGNATURE: [{"image": image} for image in samples(spec, pixels)]})
    return bytes(made.quantize(seen, enable_progress_bar=False, enable_progress_report=False).quantized_model)


def floor(content: bytes) -> int:
    """Bytes of weights, biases and scales."""
    return sum(int(np.prod(kernel.shape)) + 8 * int(bias.shape[0]) for kernel, bias in kernels(read_model(content)))


if __name__ == "__main__":
    main()
