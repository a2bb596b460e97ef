"""Ranges that keep sums, means and hard-swishes clear of halves."""

from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from hypothesis import given, settings
from hypothesis import strategies as st

from export.quantization.halves import clear_of_halves, litert_hard_swish, stored_levels, with_hard_swishes
from export.quantization.ranges import file_ranges
from export.quantization.settings import parse_settings
from export.quantization.steps import scale_and_zero_point
from export.tflite_file import read_model, write_model
from tests.export.quantization.test_ranges import observed

LEVELS = np.arange(256)


def network(kind: str, int8: tuple[tuple[float, int], ...] = ()) -> bytes:
    """One operator, `ADD` of `a` and `b` or `HARD_SWISH` of `a`, to `y`: 256 values; float, or with these scales."""
    model, graph = schema.ModelT(), schema.SubGraphT()
    code, operator = schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, kind)
    code.version = 1
    model.version, model.operatorCodes, model.subgraphs, model.buffers = 3, [code], [graph], [schema.BufferT()]
    graph.tensors = []
    for row, name in enumerate(("a", "y") if kind == "HARD_SWISH" else ("a", "b", "y")):
        tensor: Any = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), [1, 16, 16, 1], schema.TensorType.FLOAT32
        if int8:
            tensor.type, tensor.quantization = schema.TensorType.INT8, schema.QuantizationParametersT()
            tensor.quantization.scale, tensor.quantization.zeroPoint = [int8[row][0]], [int8[row][1]]
        graph.tensors.append(tensor)
    last = len(graph.tensors) - 1
    operator.inputs, operator.outputs = list(range(last)), [last]
    if kind == "ADD":
        operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.AddOptions, schema.AddOptionsT()
    graph.inputs, graph.outputs, graph.operators = operator.inputs, operator.outputs, [operator]
    return write_model(read_model(write_model(model)))


def steps_of(interval: tuple[float, float]) -> tuple[float, int]:
    scale = float(np.float32(interval[1] - interval[0]) / np.float32(255))
    return scale, int(np.rint(-interval[0] / scale))


@pytest.mark.parametrize("builtin_only", [False, True])
@given(
    scale=st.floats(0.004, 0.6), zero_point=st.integers(-128, 100), width=st.floats(0.4, 1.2), seed=st.integers(0, 999)
)
@settings(max_examples=25, deadline=None)
def test_hard_swish_is_that_of_litert(
    builtin_only: bool, scale: float, zero_point: int, width: float, seed: int
) -> None:
    scale = float(np.float32(scale))
    output_scale = float(np.float32(width * scale))
    content = network("HARD_SWISH", ((scale, zero_point), (output_scale, -100)))
    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin_only else OpResolverType.AUTO
    interpreter = Interpreter(model_content=content, num_threads=1, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    numbers = np.random.default_rng(seed).permutation(LEVELS) - 128
    interpreter.set_tensor(0, numbers.astype(np.int8).reshape(1, 16, 16, 1))
    interpreter.invoke()
    wanted = np.clip(litert_hard_swish(numbers - zero_point, scale, output_scale) - 100, -128, 127)
    assert np.array_equal(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]).ravel(), wanted)


def loads(ranges: dict[str, tuple[float, float]]) -> bool:
    """Whether LiteRT takes a hard-swish with these ranges, with XNNPACK and without."""
    stored = [scale_and_zero_point(*ranges[name]) for name in "ay"]
    content = network("HARD_SWISH", tuple((float(scale), int(zero_point)) for scale, zero_point in stored))
    try:
        for resolver in (OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES, OpResolverType.AUTO):
            Interpreter(model_content=content, experimental_op_resolver_type=resolver).allocate_tensors()
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("words", ["mse", "min-max", "percentile", "entropy"])
@pytest.mark.parametrize("top", [-3.0, -2.99, 0.01, 2.0])
def test_a_hard_swish_that_gives_next_to_nothing_can_be_computed(words: str, top: float) -> None:
    a = np.linspace(-500, top, 4096)
    seen = {"a": observed(a), "y": observed(a * np.clip(a + 3, 0, 6) / 6)}
    assert loads(file_ranges(network("HARD_SWISH"), seen, parse_settings(words)))


@given(low=st.floats(-1e6, 0), high=st.floats(0, 1e6), width=st.floats(1e-4, 1e6))
@settings(max_examples=50, deadline=None)
def test_only_a_hard_swish_too_narrow_beside_its_input_is_made_wider(low: float, high: float, width: float) -> None:
    given_ranges = {"a": (low, max(high, low + 1e-4)), "y": (-0.375, width)}
    found = with_hard_swishes(network("HARD_SWISH"), given_ranges)
    assert loads(found)
    assert found == given_ranges or not loads({**given_ranges, "y": (-0.375, found["y"][1] * 0.99 - 0.01)})


