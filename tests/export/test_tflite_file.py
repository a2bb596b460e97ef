"""TFLite flatbuffers: what is read is written again, constants aligned, tensors named, bytes at the edges."""

from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from export.compact import CONSTANT_ALIGNMENT_BYTES
from export.precision import PRECISIONS, Precision
from export.tflite_file import (
    SIGNATURE,
    builtin_name,
    name_tensors,
    read_model,
    type_name,
    with_uint8_edges,
    write_model,
)
from models.blocks import plan_layers

if TYPE_CHECKING:
    from tests.export.conftest import Network

TFLITE = pytest.mark.parametrize(
    "row", [row for row in PRECISIONS.values() if row.format == "tflite"], ids=lambda row: row.name
)


def constant_offsets(content: bytes) -> list[tuple[int, int]]:
    """(offset, size) of every constant in the file, found without the writer's help."""
    model = schema.Model.GetRootAs(content, 0)
    found = []
    for number in range(model.BuffersLength()):
        buffer = model.Buffers(number)
        if buffer.DataLength():
            table = buffer._tab  # noqa: SLF001 - no public name tells where a vector lies
            # Field 4 of a Buffer's vtable is `data`.
            found.append((table.Vector(table.Offset(4)), buffer.DataLength()))
    return found


def names(content: bytes) -> list[str]:
    return [tensor.name.decode() for tensor in read_model(content).subgraphs[0].tensors]


def constants(model: Any) -> list[bytes]:
    return [b"" if buffer.data is None else np.asarray(buffer.data, np.uint8).tobytes() for buffer in model.buffers]


@TFLITE
def test_every_constant_is_aligned_in_the_file(row: Precision, trained: "Network", untrained: "Network") -> None:
    for network in (trained, untrained):
        found = constant_offsets(network.work.made(row).read_bytes())
        assert len(found) > 50
        assert {offset % CONSTANT_ALIGNMENT_BYTES for offset, _ in found} == {0}


@TFLITE
def test_a_file_read_and_written_is_the_same_file(row: Precision, trained: "Network") -> None:
    content = trained.work.made(row).read_bytes()
    assert content[4:8] == b"TFL3"
    # The archive with the class names follows; it is no part of the flatbuffer.
    assert content.startswith(write_model(read_model(content)))


def test_constants_behind_the_flatbuffer_come_into_it(trained: "Network") -> None:
    # Converters write so when the file grows beyond 2 GB, and litert-quantizer for any size.
    content = trained.work.float_tflite.read_bytes()
    model = read_model(content)
    behind = b""
    builder = flatbuffers.Builder(1 << 20)
    wanted = constants(model)
    for buffer, payload in zip(model.buffers, wanted, strict=True):
        # Sizes and offsets are fixed-width, so a first pass with made-up offsets tells the flatbuffer's length.
        buffer.data, buffer.offset, buffer.size = None, 2 if payload else 0, len(payload)
    plain = [schema.BufferT() for _ in model.buffers]
    for buffer, old in zip(plain, model.buffers, strict=True):
        buffer.offset, buffer.size = old.offset, old.size
    model.buffers = plain
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    length = len(builder.Output())
    for buffer, payload in zip(plain, wanted, strict=True):
        if payload:
            buffer.offset = length + len(behind)
            behind += payload
    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    assert len(builder.Output()) == length
    read = read_model(bytes(builder.Output()) + behind)
    assert constants(read) == wanted
    assert write_model(read) == content


@TFLITE
def test_tensor_names_are_unique_and_layer_names(row: Precision, untrained: "Network") -> None:
    found = names(untrained.work.made(row).read_bytes())
    assert len(set(found)) == len(found)
    layers = [layer.name for layer in plan_layers(untrained.spec)]
    assert set(layers[:-1]) <= set(found)
    for layer in plan_layers(untrained.spec):
        if layer.kind in ("conv", "depthwise"):
            assert {f"{layer.name}/kernel", f"{layer.name}/bias"} <= set(found)
    # The classifier of an untrained network has no bias: all of it is zero, and the converter leaves it out.
    assert "classifier/kernel" in found
    assert {"image", "probabilities"} <= set(found)
    assert max(map(len, found)) < 60


@TFLITE
def test_every_file_has_the_signature_with_image_and_probabilities(row: Precision, trained: "Network") -> None:
    interpreter = Interpreter(str(trained.work.made(row)))
    assert interpreter.get_signature_list() == {SIGNATURE: {"inputs": ["image"], "outputs": ["probabilities"]}}
    assert SIGNATURE == "serving_default"
    runner = interpreter.get_signature_runner(SIGNATURE)
    side = trained.spec.resolution_px
    result = runner(image=np.zeros((1, side, side, 3), row.input_dtype))
    assert result["probabilities"].shape == (1, trained.spec.num_classes)
    assert result["probabilities"].dtype == row.output_dtype


@TFLITE
def test_batch_and_size_are_fixed(row: Precision, trained: "Network") -> None:
    model = read_model(trained.work.made(row).read_bytes())
    for tensor in model.subgraphs[0].tensors:
        assert all(n > 0 for n in tensor.shape)
        assert tensor.shapeSignature is None or not len(tensor.shapeSignature) or min(tensor.shapeSignature) > 0
    graph = model.subgraphs[0]
    assert [list(graph.tensors[i].shape) for i in graph.inputs] == [[1, 128, 128, 3]]


def test_uint8_edges_add_two_quantize_operators_and_128_to_the_zero_points(trained: "Network") -> None:
    npu = trained.work.made(PRECISIONS["tflite", "int8_npu"]).read_bytes()
    inner, outer = read_model(npu), read_model(with_uint8_edges(npu))

    def operators(model: Any) -> list[str]:
        return [builtin_name(model.operatorCodes[o.opcodeIndex]) for o in model.subgraphs[0].operators]

    assert operators(outer) == ["QUANTIZE", *operators(inner), "QUANTIZE"]
    for edge in ("inputs", "outputs"):
        was, now = (m.subgraphs[0].tensors[getattr(m.subgraphs[0], edge)[0]] for m in (inner, outer))
        assert (type_name(was), type_name(now)) == ("int8", "uint8")
        assert now.name == was.name
        assert list(now.shape) == list(was.shape)
        assert np.array_equal(now.quantization.scale, was.quantization.scale)
        assert now.quantization.zeroPoint[0] == was.quantization.zeroPoint[0] + 128


def test_naming_again_changes_nothing(trained: "Network") -> None:
    content = trained.work.float_tflite.read_bytes()
    model = read_model(content)
    layers = [layer.name for layer in plan_layers(trained.spec)]
    for tensor in model.subgraphs[0].tensors:
        # As the converter writes them: scopes, and several operations fused into one.
        tensor.name = b"net/" + tensor.name.replace(b"/", b"_1/x/") + b"_1/convolution;net/add"
    name_tensors(model, layers, "probabilities")
    assert write_model(model) == content


def test_a_layer_is_not_taken_for_another_whose_name_begins_alike(untrained: "Network") -> None:
    # inverted_residual_1_project and inverted_residual_11_project, conv_1 and conv_10: told apart by their shapes.
    graph = read_model(untrained.work.float_tflite.read_bytes()).subgraphs[0]
    shapes = {tensor.name.decode(): list(tensor.shape) for tensor in graph.tensors}
    for layer in plan_layers(untrained.spec)[:-1]:
        # `pool` drops its two sides.
        assert shapes[layer.name][-1] == layer.channels
        if layer.kind != "pool":
            assert shapes[layer.name] == [1, layer.size_px, layer.size_px, layer.channels]
