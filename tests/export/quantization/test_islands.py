"""Float islands: exactly the operators asked for are float, and the file computes everywhere."""

from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.contents import Intended, contents_faults, read_contents
from export.float_layers import tflite_float_layers
from export.precision import PRECISIONS
from export.quantization.calibration import Calibration, calibrate
from export.quantization.islands import with_float_islands
from export.quantization.settings import DEFAULTS
from export.quantize import make_tflite
from export.tflite_file import builtin_name, read_model
from models.data import normalise
from models.errors import ConversionError
from models.spec import Preprocessing
from tests.export.quantization.graphs import LAYERS, random_pictures, small_network

EXACT = Preprocessing(mean=(128.0,) * 3, std=(128.0,) * 3)
NPU, MIXED = PRECISIONS["tflite", "int8_npu"], PRECISIONS["tflite", "int8_mixed"]


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibrate(small_network(), random_pictures(16), EXACT, DEFAULTS, lambda _: None)


@pytest.fixture(scope="module")
def int8(calibration: Calibration) -> bytes:
    return make_tflite(small_network(), NPU, calibration)


def run(content: bytes, inputs: NDArray[Any], *, builtin_only: bool = False) -> NDArray[np.float64]:
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin_only else OpResolverType.AUTO
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    rows = []
    for picture in inputs:
        interpreter.set_tensor(source["index"], picture[None])
        interpreter.invoke()
        rows.append(interpreter.get_tensor(target["index"])[0])
    scale, zero_point = target["quantization"]
    stored = np.stack(rows).astype(np.float64)
    return (stored - zero_point) * scale if scale else stored


def stored_bytes(pictures: NDArray[np.uint8]) -> NDArray[np.int8]:
    return (pictures.astype(np.int16) - 128).astype(np.int8)


@given(st.sets(st.sampled_from(LAYERS)))
@settings(max_examples=25, deadline=None)
def test_exactly_the_layers_asked_for_are_float(int8: bytes, layers: Collection[str]) -> None:
    model = read_model(with_float_islands(int8, small_network(), layers))
    floats, torn = tflite_float_layers(model)
    assert set(floats) == set(layers)
    assert torn == ()
    graph = model.subgraphs[0]
    used = {int(index) for operator in graph.operators for index in (*operator.inputs, *operator.outputs)}
    assert used | {int(graph.inputs[0])} == set(range(len(graph.tensors))), "a tensor that nothing uses"
    assert len({tensor.name for tensor in graph.tensors}) == len(graph.tensors), "two tensors of one name"


@given(st.sets(st.sampled_from(LAYERS), min_size=1))
@settings(max_examples=10, deadline=None)
def test_xnnpack_and_the_builtin_kernels_compute_the_same(int8: bytes, layers: Collection[str]) -> None:
    made, inputs = with_float_islands(int8, small_network(), layers), stored_bytes(random_pictures(6, seed=1))
    # Roundings differ by a step of 1/256 here and there.
    np.testing.assert_allclose(run(made, inputs), run(made, inputs, builtin_only=True), atol=3 / 256)


def test_all_layers_in_float_are_the_float_network(int8: bytes) -> None:
    pictures = random_pictures(12, seed=1)
    made = with_float_islands(int8, small_network(), LAYERS)
    wanted = run(small_network(), normalise(pictures, EXACT))
    np.testing.assert_allclose(run(made, stored_bytes(pictures)), wanted, atol=0.5 / 256 + 1e-4)
    assert wanted.std(axis=0).max() > 0.03, "answers that are all alike would agree with anything"


def test_no_layer_in_float_is_the_int8_network(int8: bytes) -> None:
    inputs = stored_bytes(random_pictures(6, seed=1))
    assert np.array_equal(run(with_float_islands(int8, small_network(), ()), inputs), run(int8, inputs))


def kinds(content: bytes) -> list[str]:
    model = read_model(content)
    return [builtin_name(model.operatorCodes[operator.opcodeIndex]) for operator in model.subgraphs[0].operators]


def test_neighbours_share_an_island_and_its_borders(int8: bytes) -> None:
    block = ("block_2_depthwise", "block_2_project", "block_2_add")
    made = kinds(with_float_islands(int8, small_network(), block))
    # The residual is read twice and converted once.
    assert (made.count("DEQUANTIZE"), made.count("QUANTIZE")) == (1, 1)
    apart = kinds(with_float_islands(int8, small_network(), ("stem", "block_2_depthwise")))
    assert (apart.count("DEQUANTIZE"), apart.count("QUANTIZE")) == (2, 2)


def test_what_stays_int8_keeps_its_scales(int8: bytes) -> None:
    def scales(content: bytes) -> dict[str, list[float]]:
        return {
            tensor.name.decode(): list(tensor.quantization.scale)
            for tensor in read_model(content).subgraphs[0].tensors
            if tensor.quantization is not None and tensor.quantization.scale is not None
        }

    before, after = scales(int8), scales(with_float_islands(int8, small_network(), LAYERS[1:3]))
    assert len(after) > 10
    assert after.items() <= before.items()


def test_a_layer_that_is_not_there_is_refused(int8: bytes) -> None:
    with pytest.raises(ConversionError) as refusal:
        with_float_islands(int8, small_network(), ["stem", "block_9"])
    assert str(refusal.value) == (
        "no operator of the int8 file gives 'block_9', which was to stay float; name another block"
    )


def test_a_mixed_file_of_other_blocks_than_chosen_is_found_out(calibration: Calibration, int8: bytes) -> None:
    made = read_contents(with_float_islands(int8, small_network(), LAYERS[:2]), MIXED)
    edges = ["its input is int8, not uint8", "its output is int8, not uint8"]
    assert contents_faults(made, MIXED, Intended(float_layers=frozenset(LAYERS[:2]))) == edges
    assert contents_faults(made, MIXED, Intended(float_layers=frozenset(LAYERS[1:4]))) == [
        "it computes stem in float, which should be int8",
        "it does not compute block_1_project and 1 more in float",
        *edges,
    ]
    plain = read_contents(make_tflite(small_network(), PRECISIONS["tflite", "int8"], calibration), MIXED)
    assert contents_faults(plain, MIXED) == ["no layer of it is float, so that it is int8 throughout"]


def test_a_mixed_file_needs_ranked_blocks(calibration: Calibration) -> None:
    with pytest.raises(ConversionError, match=r"^int8_mixed needs the blocks that stay float; calibrate with islands"):
        make_tflite(small_network(), MIXED, calibration)
