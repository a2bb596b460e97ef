"""Verification in the runtime that apps use: what passes, what fails, and what a crash does."""

import math
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.artifact import Verification
from export.contents import TensorInfo
from export.precision import PRECISIONS, Limits, Precision
from export.stages import verify_stage
from export.tflite_file import read_model, type_name, write_model
from export.verify import load_onnx, load_tflite, paired_interval, to_input, to_probabilities, verify_artifact
from export.work import WorkFiles
from models.errors import VerificationError, WorkerError
from models.spec import MINUS_ONE_TO_ONE
from models.worker import Progress, Task, run_in_workers

if TYPE_CHECKING:
    from tests.export.conftest import Network

ROWS = pytest.mark.parametrize("row", PRECISIONS.values(), ids=lambda row: f"{row.format}-{row.name}")
ONE_PER_RUNTIME = pytest.mark.parametrize(
    "row", [PRECISIONS["tflite", "int8"], PRECISIONS["onnx", "int8"]], ids=lambda row: row.format
)
FLOAT32 = PRECISIONS["tflite", "float32"]
outcomes = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@pytest.fixture
def work(trained: "Network", tmp_path: Path) -> WorkFiles:
    """Pictures and reference of the trained network, without any made file."""
    work = WorkFiles(tmp_path)
    for name in ("test_pixels", "test_classes", "reference"):
        getattr(work, name).symlink_to(getattr(trained.work, name))
    for path in trained.work.folder.glob(f"{work.calibration.name}*"):
        (tmp_path / path.name).symlink_to(path)
    return work


def verify(
    network: "Network", row: Precision, content: bytes, work: WorkFiles, limits: Limits | None = None
) -> Verification:
    work.made(row).write_bytes(content)
    return verify_artifact(lambda _: None, work.made(row), row, limits or row.limits, network.spec.preprocessing, work)


def failed(verdict: Verification) -> set[str]:
    return {check.name for check in verdict.checks if not check.passed}


