"""The table of precisions, and choosing from it."""

import pytest

from export.precision import FORMATS, PRECISIONS, Precision, for_random_weights, select_precisions
from export.quantize import RECIPES
from models.errors import UnknownNameError

ROWS = pytest.mark.parametrize("row", PRECISIONS.values(), ids=lambda row: f"{row.format}-{row.name}")


def names(rows: tuple[Precision, ...]) -> list[tuple[str, str]]:
    return [(row.format, row.name) for row in rows]


def test_without_a_wish_all_precisions_but_int16x8_are_made() -> None:
    tflite = ["float32", "float16", "dynamic_range", "int8", "int8_npu"]
    expected = [*(("tflite", name) for name in tflite), *(("onnx", name) for name in ("float32", "float16", "int8"))]
    assert names(select_precisions(None, None)) == expected


def test_int16x8_is_made_on_request() -> None:
    assert names(select_precisions(["int16x8"], None)) == [("tflite", "int16x8")]


@ROWS
def test_every_row_can_be_chosen_alone(row: Precision) -> None:
    assert select_precisions([row.name], [row.format]) == (row,)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_alone_chooses_its_default_rows(name: str) -> None:
    chosen = select_precisions(None, [name])
    assert chosen == tuple(row for row in PRECISIONS.values() if row.format == name and row.default)
    assert chosen


def test_a_precision_alone_is_chosen_in_every_format_that_has_it() -> None:
    assert names(select_precisions(["int8"], None)) == [("tflite", "int8"), ("onnx", "int8")]


def test_the_order_of_the_wishes_and_repetitions_do_not_matter() -> None:
    forth = select_precisions(["int8", "float32", "int8"], ["onnx", "tflite"])
    assert forth == select_precisions(["float32", "int8"], ["tflite", "onnx", "tflite"])
    assert names(forth) == [("tflite", "float32"), ("tflite", "int8"), ("onnx", "float32"), ("onnx", "int8")]


def test_empty_wishes_are_no_wishes() -> None:
    assert select_precisions([], []) == select_precisions(None, None)


def test_an_unknown_precision_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UnknownNameError) as refusal:
        select_precisions(["float32", "int9"], None)
    message = str(refusal.value)
    assert message.startswith("unknown precision 'int9'; did you mean int8")
    assert message.endswith("formats: tflite, onnx")


def test_a_precision_that_only_another_format_has_is_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown precision 'int8_npu'; did you mean int8.*formats: onnx$"):
        select_precisions(["int8_npu"], ["onnx"])


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown format 'coreml'; known: onnx, tflite"):
        select_precisions(None, ["coreml"])


@ROWS
def test_integer_activations_need_calibration_and_float_ones_do_not(row: Precision) -> None:
    assert row.calibrated == row.activation_dtype.startswith(("int", "uint"))


@ROWS
def test_every_limit_comes_with_its_reason(row: Precision) -> None:
    assert len(row.limits.reason.split()) > 10
    limits = row.limits
    bounds = (limits.max_abs_error, limits.max_mean_error, limits.max_top1_drop, limits.max_builtin_error)
    assert (limits.max_abs_error, limits.max_mean_error) != (None, None), "probabilities themselves are compared"
    assert all(bound is None or 0 < bound < 1 for bound in bounds)
    assert row.limits.max_top1_drop is not None
    assert row.limits.min_top1_agreement is not None
    assert row.limits.min_top1_agreement > 0.9


def test_8_bits_may_lose_six_tenths_of_a_point_and_no_more() -> None:
    drops = {row.limits.max_top1_drop for row in PRECISIONS.values() if row.activation_dtype == "int8"}
    assert drops == {0.006}


@ROWS
def test_only_quantized_files_have_quantized_edges(row: Precision) -> None:
    if row.format == "onnx" or not row.calibrated:
        assert (row.input_dtype, row.output_dtype) == ("float32", "float32")
    else:
        assert row.input_dtype in (row.activation_dtype, "uint8")
        assert row.output_dtype == row.input_dtype


def test_every_tflite_row_but_the_source_has_a_recipe() -> None:
    assert set(RECIPES) == {name for format_, name in PRECISIONS if format_ == "tflite"} - {"float32"}


@ROWS
def test_random_weights_have_no_accuracy_to_lose_and_thrice_the_room(row: Precision) -> None:
    relaxed = for_random_weights(row.limits)
    assert (relaxed.min_top1_agreement, relaxed.max_top1_drop) == (None, None)
    for name in ("max_abs_error", "max_mean_error", "max_builtin_error"):
        before, after = getattr(row.limits, name), getattr(relaxed, name)
        assert after == (None if before is None else 3 * before)
    assert relaxed.reason.endswith(row.limits.reason)
