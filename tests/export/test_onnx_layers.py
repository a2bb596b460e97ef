"""Nodes of an ONNX graph are traced to the TFLite file's layers."""

import onnx
from onnx import helper

from export.float_layers import onnx_float_layers
from export.onnx_layers import node_layers


def node(kind: str, inputs: list[str], output: str) -> onnx.NodeProto:
    return helper.make_node(kind, inputs, [output], name=f"node {output}")


def graph(*nodes: onnx.NodeProto, constants: dict[str, onnx.TensorProto] | None = None) -> onnx.GraphProto:
    edges = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1]) for name in ("image", "logits")]
    made = helper.make_graph(list(nodes), "test", edges[:1], edges[1:])
    made.initializer.extend((constants or {}).values())
    return made


def test_what_is_numbered_belongs_to_its_kernel_or_to_what_it_reads() -> None:
    found = node_layers(
        graph(
            node("Transpose", ["image"], "conv_1__12:0"),
            node("Conv", ["conv_1__12:0", "conv_1/kernel", "conv_1/bias"], "conv_1"),
            node("Clip", ["conv_1"], "Relu6__7:0"),
            node("Reshape", ["Relu6__7:0"], "flatten"),
            node("Gemm", ["flatten", "classifier/kernel"], "classifier_Gemm__3:0"),
            node("Softmax", ["classifier_Gemm__3:0"], "logits"),
        )
    )
    assert list(found.values()) == ["image", "conv_1", "conv_1", "flatten", "classifier", "logits"]


def test_a_convolution_without_its_clip_is_known_by_its_int8_kernel() -> None:
    found = node_layers(
        graph(
            node("DequantizeLinear", ["conv_2/kernel_quantized"], "conv_2/kernel_DequantizeLinear_Output"),
            node("Conv", ["image", "conv_2/kernel_DequantizeLinear_Output"], "Relu6__9:0"),
            node("QuantizeLinear", ["Relu6__9:0"], "Relu6__9:0_q"),
            node("DequantizeLinear", ["Relu6__9:0_q"], "Relu6__9:0_dq"),
            node("Squeeze", ["Relu6__9:0_dq"], "pool_Squeeze__5:0"),
        )
    )
    assert list(found.values()) == ["conv_2", "conv_2"]


def constant(name: str, kind: int) -> onnx.TensorProto:
    return helper.make_tensor(name, kind, [1, 1], [1])


def test_a_layer_of_which_a_part_is_float_is_torn() -> None:
    constants = {
        name: constant(name, kind)
        for name, kind in (("a_quantized", onnx.TensorProto.INT8), ("b/kernel", onnx.TensorProto.FLOAT))
    }
    found = onnx_float_layers(
        graph(
            node("QuantizeLinear", ["image"], "image_q"),
            node("DequantizeLinear", ["image_q"], "image_dq"),
            node("DequantizeLinear", ["a_quantized"], "a/kernel_dq"),
            node("Conv", ["image_dq", "a/kernel_dq"], "a"),
            node("QuantizeLinear", ["a"], "a_q"),
            node("DequantizeLinear", ["a_q"], "a_dq"),
            node("Conv", ["a_dq", "b/kernel"], "b"),
            node("QuantizeLinear", ["b"], "b_q"),
            node("DequantizeLinear", ["b_q"], "b_dq"),
            node("Relu", ["b_dq"], "Relu__1:0"),
            node("QuantizeLinear", ["Relu__1:0"], "r_q"),
            node("DequantizeLinear", ["r_q"], "logits"),
            constants=constants,
        )
    )
    # The float convolution's ReLU computes between integers.
    assert found == ((), ("b",))
