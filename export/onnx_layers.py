"""Which layer of the TFLite file a node of the ONNX graph belongs to."""

from __future__ import annotations

import re

import onnx

KEEPING = ("Transpose", "Squeeze", "Reshape", "Flatten", "Clip", "Relu", "Identity")
"""Operators whose output has the range of their input. A Clip is fused into its convolution in TFLite, whose tensor has
its name and its limited range."""

_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")

_KERNEL = re.compile(r"(.+)/kernel(_DequantizeLinear_Output)?")
"""A layer's constant, as it is or behind what ONNX Runtime puts before it, which also gives a convolution the name of
the Clip behind it, when it takes that out."""

_NUMBERED = re.compile(r"__\d+(:\d+)?$")
"""Ends the names that tf2onnx makes up: `Relu6__1165:0`."""


def node_layers(graph: onnx.GraphProto) -> dict[str, str]:
    """The name of a TFLite tensor by the name of each computing node: that of the layer it is a part of.

    A node is called as its output; what tf2onnx has numbered belongs to the layer of its kernel, or of its input.
    """
    source, found = {output: node for node in graph.node for output in node.output}, {}

    def layer_of(name: str) -> str:
        node = source.get(name)
        if node is not None and node.op_type in _CONVERSIONS:
            return layer_of(node.input[0])
        if node is None or not _NUMBERED.search(name):
            return name
        kernels = [match.group(1) for given in node.input if (match := _KERNEL.fullmatch(given))]
        return kernels[0] if kernels else layer_of(node.input[0])

    for node in graph.node:
        if node.op_type not in _CONVERSIONS:
            found[node.name] = layer_of(node.output[0])
    return found
