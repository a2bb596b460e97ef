"""The float conversions: a Keras network to one TFLite file, and that file to ONNX. Imports TensorFlow."""

from __future__ import annotations

import copy
import ctypes
import gc
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from export.deployed import FRONT, as_trained, deployed, front, has_front
from export.equalized import equalize
from export.quantization.decision import Decision
from export.quantization.settings import NAIVE, QuantizationSettings
from export.tflite_file import name_tensors, read_model, write_model
from export.to_onnx import to_onnx
from export.work import WorkFiles, save_array
from models.blocks import plan_layers
from models.build import fold_batch_norm
from models.data import Pixels
from models.errors import ConversionError
from models.load import check_function, into_network, read_checkpoint
from models.own import all_layers
from models.spec import ModelSpec
from models.training.predict import predict_logits
from models.worker import Progress, Report


def to_tflite(model: keras.Model, spec: ModelSpec, output: str) -> bytes:
    """The network as a float32 TFLite file with batch 1, input `image`, output `probabilities` or `logits`.

    Raises:
        ConversionError: the converter refused.
    """
    shape, gives = (1, spec.resolution_px, spec.resolution_px, 3), spec.own.gives if spec.own else "logits"
    if (gives, output) == ("probabilities", "logits"):
        raise ConversionError(
            f"{spec.name} ends with a softmax, so that it gives no logits; leave --output out, or save it without"
        )

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])  # type: ignore[untyped-decorator]
    def serve(image: tf.Tensor) -> tf.Tensor:
        if has_front(spec.preprocessing):
            kernel, bias = front(spec.preprocessing)
            with tf.name_scope(FRONT):
                image = tf.nn.bias_add(tf.nn.conv2d(image, kernel, 1, "VALID"), bias)
        result = model(image, training=False)
        return tf.nn.softmax(result) if output != gives else result

    # Frozen first: otherwise the weights become variables that only some runtimes initialise.
    frozen = convert_variables_to_constants_v2(serve.get_concrete_function())
    _give_back_memory()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    try:
        converted = read_model(converter.convert())
    except Exception as error:
        raise ConversionError(f"TFLiteConverter refused {spec.name}: {error}") from error
    _separate_constants(converted)
    layers = _layer_names(model, spec)
    name_tensors(converted, [FRONT, *layers] if has_front(spec.preprocessing) else layers, output)
    return write_model(converted)


def _separate_constants(model: Any) -> None:
    """Gives each operator kernels and biases of its own.

    The converter shares equal ones, such as biases that are zero; corrected for 8 bits, they are equal no more.
    """
    graph, taken = model.subgraphs[0], set()
    for operator in graph.operators:
        inputs = [int(index) for index in operator.inputs]
        for place, index in enumerate(inputs):
            data = None if index < 0 else model.buffers[graph.tensors[index].buffer].data
            if data is not None and len(data) and index in taken:
                graph.tensors.append(copy.copy(graph.tensors[index]))
                inputs[place] = len(graph.tensors) - 1
            taken.add(index)
        # As a file has them: lists are not shared when they are written.
        operator.inputs = np.asarray(inputs, np.int32)


def _layer_names(model: keras.Model, spec: ModelSpec) -> list[str]:
    """Names an operator may have; where several layers were fused into it, the first of these that is among them."""
    if spec.own:
        layers = list(all_layers(model))
        # What has a kernel gives its name to what is fused into it.
        return [layer.name for layer in sorted(layers, key=lambda layer: not hasattr(layer, "kernel"))]
    plan = plan_layers(spec)
    # Other activations are fused into the operator before them.
    apart = [f"{layer.name}_hard_swish" for layer in plan if layer.activation == "hard_swish"]
    return [*apart, *(layer.name for layer in plan)]


FLOAT_STAGE = "float conversion"
REFERENCE_STAGE = "Keras reference"


