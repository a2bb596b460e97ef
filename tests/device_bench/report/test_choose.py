"""Which should I ship: the rule, its ties, and its nearest misses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from device_bench.report.choose import Choice, choose_artifact, find_device
from device_bench.report.tables import RESULT_COLUMNS, result_cells
from device_bench.report.values import Report
from models.errors import UnknownNameError, UsageError
from tests.device_bench.report.builds import (
    MODEL,
    add_bench,
    add_export,
    folder_of,
    full_build,
    int8_bench,
    make_target,
    report_of,
)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_of(full_build(tmp_path_factory.mktemp("build")))


def choose(report: Report, accuracy: float, p95_ms: float, model: str | None = None) -> Choice:
    return choose_artifact(report, report.devices[0], accuracy, p95_ms * 1000, model)


def test_the_smallest_file_that_fits_is_chosen(report: Report) -> None:
    choice = choose(report, 0.9, 100.0)
    assert choice.chosen is not None
    assert (choice.chosen.result.precision, choice.fitting, choice.nearest) == ("int8", 3, ())


def test_accuracy_comes_before_size(report: Report) -> None:
    choice = choose(report, 0.975, 100.0)
    assert choice.chosen is not None
    assert choice.chosen.result.precision == "float16"


def test_both_limits_include_their_ends(report: Report) -> None:
    p95_us = next(row.p95_us for row in report.results if row.precision == "int8")
    assert p95_us is not None
    choice = choose_artifact(report, report.devices[0], 0.97, p95_us, None)
    assert choice.chosen is not None
    assert choose_artifact(report, report.devices[0], 0.97, p95_us * 0.999, None).chosen is None


def test_the_nearest_misses_come_in_order_with_what_they_miss(report: Report) -> None:
    choice = choose(report, 0.975, 20.0)
    assert choice.chosen is None
    assert [(c.result.precision, c.misses) for c in choice.nearest] == [
        ("int8", ("accuracy",)), ("float16", ("p95",)), ("float32", ("p95",)),
    ]  # fmt: skip
    assert choice.nearest[0].distance == pytest.approx(0.005 / 0.975)


def test_between_equal_sizes_the_lower_p95_wins_and_then_fewer_threads(report: Report) -> None:
    row = next(row for row in report.results if row.precision == "int8")
    slow, many = replace(row, id="a", p95_us=(row.p95_us or 0) * 2), replace(row, id="b", threads=8)
    for rows in ((slow, many, row), (row, many, slow)):
        choice = choose(replace(report, results=rows), 0.9, 100.0)
        assert choice.chosen is not None
        assert choice.chosen.result == row


def test_another_model_is_not_considered_if_one_was_asked_for(report: Report) -> None:
    assert choose(report, 0.0, 1000.0, MODEL).fitting == 3
    assert choose(report, 0.0, 1000.0, "other").fitting == 0


def test_an_unknown_p95_is_no_zero_but_cannot_be_judged(tmp_path: Path) -> None:
    add_export(tmp_path)
    add_bench(tmp_path, int8_bench(p95=False))
    choice = choose(report_of(tmp_path), 0.0, 1000.0)
    assert (choice.chosen, choice.nearest) == (None, ())
    assert [c.unfit for c in choice.unfit] == ["its p95 is not known: this build prints no percentiles"]


def test_files_that_failed_changed_or_are_of_another_export_are_not_shipped(tmp_path: Path) -> None:
    full_build(tmp_path)
    folder = folder_of(tmp_path)
    (folder / "mobilenet-int8.tflite").write_bytes(b"changed")
    report = report_of(tmp_path)
    foreign = tuple(replace(r, known_file=r.precision != "float16") for r in report.results)
    failed = tuple(replace(r, failure="crashed" if r.precision == "float32" else None) for r in foreign)
    choice = choose(replace(report, results=failed), 0.0, 1000.0)
    assert [(c.result.precision, c.unfit) for c in choice.unfit] == [
        ("float32", "crashed"),
        ("float16", "of another file than was exported last"),
        ("int8", "the file is missing, or has changed since it was exported; export again"),
    ]


def test_devices_are_found_by_name_by_the_start_of_their_identity_and_as_local(tmp_path: Path) -> None:
    for target in (
        make_target(),
        make_target("", kind="local", identity="5bce98f7" * 2, manufacturer=None, model=None),
    ):
        add_bench(tmp_path, int8_bench(target=target), name=str(target["identity"]))
    report = report_of(tmp_path)
    for text in ("Google Pixel 8", "google pixel-8", "1f0c9a2b"):
        assert find_device(report, text).name == "Google Pixel 8"
    assert find_device(report, "local").kind == "desktop"
    with pytest.raises(UnknownNameError, match="unknown device 'Pixle'"):
        find_device(report, "Pixle")


def test_two_devices_of_one_name_must_be_told_apart(tmp_path: Path) -> None:
    for identity in ("a" * 16, "b" * 16):
        add_bench(tmp_path, int8_bench(target=make_target(identity=identity)), name=identity)
    with pytest.raises(UsageError, match=r"2 devices are named 'Google Pixel 8'; say which: a{8} .* or b{8}"):
        find_device(report_of(tmp_path), "Google Pixel 8")


def with_phones(report: Report, *names: str) -> Report:
    phones = (replace(report.devices[0], name=name, identity=f"{at:016x}") for at, name in enumerate(names))
    return replace(report, devices=tuple(phones))


def test_names_in_any_script_are_told_apart(report: Report) -> None:
    known = with_phones(report, "Смартфон 8", "手机", "Смартфон 9", "+++", "Pixel-8", "Pixel 8")
    for text, name in (
        ("смартфон-8", "Смартфон 8"), ("手机", "手机"), ("+++", "+++"), ("Pixel 8", "Pixel 8"), ("Pixel-8", "Pixel-8"),
    ):  # fmt: skip
        assert find_device(known, text).name == name
    with pytest.raises(UsageError, match="2 devices are named 'pixel_8'"):
        find_device(known, "pixel_8")


@pytest.mark.parametrize("text", ["", "?", "_", "---", "電話"])
def test_a_text_of_signs_or_of_another_script_is_like_no_name(report: Report, text: str) -> None:
    with pytest.raises(UnknownNameError, match="unknown device"):
        find_device(with_phones(report, "Смартфон 8", "!!"), text)


def test_a_name_that_two_devices_have_is_proposed_once(report: Report) -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean Google Pixel 8\?$"):
        find_device(with_phones(report, "Google Pixel 8", "Google Pixel 8"), "Google Pixle 8")


def test_without_any_device_the_next_step_is_to_measure(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^unknown device 'x'; nothing is measured yet: make bench MODEL=\.\.\.$"):
        find_device(report_of(tmp_path), "x")


@pytest.mark.parametrize("damage", ["{", '{"schema": 1}'])
def test_a_manifest_that_cannot_be_read_is_named_as_the_reason(tmp_path: Path, damage: str) -> None:
    full_build(tmp_path)
    (folder_of(tmp_path) / "manifest.json").write_text(damage)
    report = report_of(tmp_path)
    (first, *_) = choose(report, 0.0, 1000.0).unfit
    assert first.unfit is not None
    assert first.unfit.startswith(f"{MODEL}-digits/manifest.json cannot be read, which tells its accuracy: ")
    (cell,) = (
        c for c, column in zip(result_cells(report, first.result), RESULT_COLUMNS, strict=True) if column.key == "top1"
    )
    assert cell.reason.startswith(f"{MODEL}-digits/manifest.json cannot be read")
