"""Judging a target's outputs: right ones pass, wrong ones never do."""

import numpy as np
import pytest
from numpy.typing import NDArray

from device_bench.case import RunnerName
from device_bench.measuring.correctness import (
    OutputCheck,
    OutputLimit,
    compare_outputs,
    kernels_of,
    output_limit,
    score,
)
from device_bench.runners.runner import RunnerInfo
from export.contents import TensorInfo
from tests.device_bench.cases import make_case, make_model

BYTES = TensorInfo(name="probabilities", dtype="uint8", shape=(1, 10), scale=1 / 256, zero_point=0)
FLOATS = TensorInfo(name="probabilities", dtype="float32", shape=(1, 10))
LIMIT = OutputLimit(max_abs_error=2 / 256, reason="because")


def sure(count: int = 8) -> NDArray[np.uint8]:
    """Outputs in which class n has 200 of 256 steps for image n."""
    outputs = np.full((count, 10), 5, np.uint8)
    outputs[np.arange(count), np.arange(count) % 10] = 200
    return outputs


def judge(target: NDArray[np.generic], desktop: NDArray[np.generic], info: TensorInfo = BYTES) -> OutputCheck:
    return compare_outputs(target, desktop, info, LIMIT, "xnnpack")


def test_equal_outputs_pass() -> None:
    check = judge(sure(), sure())
    assert check.passed
    assert (check.max_abs_error, check.equal, check.top1_agreement, check.images) == (0.0, 1.0, 1.0, 8)


def test_a_step_more_or_less_passes_and_four_do_not() -> None:
    near, far = sure(), sure()
    near[3, 4] += 1
    far[3, 4] += 4
    assert judge(near, sure()).passed
    check = judge(far, sure())
    assert check.failure == "a probability differs by 0.0156 from the desktop's, allowed are 0.00781"


def test_another_class_fails_even_within_a_wide_limit() -> None:
    desktop = np.tile(np.array([[0.42, 0.20, 0.38]], np.float32), (4, 1))
    target = desktop.copy()
    target[2] = [0.37, 0.20, 0.43]
    wide = OutputLimit(max_abs_error=0.06, reason="because")
    assert compare_outputs(target, desktop, FLOATS, wide, "gpu").passed  # 0.04 apart: the desktop all but ties
    narrow = OutputLimit(max_abs_error=0.0501, reason="because")
    desktop[:, 0] += 0.08
    target = desktop.copy()
    target[2] = [0.45, 0.20, 0.43]
    assert compare_outputs(target, desktop, FLOATS, narrow, "gpu").passed
    target[2] = [0.30, 0.20, 0.43]
    assert not compare_outputs(target, desktop, FLOATS, OutputLimit(max_abs_error=0.03, reason=""), "gpu").passed


def test_a_class_that_flips_without_a_tie_is_named() -> None:
    desktop, target = sure(), sure()
    target[0, 0], target[0, 1] = 5, 200
    wide = OutputLimit(max_abs_error=0.8, reason="because")
    assert compare_outputs(target, desktop, BYTES, wide, "builtin").passed  # such a limit calls everything a tie
    check = compare_outputs(target, desktop, BYTES, OutputLimit(max_abs_error=0.3, reason=""), "builtin")
    assert not check.passed


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_fail(value: float) -> None:
    desktop = sure().astype(np.float32) / 256
    target = desktop.copy()
    target[1, 1] = value
    check = judge(target, desktop, FLOATS)
    assert not check.passed
    assert check.max_abs_error == np.inf
    assert OutputCheck.from_json(check.to_json()) == check


def test_shuffled_images_fail_for_every_limit_in_use() -> None:
    for precision in ("float32", "float16", "dynamic_range", "int8", "int8_npu", "int16x8"):
        for kernels in ("xnnpack", "builtin", "onnxruntime", "gpu"):
            limit = output_limit(precision, kernels)
            assert not compare_outputs(sure()[::-1], sure(), BYTES, limit, "xnnpack").passed
            assert limit.reason


def test_the_limit_is_tight_where_kernels_are_the_same() -> None:
    assert output_limit("int8", "xnnpack").max_abs_error < 3 / 256
    assert output_limit("int8", "builtin").max_abs_error == 0.1
    assert output_limit("int8_mixed", "xnnpack").max_abs_error == 0.1
    assert output_limit("float32", "xnnpack").max_abs_error == 1e-3
    assert output_limit("float16", "gpu").max_abs_error == 0.03


def info(name: RunnerName, *flags: str) -> RunnerInfo:
    return RunnerInfo(
        name=name,
        flavour="classic",
        path="/x",
        sha256=None,
        versions={},
        flags=flags,
        source="given",
    )


def test_a_native_runner_without_xnnpack_computes_with_builtin_kernels() -> None:
    assert kernels_of(make_case(), info("classic", "graph")) == "builtin"
    assert kernels_of(make_case(), info("classic", "graph", "use_xnnpack")) == "xnnpack"
    assert kernels_of(make_case("int16x8"), info("classic", "use_xnnpack")) == "builtin"
    assert kernels_of(make_case(delegate="gpu"), info("classic", "use_xnnpack")) == "gpu"
    assert kernels_of(make_case(runner="litert_python"), info("litert_python")) == "xnnpack"
    onnx = make_case(model=make_model("int8", format="onnx"), runner="onnxruntime")
    assert kernels_of(onnx, info("onnxruntime")) == "onnxruntime"


def test_accuracy_counts_right_answers_of_both() -> None:
    classes = np.arange(8, dtype=np.int64) % 10
    target = sure()
    target[0] = target[1]
    found = score(target, sure(), BYTES, classes)
    assert (found.images, found.top1, found.desktop_top1) == (8, 7 / 8, 1.0)
    assert found.top1_ci95 == pytest.approx((0.529, 0.978), abs=1e-3)