def columns(pairs: list[tuple[bool, bool]]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    table = np.array(pairs, dtype=bool)
    return table[:, 0], table[:, 1]


def with_flipped_kernels(row: Precision, content: bytes) -> bytes:
    """The file with every kernel turned upside down and left to right: still a network of the same kind and types."""
    if row.format == "onnx":
        model = onnx.load_from_string(content)
        for tensor in model.graph.initializer:
            if len(tensor.dims) == 4:
                values = onnx.numpy_helper.to_array(tensor)
                tensor.CopyFrom(onnx.numpy_helper.from_array(np.flip(values, (1, 2, 3)).copy(), tensor.name))
        return bytes(model.SerializeToString())
    model = read_model(content)
    for tensor in model.subgraphs[0].tensors:
        data = model.buffers[tensor.buffer].data
        if data is not None and len(tensor.shape) == 4:
            values = np.asarray(data).view(type_name(tensor)).reshape(tensor.shape)
            model.buffers[tensor.buffer].data = np.flip(values).copy().view(np.uint8).ravel()
    return write_model(model)


# The interval


@given(outcomes)
def test_the_interval_holds_the_drop_and_stays_within_one(pairs: list[tuple[bool, bool]]) -> None:
    reference, other = columns(pairs)
    low, high = paired_interval(reference, other)
    assert -1 <= low < high <= 1
    # Adding one disagreement each way draws the middle towards zero, never beyond.
    drop = reference.mean() - other.mean()
    middle = drop * len(pairs) / (len(pairs) + 2)
    assert low <= middle <= high


@given(outcomes)
def test_the_interval_of_the_exchanged_classifiers_is_the_mirror_image(pairs: list[tuple[bool, bool]]) -> None:
    reference, other = columns(pairs)
    low, high = paired_interval(reference, other)
    assert paired_interval(other, reference) == pytest.approx((-high, -low))


@given(outcomes)
def test_only_disagreements_count(pairs: list[tuple[bool, bool]]) -> None:
    swapped = [(not a, not b) if a == b else (a, b) for a, b in pairs]
    assert paired_interval(*columns(pairs)) == paired_interval(*columns(swapped))


@pytest.mark.parametrize("count", [1, 10, 359, 10_000])
def test_without_any_disagreement_the_interval_is_not_empty_and_narrows_with_the_images(count: int) -> None:
    right = np.ones(count, dtype=bool)
    low, high = paired_interval(right, right)
    assert low == -high
    assert high > 1 / count / 2
    assert high < 3 / count or count < 5


def test_the_interval_is_that_of_the_published_formula() -> None:
    # Worked by hand for n = 100, 8 lost and 2 won: p = 9/102 and 3/102, half width 1.959964 sqrt(0.11419 / 102).
    reference = np.array([True] * 98 + [False] * 2)
    other = np.array([False] * 8 + [True] * 92)
    low, high = paired_interval(reference, other)
    half = 1.959964 * math.sqrt((12 / 102 - (6 / 102) ** 2) / 102)
    assert (low, high) == pytest.approx((6 / 102 - half, 6 / 102 + half))


@pytest.mark.parametrize("count", [100, 359])
@pytest.mark.parametrize(
    ("lost", "won"), [(0.0, 0.0), (0.01, 0.01), (0.02, 0.0), (0.02, 0.01), (0.05, 0.05), (0.1, 0.02), (0.3, 0.1)]
)
def test_the_interval_covers_the_truth_in_95_of_100_cases(count: int, lost: float, won: float) -> None:
    covered = 0.0
    for losses in range(count + 1):
        for wins in range(count + 1 - losses):
            chance = _trinomial(count, losses, wins, lost, won)
            if chance < 1e-9:
                continue
            reference, other = np.ones(count, dtype=bool), np.ones(count, dtype=bool)
            other[:losses] = False
            reference[losses : losses + wins] = False
            low, high = paired_interval(reference, other)
            covered += chance * (low <= lost - won <= high)
    assert covered >= 0.94


def _trinomial(count: int, losses: int, wins: int, lost: float, won: float) -> float:
    same = count - losses - wins
    if (losses and not lost) or (wins and not won):
        return 0.0
    log = math.lgamma(count + 1) - sum(math.lgamma(n + 1) for n in (losses, wins, same))
    for number, share in ((losses, lost), (wins, won), (same, 1 - lost - won)):
        log += number * math.log(share) if number else 0.0
    return math.exp(log)


# What goes in and what comes out


def test_every_input_type_receives_the_same_picture() -> None:
    pixels = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    real = (pixels.astype(np.float64) - 127.5) / 127.5

    def fed(dtype: str, scale: float | None = None, zero_point: int | None = None) -> NDArray[Any]:
        info = TensorInfo(name="image", dtype=dtype, shape=(1, 16, 16, 3), scale=scale, zero_point=zero_point)
        stored = to_input(pixels, info, MINUS_ONE_TO_ONE)
        assert stored.dtype == dtype
        return stored

    assert np.array_equal(fed("uint8", 1 / 127.5, 128), pixels)
    assert np.array_equal(fed("int8", 1 / 127.5, 0), pixels.astype(int) - 128)
    np.testing.assert_allclose(fed("float32"), real, atol=1e-6)
    np.testing.assert_allclose(fed("int16", 1 / 32767, 0) / 32767, real, atol=1 / 32767)


def test_an_input_beyond_the_range_of_its_type_is_cut_and_does_not_wrap() -> None:
    info = TensorInfo(name="image", dtype="int16", shape=(1, 1, 1, 3), scale=1 / 40_000, zero_point=0)
    pixels = np.array([[[[0, 128, 255]]]], np.uint8)
    assert to_input(pixels, info, MINUS_ONE_TO_ONE).ravel().tolist() == [-32768, 157, 32767]


def test_stored_outputs_become_probabilities() -> None:
    info = TensorInfo(name="probabilities", dtype="uint8", shape=(1, 3), scale=1 / 256, zero_point=0)
    assert to_probabilities(np.array([[0, 64, 192]], np.uint8), info).tolist() == [[0, 0.25, 0.75]]
    info = TensorInfo(name="probabilities", dtype="int8", shape=(1, 3), scale=1 / 256, zero_point=-128)
    assert to_probabilities(np.array([[-128, -64, 64]], np.int8), info).tolist() == [[0, 0.25, 0.75]]


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=10), st.floats(-1e4, 1e4))
def test_logits_become_probabilities_whatever_their_size(logits: list[float], shift: float) -> None:
    info = TensorInfo(name="logits", dtype="float32", shape=(1, len(logits)))
    values = np.array([logits])
    probabilities = to_probabilities(values, info)
    assert probabilities.sum() == pytest.approx(1)
    assert probabilities[0, values.argmax()] == probabilities.max()
    np.testing.assert_allclose(to_probabilities(values + shift, info), probabilities, atol=1e-6)


# The verdict


