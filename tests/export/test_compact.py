"""Compact files: equal vectors stand in them once, and every runtime computes the same bytes as without sharing."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.compact import CONSTANT_ALIGNMENT_BYTES, CompactBuilder
from export.mediapipe_task import check_mediapipe, classify_pictures
from export.precision import PRECISIONS, Precision
from export.tflite_file import read_model, write_model
from models.errors import NotInstalledError
from models.worker import run_in_worker
from tests.export.loose import loosened

if TYPE_CHECKING:
    from tests.export.conftest import Network

TFLITE = pytest.mark.parametrize(
    "row", [row for row in PRECISIONS.values() if row.format == "tflite"], ids=lambda row: row.name
)
KERNELS = (OpResolverType.AUTO, OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)


def answers(content: bytes, kernels: OpResolverType) -> bytes:
    """What LiteRT computes of ten inputs that span the whole type."""
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=kernels, num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    rng, found = np.random.default_rng(0), b""
    for _ in range(10):
        picture = rng.integers(0, 256, source["shape"])
        stored = picture / 127.5 - 1 if source["dtype"] == np.float32 else picture - 128 * (source["dtype"] != np.uint8)
        interpreter.set_tensor(source["index"], stored.astype(source["dtype"]))
        interpreter.invoke()
        found += interpreter.get_tensor(target["index"]).tobytes()
    return found


@TFLITE
def test_litert_computes_the_same_bytes_with_xnnpack_and_without(
    row: Precision, trained: "Network", untrained: "Network"
) -> None:
    for network in (trained, untrained):
        compact = network.work.made(row).read_bytes()
        loose = loosened(compact)
        assert len(loose) > len(compact)
        for kernels in KERNELS:
            first = answers(loose, kernels)
            assert first == answers(compact, kernels)
            assert len(set(first)) > 1


@pytest.mark.parametrize("name", ["float32", "float16", "dynamic_range", "int8"])
def test_mediapipe_gives_the_same_scores(name: str, untrained: "Network", tmp_path: Path) -> None:
    try:
        run_in_worker(check_mediapipe)
    except NotInstalledError as error:
        pytest.skip(str(error))
    compact, loose = untrained.work.made(PRECISIONS["tflite", name]), tmp_path / "loose.tflite"
    loose.write_bytes(loosened(compact.read_bytes()))
    np.save(tmp_path / "pictures.npy", np.load(untrained.work.test_pixels)[:5])
    scores = [run_in_worker(classify_pictures, path, 10, tmp_path / "pictures.npy") for path in (compact, loose)]
    np.testing.assert_array_equal(*scores)
    assert scores[0].max() > 0


@pytest.mark.parametrize("name", ["int8", "int8_npu"])
def test_sharing_saves_a_seventh_of_a_small_network(name: str, untrained: "Network") -> None:
    content = untrained.work.made(PRECISIONS["tflite", name]).read_bytes()
    assert len(content) < 6 / 7 * len(loosened(content))


@TFLITE
def test_nothing_is_in_a_file_that_nobody_reads(row: Precision, trained: "Network", untrained: "Network") -> None:
    for network in (trained, untrained):
        model = read_model(network.work.made(row).read_bytes())
        (graph,) = model.subgraphs
        read = {int(i) for o in graph.operators for i in [*o.inputs, *o.outputs]} | {int(i) for i in graph.inputs}
        assert set(range(len(graph.tensors))) == read - {-1}
        named = {tensor.buffer for tensor in graph.tensors} | {entry.buffer for entry in model.metadata}
        filled = {n for n, buffer in enumerate(model.buffers) if buffer.data is not None and len(buffer.data)}
        assert filled <= named
        assert {operator.opcodeIndex for operator in graph.operators} == set(range(len(model.operatorCodes)))
        for tensor in graph.tensors:
            quantization = tensor.quantization
            assert quantization is None or (quantization.min is None and quantization.max is None)


Vectors = st.lists(
    st.tuples(st.sampled_from(["<i4", "<i8", "<f4", "|u1"]), st.lists(st.integers(0, 3), min_size=1, max_size=4)),
    max_size=12,
)


def model_of(vectors: list[NDArray[Any]]) -> Any:
    """A file with a constant, a scale vector and a shape for each of the arrays."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    model.version, model.subgraphs, model.buffers, graph.tensors = 3, [graph], [], []
    for number, values in enumerate(vectors):
        buffer, tensor = read_model(write_model(_one_buffer(values))).buffers[0], schema.TensorT()
        tensor.buffer, tensor.name, tensor.quantization = number, b"same", schema.QuantizationParametersT()
        tensor.shape, tensor.quantization.scale = values.astype("<i4"), values.astype("<f4")
        tensor.quantization.zeroPoint = values.astype("<i8")
        model.buffers.append(buffer)
        graph.tensors.append(tensor)
    return model


def _one_buffer(values: NDArray[Any]) -> Any:
    model, buffer = schema.ModelT(), schema.BufferT()
    buffer.data, model.buffers, model.subgraphs = values.view(np.uint8), [buffer], []
    return model


@settings(deadline=None)
@given(Vectors)
def test_what_is_written_is_read_again_whatever_is_equal_in_it(found: list[tuple[str, list[int]]]) -> None:
    vectors = [np.array(values, dtype) for dtype, values in found]
    content = write_model(model_of(vectors))
    assert content == write_model(read_model(content))
    for values, buffer, tensor in zip(
        vectors, read_model(content).buffers, read_model(content).subgraphs[0].tensors, strict=True
    ):
        assert buffer.data.tobytes() == values.tobytes()
        assert tensor.shape.tolist() == tensor.quantization.zeroPoint.tolist() == values.tolist()
        assert tensor.quantization.scale.tolist() == values.tolist()
        assert tensor.name == b"same"


def test_constants_that_nobody_reads_are_left_out_and_the_others_keep_their_values() -> None:
    model = model_of([np.full(n, n, np.uint8) for n in range(1, 6)])
    del model.subgraphs[0].tensors[2]
    entry = schema.MetadataT()
    entry.name, entry.buffer = b"note", 4
    del model.subgraphs[0].tensors[3]
    model.metadata = [entry]
    read = read_model(write_model(model))
    assert [buffer.data.tolist() for buffer in read.buffers] == [[1], [2, 2], [4] * 4, [5] * 5]
    assert [tensor.buffer for tensor in read.subgraphs[0].tensors] == [0, 1, 2]
    assert read.metadata[0].buffer == 3


def test_equal_vectors_of_one_type_share_a_place_and_others_do_not() -> None:
    builder = CompactBuilder(64)
    zeros = builder.CreateNumpyVector(np.zeros(4, np.int64))
    assert builder.CreateNumpyVector(np.zeros(4, np.int64)) == zeros
    # The same bytes, but the length counts elements.
    others = [
        builder.CreateNumpyVector(np.zeros(n, dtype)) for n, dtype in ((3, np.int64), (8, np.int32), (4, np.int32))
    ]
    assert len({zeros, *others}) == 4
    assert builder.CreateString("pool") == builder.CreateString(b"pool") != builder.CreateString("pools")


def test_constants_share_a_place_that_is_aligned_and_is_no_other_vectors() -> None:
    builder = CompactBuilder(64)
    data = np.arange(5, dtype=np.uint8)
    plain, first = builder.CreateNumpyVector(data), builder.constant(data)
    assert builder.constant(data.copy()) == first != plain
    # Offsets count from the end, which is aligned when the file is finished.
    assert (first - 4) % CONSTANT_ALIGNMENT_BYTES == 0
    assert isinstance(builder, flatbuffers.Builder)