def convert_float(
    report: Report,
    spec: ModelSpec,
    checkpoint: Path,
    output: str,
    onnx: bool,
    work: WorkFiles,
    settings: QuantizationSettings = NAIVE,
) -> Decision | None:
    """Loads the checkpoint and makes the float files and, unless they are there, the Keras model's own answers.

    Returns what was decided of equalization; None where it was not to be decided.

    Args:
        report: Receives the progress.
        spec: The network, with the class count of the data set.
        checkpoint: The `.keras` file.
        output: `probabilities` or `logits`.
        onnx: Also convert to ONNX.
        work: Where the pictures are and the results go.
        settings: Of the 8-bit files: whether the channels of a network of the zoo are rescaled for them.

    Raises:
        WeightsError: the checkpoint does not serve.
        ConversionError: a converter refused.
    """
    steps = 3 if onnx else 2
    report(Progress(stage=FLOAT_STAGE, done=0, total=steps, detail="checkpoint"))
    given = read_checkpoint(checkpoint)
    model = given if spec.own else into_network(checkpoint, given, spec)
    report(Progress(stage=FLOAT_STAGE, done=1, total=steps, detail="TFLite"))
    decision = None
    if spec.own:
        tflite = to_tflite(model, spec, output)
    else:
        pixels = np.load(work.calibration_pixels)
        tflite, decision = tflite_for(fold_batch_norm(model, spec), spec, output, pixels, settings, report)
    work.float_tflite.write_bytes(tflite)
    del tflite
    _give_back_memory()
    if onnx:
        report(Progress(stage=FLOAT_STAGE, done=2, total=steps, detail="ONNX"))
        work.float_onnx.write_bytes(to_onnx(work.float_tflite, spec.name))
        _give_back_memory()
    report(Progress(stage=FLOAT_STAGE, done=steps, total=steps))
    # Not before the converters, whose peak of memory it would raise.
    if not spec.own:
        check_function(checkpoint, spec, given, model)
    if not work.reference.exists():
        _write_reference(model, spec, work, report)
    return decision


def tflite_for(
    folded: keras.Model, spec: ModelSpec, output: str, pixels: Pixels, settings: QuantizationSettings, report: Report
) -> tuple[bytes, Decision | None]:
    """The float TFLite file, equalized if that is asked for, or if `auto` finds by measuring that it is better.

    Args:
        folded: A network of the zoo, of `models.build.fold_batch_norm`; its weights may change.
        spec: The network.
        output: `probabilities` or `logits`.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        settings: Of the 8-bit files.
        report: Receives the progress.

    Raises:
        ConversionError: the converter refused.
    """
    if settings.equalize != "auto":
        if settings.equalize:
            equalize(folded, spec, pixels)
        return to_tflite(folded, spec, output), None
    plain = to_tflite(folded, spec, output)
    groups = equalize(folded, spec, pixels, where_it_pays=True)
    if not groups:
        return plain, Decision(groups=0)
    # It loads LiteRT's quantizer, which is not needed otherwise here.
    from export.quantization.choose import choose

    equalized = to_tflite(folded, spec, output)
    decision = choose(plain, equalized, groups, pixels, deployed(spec.preprocessing), settings, report)
    return (equalized if decision.taken else plain), decision


def _write_reference(model: keras.Model, spec: ModelSpec, work: WorkFiles, report: Report) -> None:
    """The Keras model's probabilities on the test split."""
    pixels = as_trained(np.load(work.test_pixels, mmap_mode="r"), spec.preprocessing)
    logits = predict_logits(model, pixels, spec.preprocessing, report, REFERENCE_STAGE)
    gives_logits = not spec.own or spec.own.gives == "logits"
    reference = tf.nn.softmax(logits.astype(np.float64)).numpy() if gives_logits else logits
    save_array(work.reference, reference.astype(np.float32))


def _give_back_memory() -> None:
    """Returns freed memory to the system between the stages, each of which frees some 200 MB; glibc would keep it."""
    gc.collect()
    libc = ctypes.CDLL(None)
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)