@ROWS
def test_what_the_file_achieves_is_measured_on_the_whole_test_split(row: Precision, trained: "Network") -> None:
    seen: list[Progress] = []
    verdict = verify_artifact(
        seen.append, trained.work.made(row), row, row.limits, trained.spec.preprocessing, trained.work
    )
    classes, reference = np.load(trained.work.test_classes), np.load(trained.work.reference)
    assert verdict.images == len(classes) == 359
    assert [p.done for p in seen] == list(range(1, seen[-1].total + 1))
    assert verdict.top1 == pytest.approx(np.mean(reference.argmax(axis=1) == classes) - verdict.top1_drop)
    low, high = verdict.top1_drop_ci95
    assert low < verdict.top1_drop < high
    assert verdict.reason == row.limits.reason
    assert (verdict.builtin_error is None) == (row.format == "onnx")
    assert failed(verdict) <= {"max_abs_error", "top1_agreement", "top1_drop", "builtin_error"}
    limits = {
        "float32": (1.0, 1e-4), "float16": (0.99, 0.05), "int16x8": (0.98, 0.3),
    }.get(row.name, (0.97, 1.0))  # fmt: skip
    assert verdict.top1_agreement >= limits[0]
    assert verdict.max_abs_error is not None
    assert verdict.max_abs_error <= limits[1]
    # Rounding loses a picture or two of 359 by chance, but never so many that the loss is certain.
    assert low <= 0.006


@pytest.mark.parametrize("format_", ["tflite", "onnx"])
def test_float32_passes(format_: str, trained: "Network") -> None:
    row = PRECISIONS[format_, "float32"]  # type: ignore[index]
    verdict = verify_artifact(
        lambda _: None, trained.work.made(row), row, row.limits, trained.spec.preprocessing, trained.work
    )
    assert verdict.passed
    assert verdict.top1_agreement == 1
    assert verdict.top1_drop == 0


@ROWS
def test_spoiled_weights_fail_although_the_file_is_well_formed(
    row: Precision, trained: "Network", work: WorkFiles
) -> None:
    verdict = verify(trained, row, with_flipped_kernels(row, trained.work.made(row).read_bytes()), work)
    assert not verdict.passed
    assert failed(verdict) >= {"top1_agreement", "top1_drop"}
    assert "contents" not in failed(verdict)
    assert "finite" not in failed(verdict)
    assert verdict.top1_drop_ci95[0] > 0.1


def test_a_float_file_called_int8_fails_although_it_is_more_accurate(trained: "Network", work: WorkFiles) -> None:
    for format_ in ("tflite", "onnx"):
        claim = PRECISIONS[format_, "int8"]
        truth = PRECISIONS[format_, "float32"]
        verdict = verify(trained, claim, trained.work.made(truth).read_bytes(), work)
        assert failed(verdict) == {"contents"}
        detail = next(check.detail for check in verdict.checks if check.name == "contents")
        assert "only 0.0% of its weights are int8, it has {'float32': 210160}" in detail


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        ("max_abs_error", 1e-9),
        ("max_mean_error", 1e-10),
        ("min_top1_agreement", 1.1),
        ("max_top1_drop", -0.5),
        ("max_builtin_error", -1e-9),
    ],
)
def test_every_limit_is_enforced_and_none_is_not(limit: str, value: float, trained: "Network", work: WorkFiles) -> None:
    none = dict.fromkeys(field.name for field in fields(Limits) if field.name != "reason")
    content = trained.work.made(FLOAT32).read_bytes()
    unlimited = verify(trained, FLOAT32, content, work, Limits(**none, reason="none"))
    assert unlimited.passed
    assert {check.name for check in unlimited.checks} == {"contents", "finite"}
    limited = verify(trained, FLOAT32, content, work, Limits(**{**none, limit: value}, reason="one"))
    name = limit.removeprefix("max_").removeprefix("min_")
    name = limit if limit == "max_abs_error" else name
    assert failed(limited) == {name}
    assert next(check.limit for check in limited.checks if check.name == name) == value


@ONE_PER_RUNTIME
def test_probabilities_of_a_quarter_of_their_size_fail_although_every_top1_is_right(
    row: Precision, trained: "Network", work: WorkFiles
) -> None:
    content = trained.work.made(row).read_bytes()
    if row.format == "onnx":
        onnx_model = onnx.load_from_string(content)
        last = onnx_model.graph.node[-1]
        (scale,) = (t for t in onnx_model.graph.initializer if t.name == last.input[1])
        scale.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(scale) / 4, scale.name))
        # The same scale stands before it; the real one has to stay there.
        del onnx_model.graph.node[-2].input[1:]
        onnx_model.graph.node[-2].input.extend(["whole", last.input[2]])
        whole = onnx.numpy_helper.to_array(scale) * 4
        onnx_model.graph.initializer.append(onnx.numpy_helper.from_array(whole, "whole"))
        content = onnx_model.SerializeToString()
    else:
        model = read_model(content)
        # A byte ends at a quarter then.
        model.subgraphs[0].tensors[model.subgraphs[0].outputs[0]].quantization.scale = np.array([1 / 1024], np.float32)
        content = write_model(model)
    verdict = verify(trained, row, content, work)
    assert "mean_error" in failed(verdict)
    assert not failed(verdict) & {"contents", "top1_agreement"}


