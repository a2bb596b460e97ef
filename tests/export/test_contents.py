"""What is inside a file: proof that an int8 file is int8, whatever its name says."""

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest

from export.contents import TensorInfo, contents_faults, read_contents
from export.precision import PRECISIONS, Precision
from export.tflite_file import read_model, write_model

if TYPE_CHECKING:
    from tests.export.conftest import Network

ROWS = pytest.mark.parametrize("row", PRECISIONS.values(), ids=lambda row: f"{row.format}-{row.name}")


IMPOSTORS = [
    (claim, truth)
    for claim in PRECISIONS.values()
    for truth in PRECISIONS.values()
    if claim.format == truth.format and claim != truth
]


@ROWS
def test_a_file_of_its_own_precision_has_no_faults(row: Precision, trained: "Network", untrained: "Network") -> None:
    for network in (trained, untrained):
        assert contents_faults(read_contents(network.work.made(row).read_bytes(), row), row) == []


@pytest.mark.parametrize(("claim", "truth"), IMPOSTORS, ids=lambda row: f"{row.format}-{row.name}")
def test_a_file_of_another_precision_is_found_out(claim: Precision, truth: Precision, trained: "Network") -> None:
    faults = "; ".join(contents_faults(read_contents(trained.work.made(truth).read_bytes(), claim), claim))
    assert faults
    if claim.islands or truth.islands:
        return
    if claim.weight_dtype != truth.weight_dtype:
        assert f"of its weights are {claim.weight_dtype}, it has {{'{truth.weight_dtype}'" in faults
    if claim.activation_dtype != truth.activation_dtype:
        assert f"its activations should all be {claim.activation_dtype}, it has {{'{truth.activation_dtype}'" in faults
    if claim.input_dtype != truth.input_dtype:
        assert f"its input is {truth.input_dtype}, not {claim.input_dtype}" in faults
    if claim.output_dtype != truth.output_dtype:
        assert f"its output is {truth.output_dtype}, not {claim.output_dtype}" in faults


def test_int8_and_int8_npu_differ_by_their_edges_alone(trained: "Network") -> None:
    int8, npu = (PRECISIONS["tflite", name] for name in ("int8", "int8_npu"))
    contents = read_contents(trained.work.made(npu).read_bytes(), npu)
    assert contents_faults(contents, int8) == ["its input is int8, not uint8", "its output is int8, not uint8"]


def test_an_int8_file_with_float_output_is_no_int8_file(trained: "Network") -> None:
    row = PRECISIONS["tflite", "int8"]
    model = read_model(trained.work.made(row).read_bytes())
    graph = model.subgraphs[0]
    # The last operator makes uint8 of int8; as a DEQUANTIZE it would make float32.
    graph.tensors[graph.outputs[0]].type = 0
    faults = contents_faults(read_contents(write_model(model), row), row)
    assert faults == ["its output is float32, not uint8"]


def test_one_layer_computed_in_float_is_found(trained: "Network") -> None:
    row = PRECISIONS["tflite", "int8_npu"]
    model = read_model(trained.work.made(row).read_bytes())
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[4].outputs[0]].type = 0
    (fault,) = contents_faults(read_contents(write_model(model), row), row)
    assert fault.startswith("its activations should all be int8, it has {'int8': ")
    assert "'float32': 1}; it computes separable_" in fault
    assert fault.endswith(" in float: replace that layer, or ship float16")


def test_one_layer_computed_in_float_is_found_in_onnx_too(trained: "Network") -> None:
    row = PRECISIONS["onnx", "int8"]
    model = onnx.load_from_string(trained.work.made(row).read_bytes())
    source = {output: node for node in model.graph.node for output in node.output}
    convolution = [node for node in model.graph.node if node.op_type == "Conv"][5]
    pair = source[source[convolution.input[0]].input[0]]
    convolution.input[0] = pair.input[0]
    (fault,) = contents_faults(read_contents(model.SerializeToString(), row), row)
    assert fault.startswith("its activations should all be uint8, it has {'uint8': ")
    assert "'float32': 1}; it computes separable_" in fault
    assert fault.endswith(" in float: replace that layer, or ship float16")


def test_weights_left_in_float_are_found(trained: "Network") -> None:
    row = PRECISIONS["tflite", "int8_npu"]
    model = read_model(trained.work.made(row).read_bytes())
    constants = [t for t in model.subgraphs[0].tensors if model.buffers[t.buffer].data is not None]
    largest = max(constants, key=lambda tensor: len(model.buffers[tensor.buffer].data))
    largest.type = 0
    model.buffers[largest.buffer].data = np.zeros(4 * int(np.prod(largest.shape)), np.uint8)
    (fault,) = contents_faults(read_contents(write_model(model), row), row)
    share = 100 * (1 - np.prod(largest.shape) / 212_906)
    assert fault.startswith("only ")
    # 1.3 % of the numbers are biases.
    assert float(fault.split()[1].rstrip("%")) == pytest.approx(share, abs=2)
    assert " of its weights are int8, it has " in fault


@ROWS
def test_the_edges_are_the_raw_picture_and_the_class_probabilities(row: Precision, trained: "Network") -> None:
    contents = read_contents(trained.work.made(row).read_bytes(), row)
    side = trained.spec.resolution_px
    assert (contents.input.name, contents.input.shape) == ("image", (1, side, side, 3))
    assert (contents.output.name, contents.output.shape) == ("probabilities", (1, trained.spec.num_classes))
    quantized = row.input_dtype != "float32"
    assert [value is not None for value in (contents.input.scale, contents.output.zero_point)] == [quantized] * 2


def test_operators_are_listed_most_frequent_first(trained: "Network") -> None:
    row = PRECISIONS["tflite", "int8"]
    counts = list(read_contents(trained.work.made(row).read_bytes(), row).operators.values())
    assert counts == sorted(counts, reverse=True)


@pytest.mark.parametrize(
    "info",
    [
        TensorInfo(name="image", dtype="uint8", shape=(1, 224, 224, 3), scale=1 / 127.5, zero_point=128),
        TensorInfo(name="logits", dtype="float32", shape=(1, 1000)),
    ],
)
def test_tensor_facts_survive_json(info: TensorInfo) -> None:
    assert TensorInfo.from_json(info.to_json()) == info
