"""The float TFLite file as an ONNX file. Its converter imports TensorFlow."""

from __future__ import annotations

import gc
import logging
import re
import warnings
from pathlib import Path

import onnx

from models.errors import ConversionError

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