def test_outputs_that_are_not_finite_fail_and_leave_no_number(trained: "Network", work: WorkFiles) -> None:
    model = read_model(trained.work.made(FLOAT32).read_bytes())
    bias = model.subgraphs[0].tensors[model.subgraphs[0].operators[-2].inputs[2]]
    model.buffers[bias.buffer].data = np.full(10, np.nan, np.float32).view(np.uint8)
    verdict = verify(trained, FLOAT32, write_model(model), work)
    assert failed(verdict) >= {"finite", "max_abs_error", "builtin_error"}
    assert verdict.max_abs_error is None
    assert Verification.from_json(verdict.to_json()) == verdict


def test_a_range_too_narrow_for_the_builtin_kernels_is_refused_by_name(trained: "Network", work: WorkFiles) -> None:
    row = PRECISIONS["tflite", "int8_npu"]
    model = read_model(trained.work.made(row).read_bytes())
    graph = model.subgraphs[0]
    graph.tensors[graph.operators[2].outputs[0]].quantization.scale = np.array([1e-12], np.float32)
    with pytest.raises(VerificationError, match=r"^LiteRT with XNNPACK refuses made-int8_npu\.tflite: "):
        verify(trained, row, write_model(model), work)
    overflow = r"^LiteRT with the builtin kernels alone refuses made-int8_npu\.tflite: .*overflow"
    with pytest.raises(VerificationError, match=overflow):
        load_tflite(work.made(row), builtin_only=True)


# What a runtime does not survive


def no_strides(model: Any) -> None:
    """Every runtime refuses the first convolution."""
    model.subgraphs[0].operators[0].builtinOptions.strideW = 0


def no_kernel(model: Any) -> None:
    """LiteRT 2.3 follows the missing kernel's null pointer, or refuses the file, depending on what its kernels are."""
    image, _, bias = model.subgraphs[0].operators[0].inputs
    model.subgraphs[0].operators[0].inputs = [image, -1, bias]


def broken(content: bytes, how: Callable[[Any], None]) -> bytes:
    model = read_model(content)
    how(model)
    return write_model(model)


def test_a_refused_tflite_file_is_named_with_the_kernels_that_refused_it(trained: "Network", tmp_path: Path) -> None:
    path = tmp_path / "net_1.4-int8.tflite"
    path.write_bytes(broken(trained.work.made(FLOAT32).read_bytes(), no_strides))
    for builtin_only, how in ((False, "XNNPACK"), (True, "the builtin kernels alone")):
        with pytest.raises(VerificationError, match=f"^LiteRT with {how} refuses net_1.4-int8.tflite: .*stride") as no:
            load_tflite(path, builtin_only=builtin_only)
        assert "\n" not in str(no.value)


def test_a_refused_onnx_file_is_named(trained: "Network", tmp_path: Path) -> None:
    model = onnx.load(trained.work.float_onnx)
    model.graph.node[-1].op_type = "Softmin"
    path = tmp_path / "net_1.4-float32.onnx"
    onnx.save(model, path)
    with pytest.raises(VerificationError, match=r"^ONNX Runtime refuses net_1\.4-float32\.onnx: .*Softmin") as refusal:
        load_onnx(path)
    assert "\n" not in str(refusal.value)


@ONE_PER_RUNTIME
def test_what_is_no_model_at_all_is_refused(row: Precision, tmp_path: Path) -> None:
    path = tmp_path / f"net.{row.format}"
    path.write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(VerificationError, match=r" refuses net\."):
        load_onnx(path) if row.format == "onnx" else load_tflite(path, builtin_only=False)


def test_a_file_that_crashes_its_runtime_fails_alone(trained: "Network", work: WorkFiles) -> None:
    content = trained.work.made(FLOAT32).read_bytes()
    crashing, refused, good = (PRECISIONS["tflite", name] for name in ("float16", "int8", "float32"))
    work.made(crashing).write_bytes(broken(content, no_kernel))
    work.made(refused).write_bytes(broken(content, no_strides))
    work.made(good).write_bytes(content)
    tasks = [
        Task(verify_stage, (row, row.limits, trained.spec.preprocessing, work)) for row in (crashing, refused, good)
    ]
    crash, refusal, verdict = run_in_workers(tasks, at_once=2)
    if isinstance(crash, WorkerError):
        assert str(crash).startswith("the worker process for verify_stage died (signal SIGSEGV)")
    else:
        assert str(crash).startswith("LiteRT with XNNPACK refuses made-float16.tflite: ")
    assert isinstance(refusal, VerificationError)
    assert str(refusal).startswith("LiteRT with XNNPACK refuses made-int8.tflite: ")
    assert isinstance(verdict, Verification)
    assert verdict.passed
