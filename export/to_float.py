"""The float conversions: a Keras network to one TFLite file, and that file to ONNX. Imports TensorFlow."""

from __future__ import annotations

import copy
import ctypes
import gc
import logging
import re
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from export.deployed import FRONT, as_trained, front, has_front
from export.equalized import equalize
from export.quantization.settings import Equalize
from export.tflite_file import name_tensors, read_model, write_model
from export.work import WorkFiles, save_array
from models.blocks import plan_layers
from models.build import fold_batch_norm
from models.errors import ConversionError
from models.load import check_function, into_network, read_checkpoint
from models.own import all_layers
from models.spec import ModelSpec
from models.training.predict import predict_logits
from models.worker import Progress, Report

OPSET = 17
"""Old enough for ONNX Runtime 1.12 (2022) on phones, new enough for per-channel QDQ (13) and everything used here."""

# What a network of convolutions needs of tf2onnx's passes; each further one copies the whole graph for nothing.
_PASSES = (
    "optimize_transpose",
    "fold_constants",
    "merge_duplication",
    "reshape_optimizer",
    "global_pool_optimizer",
    "remove_identity",
    "remove_back_to_back",
)


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


def to_onnx(tflite: Path, name: str) -> bytes:
    """The float TFLite file as float32 ONNX: same tensor names, same NHWC input.

    Raises:
        ConversionError: the converter refused.
    """
    # tf2onnx copies the graph in every pass and leaves the copies to the garbage collector, which counts TensorFlow's
    # million objects first and so runs too rarely; frozen they no longer count. This halves the peak memory.
    gc.collect()
    gc.freeze()
    with warnings.catch_warnings():
        # tf2onnx reads TFLite files with TensorFlow's own interpreter, which announces its retirement.
        warnings.simplefilter("ignore")
        from tf2onnx import optimizer
        from tf2onnx.tfonnx import process_tf_graph

        logging.getLogger("tf2onnx").setLevel(logging.ERROR)
        passes = optimizer._get_optimizers() | {"optimize_transpose": _transpose_pass()}  # noqa: SLF001 - the only way
        try:
            graph = process_tf_graph(None, opset=OPSET, tflite_path=str(tflite))
            graph = optimizer.optimize_graph(graph, catch_errors=False, optimizers={k: passes[k] for k in _PASSES})
            model = graph.make_model(name, graph_name=name)
            _name_constants(model.graph)
        except Exception as error:
            raise ConversionError(f"tf2onnx refused {tflite.name}: {error}") from error
        finally:
            gc.unfreeze()
    return bytes(model.SerializeToString(deterministic=True))


def _transpose_pass() -> type:
    """tf2onnx's removal of Transposes, for networks with hard-swish and squeeze-and-excite too.

    Its table lacks HardSwish, which then keeps a Transpose on either side. And after its first round it turns what is
    left around maps of 1x1 into Reshapes, which no later round can cancel; so that is left out.
    """
    from tf2onnx.optimizer.transpose_optimizer import TransposeOptimizer

    class TransposePass(TransposeOptimizer):  # type: ignore[misc]
        def _initialize_handlers(self) -> None:
            super()._initialize_handlers()
            self._handler_map["HardSwish"] = self._simple_through_handler

        def post_optimize_action(self) -> None:
            pass

    return TransposePass


_ROLES = {"Clip": ("min", "max"), "Squeeze": ("axes",)}


def _name_constants(graph: onnx.GraphProto) -> None:
    """Names each constant after the first node that reads it, `<layer>/kernel`, and puts them in the nodes' order.

    tf2onnx numbers them in the order of a set, which is another in every process, and so would be the file's bytes.
    """
    constants = {constant.name: constant for constant in graph.initializer}
    renamed: dict[tuple[str, str], str] = {}
    for node in graph.node:
        # The classifier's node is called `classifier_Gemm__61`.
        layer = re.sub(r"_[A-Za-z]+__\d+$", "", node.name)
        roles = _ROLES.get(node.op_type, ("kernel", "bias"))
        for position, used in enumerate(node.input):
            if used in constants:
                # Kernels and biases are each layer's own, as in the TFLite file; all else may be shared.
                sharing = layer if roles == ("kernel", "bias") else ""
                node.input[position] = renamed.setdefault((used, sharing), f"{layer}/{roles[position - 1]}")
    del graph.initializer[:]
    for (old, _), new in renamed.items():
        constant = onnx.TensorProto()
        constant.CopyFrom(constants[old])
        constant.name = new
        graph.initializer.append(constant)


FLOAT_STAGE = "float conversion"
REFERENCE_STAGE = "Keras reference"


def convert_float(
    report: Report,
    spec: ModelSpec,
    checkpoint: Path,
    output: str,
    onnx: bool,
    work: WorkFiles,
    *,
    equalized: Equalize = False,
) -> None:
    """Loads the checkpoint and makes the float files and, unless they are there, the Keras model's own answers.

    Args:
        report: Receives the progress.
        spec: The network, with the class count of the data set.
        checkpoint: The `.keras` file.
        output: `probabilities` or `logits`.
        onnx: Also convert to ONNX.
        work: Where the pictures are and the results go.
        equalized: Rescale the channels of a network of the zoo for the 8-bit files, all or where it pays.

    Raises:
        WeightsError: the checkpoint does not serve.
        ConversionError: a converter refused.
    """
    steps = 3 if onnx else 2
    report(Progress(stage=FLOAT_STAGE, done=0, total=steps, detail="checkpoint"))
    given = read_checkpoint(checkpoint)
    model = given if spec.own else into_network(checkpoint, given, spec)
    report(Progress(stage=FLOAT_STAGE, done=1, total=steps, detail="TFLite"))
    deployed = model if spec.own else fold_batch_norm(model, spec)
    if equalized and not spec.own:
        equalize(deployed, spec, np.load(work.calibration_pixels), where_it_pays=equalized == "auto")
    work.float_tflite.write_bytes(to_tflite(deployed, spec, output))
    del deployed
    _give_back_memory()
    if onnx:
        report(Progress(stage=FLOAT_STAGE, done=2, total=steps, detail="ONNX"))
        work.float_onnx.write_bytes(to_onnx(work.float_tflite, spec.name))
        _give_back_memory()
    report(Progress(stage=FLOAT_STAGE, done=steps, total=steps))
    # Not before the converters, whose peak of memory it would raise.
    if not spec.own:
        check_function(checkpoint, spec, given, model)
    if work.reference.exists():
        return
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