def test_sums_no_longer_lie_half_way_between_two_steps() -> None:
    a, b = LEVELS / 255, LEVELS / 255
    # One step of the output is two of each input: half of the pairs lie between two steps.
    ranges = {"a": (0.0, 1.0), "b": (0.0, 1.0), "y": (0.0, 2.0)}
    seen = {"a": observed(a), "b": observed(b), "y": observed(a + b)}
    found = clear_of_halves(network("ADD"), ranges, seen)

    def halves(interval: tuple[float, float]) -> float:
        sums = np.add.outer(a, b) / steps_of(interval)[0]
        return float(np.mean(np.abs(sums - np.floor(sums) - 0.5) < 1e-5))

    assert halves(ranges["y"]) > 0.3
    assert halves(found["y"]) < 0.001
    assert found["y"][0] == 0
    assert 2.0 < found["y"][1] <= 2.0 * 1.032
    assert (found["a"], found["b"]) == (ranges["a"], ranges["b"])


def mean_of(shape: tuple[int, ...]) -> bytes:
    """A float file that takes the mean of `a`, NHWC, over its positions, to `y`."""
    model = read_model(network("ADD"))
    graph = model.subgraphs[0]
    model.operatorCodes[0].builtinCode = model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.MEAN
    a, axes, y = graph.tensors
    a.shape, y.shape = list(shape), [shape[0], shape[3]]
    axes.name, axes.shape, axes.type, axes.buffer = b"axes", [2], schema.TensorType.INT32, len(model.buffers)
    constant = schema.BufferT()
    constant.data = np.frombuffer(np.array([1, 2], np.int32).tobytes(), np.uint8)
    model.buffers.append(constant)
    operator = graph.operators[0]
    operator.builtinOptionsType, operator.builtinOptions = (
        schema.BuiltinOptions.ReducerOptions,
        schema.ReducerOptionsT(),
    )
    graph.inputs = [0]
    return write_model(model)


@pytest.mark.parametrize("side", [2, 4, 7, 14])
def test_means_no_longer_lie_half_way_between_two_steps(side: int) -> None:
    means = np.linspace(0, 0.5, 4000)
    # One step of the output is half of one of the input: of four values every fourth mean is a half, of 49 none is.
    ranges = {"a": (0.0, 1.0), "y": (0.0, 0.5)}
    seen = {"a": observed(LEVELS / 255), "y": observed(means)}
    found = clear_of_halves(mean_of((1, side, side, 8)), ranges, seen)
    possible = np.arange(255 * side**2 // 2) / 255 / side**2

    def near(interval: tuple[float, float]) -> float:
        steps = possible / steps_of(interval)[0]
        return float(np.mean(np.abs(steps - np.floor(steps) - 0.5) < 1e-5))

    if side % 2 == 0:
        assert near(ranges["y"]) > 0.001
    assert near(found["y"]) == 0
    assert 0.5 <= found["y"][1] <= 0.5 * 1.032
    assert found["a"] == ranges["a"]


def test_means_of_more_values_than_can_be_told_apart_keep_their_range() -> None:
    ranges = {"a": (0.0, 1.0), "y": (0.0, 0.5)}
    seen = {"a": observed(LEVELS / 255), "y": observed(np.linspace(0, 0.5, 4000))}
    assert clear_of_halves(mean_of((1, 112, 112, 1)), ranges, seen) == ranges


@pytest.mark.parametrize("greatest", [2.0, 4.0, 9.0])
def test_hard_swishes_come_out_in_litert_as_in_exact_arithmetic(greatest: float) -> None:
    values = np.linspace(-greatest / 2, greatest, 4000)
    exact = values * np.clip(values + 3, 0, 6) / 6
    seen = {"a": observed(values), "y": observed(exact)}
    ranges = {name: (one.least, one.greatest) for name, one in seen.items()}
    found = clear_of_halves(network("HARD_SWISH"), ranges, seen)
    (scale, zero_point), (output_scale, _) = steps_of(found["a"]), steps_of(found["y"])
    inputs = (LEVELS - zero_point) * scale
    wanted = np.rint(inputs * np.clip(inputs + 3, 0, 6) / 6 / output_scale)
    assert np.array_equal(litert_hard_swish(LEVELS - zero_point, scale, output_scale), wanted)
    assert 1 <= found["y"][1] / ranges["y"][1] <= 1.032
    # Both ends by the same, so that the zero point stays.
    assert found["y"][0] / ranges["y"][0] == pytest.approx(found["y"][1] / ranges["y"][1])


def test_what_was_not_observed_keeps_its_range() -> None:
    ranges = {"a": (0.0, 1.0), "b": (0.0, 1.0), "y": (0.0, 2.0)}
    assert clear_of_halves(network("ADD"), ranges, {"a": observed(LEVELS / 255)}) == ranges


def test_levels_hold_the_share_of_what_was_seen() -> None:
    levels, shares = stored_levels(
        (-1.0, 1.55), observed(np.concatenate([np.full(300, 1.0), np.full(100, -1.0)])).histogram
    )
    assert levels[0] == pytest.approx(-1)
    assert levels[255] == pytest.approx(1.55)
    assert np.count_nonzero(levels == 0) == 1
    assert shares.sum() == pytest.approx(1)
    assert shares[levels > 0.9].sum() == pytest.approx(3 * shares[levels < -0.9].sum(), rel=0.3)
