"""What a budget cannot be combined with, and what is made in the end."""

from dataclasses import replace

import pytest

from export.budget.rungs import FIRST
from export.budget.wanted import check_budget, may_mix, with_islands
from export.precision import PRECISIONS, select_precisions
from models.errors import UsageError

DEFAULT = select_precisions(None, None)


@pytest.mark.parametrize(
    ("words", "names", "weights", "message"),
    [
        ("mse", None, "auto", r"^--max-drop chooses the levers itself; leave --quantization out$"),
        ("", None, "random", r"^--max-drop: random weights have no accuracy to lose; train the network first$"),
        ("", ["float32", "dynamic_range"], "auto", r"^--max-drop is about int8 files, of which none is asked for; "),
        ("", ["int16x8"], "auto", r"^--max-drop is about int8 files, of which none is asked for; "),
    ],
)
def test_what_makes_no_sense_with_a_budget_is_refused(
    words: str, names: list[str] | None, weights: str, message: str
) -> None:
    precisions = select_precisions(names, ["tflite"])
    check_budget(None, words, precisions, weights, allow_qat=False, own=False)
    with pytest.raises(UsageError, match=message):
        check_budget(0.01, words, precisions, weights, allow_qat=False, own=False)


@pytest.mark.parametrize(
    ("max_drop", "weights", "own", "message"),
    [
        (None, "auto", False, r"^--allow-qat is about how --max-drop may be met; name the points with --max-drop$"),
        (0.01, "imagenet", False, r"^--allow-qat is for networks of the zoo that were trained on the data set; "),
        (0.01, "auto", True, r"^--allow-qat is for networks of the zoo that were trained on the data set; "),
    ],
)
def test_training_for_int8_is_refused_where_it_cannot_be(
    max_drop: float | None, weights: str, own: bool, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        check_budget(max_drop, "", DEFAULT, weights, allow_qat=True, own=own)
    check_budget(0.01, "", DEFAULT, "auto", allow_qat=True, own=False)


def test_files_with_islands_stand_for_those_without_only_if_they_were_taken() -> None:
    assert with_islands(DEFAULT, FIRST) == DEFAULT
    mixed = with_islands(DEFAULT, replace(FIRST, precision="int8_mixed"))
    assert [(p.format, p.name) for p in mixed] == [
        ("tflite", "float32"), ("tflite", "float16"), ("tflite", "dynamic_range"), ("tflite", "int8_mixed"),
        ("onnx", "float32"), ("onnx", "float16"), ("onnx", "int8_mixed"),
    ]  # fmt: skip


def test_an_npu_gets_no_islands() -> None:
    assert may_mix(DEFAULT)
    assert not may_mix([PRECISIONS["tflite", "int8_npu"], PRECISIONS["tflite", "float32"]])
