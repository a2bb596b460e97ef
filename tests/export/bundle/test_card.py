"""The pages for people: what was measured is there with its doubt, what was not is said, and no text becomes markup."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from markdown_it import MarkdownIt
from scipy.stats import binomtest

from export.artifact import Artifact, Check, Manifest, Verification
from export.bundle.card import render_card, render_readme, wilson_interval
from export.bundle.contract import Contract
from export.bundle.latency import Latency
from export.bundle.snippets import PRIVACY_NOTICE
from tests.export.bundle.contracts import make_contract
from tests.export.bundle.test_literals import HOSTILE, TEXTS

NAMES = tuple("abcdefghij")


def make_artifact(contract: Contract, **changes: Any) -> Artifact:
    verification = Verification(
        images=359, top1=0.975, top1_drop=0.01, top1_drop_ci95=(-0.002, 0.022), top1_agreement=0.99, max_abs_error=0.1,
        builtin_error=0.0, checks=(Check(name="finite", value=None, limit=None, passed=True, detail=""),), reason="",
    )  # fmt: skip
    value: dict[str, Any] = {
        "file": contract.file, "format": "tflite", "precision": contract.precision, "size_bytes": 4_300_000,
        "sha256": "f" * 64, "source_sha256": "e" * 64, "input": contract.input, "output": contract.output,
        "operators": {"CONV_2D": 35}, "weights": {"int8": 1}, "verification": verification, "failure": None,
    }  # fmt: skip
    return Artifact(**value | changes)


def make_manifest(contract: Contract, text: str | None = None) -> Manifest:
    """With the text in every place where text from outside may stand."""
    model = {
        "name": text or contract.model, "family": text or "mobilenet_v2", "parameters": 4_333_706, "mult_adds": None,
        "resolution_px": 224, "output": "probabilities", "version": "abc", "author": text, "license": text,
    }  # fmt: skip
    weights = {
        "source": text or "digits", "sha256": "a" * 64, "seed": None, "dataset": text or "digits", "top1": 0.985,
        "dataset_sha256": "b" * 64, "images": 359,
    }  # fmt: skip
    calibration = {"images": 128, "split": "train", "seed": 0, "method": text or "min-max"}
    return Manifest(
        model=model, weights=weights, preprocessing=contract.preprocessing.to_json(), labels={"count": 10},
        calibration=calibration, tools={}, artifacts=(make_artifact(contract),), failures={},
    )  # fmt: skip


def card(text: str | None = None, latencies: tuple[Latency, ...] = (), **changes: Any) -> str:
    contract = make_contract()
    given_names = tuple(f"{text}{n}" for n in range(10)) if text else NAMES
    value: dict[str, Any] = {"data": text or "pictures", "training": None, "purpose": text}
    return render_card(
        text or "bundle",
        make_manifest(contract, text),
        [(make_artifact(contract), contract)],
        given_names,
        latencies,
        **value | changes,
    )


def make_latency(**changes: Any) -> Latency:
    value: dict[str, Any] = {
        "precision": "int8", "device": "Google Pixel 8 (Android 15)", "emulated": False, "how": "classic, cpu",
        "statistic": "median", "median_us": 15_150.0, "low_us": 15_000.0, "high_us": 15_300.0, "p95_us": 15_900.0,
        "processes": 5, "peak_rss_bytes": None, "measured": "2026-11-21",
    }  # fmt: skip
    return Latency(**value | changes)


def test_the_card_says_what_was_measured_with_its_doubt() -> None:
    said = card(latencies=(make_latency(), make_latency(emulated=True, statistic="mean", p95_us=None)))
    assert "| int8 | 97.50% (95.31 to 98.68) | 1.00 (-0.20 to 2.20) | 99.00% |" in said
    assert "The Keras float model has 98.50%" in said
    assert "15.2 ms (15 to 15.3, 5 processes) | 15.9 ms |" in said
    assert "EMULATED: means nothing | int8 | 15.2 ms (15 to 15.3, 5 processes, of means) | not known |" in said
    assert "ranges from 128 pictures of the train split" in said
    assert "a, b, c, d, e, f, g, h, i, j." in said


def test_the_card_says_what_nobody_said() -> None:
    said = card()
    assert said.count("not stated by whoever made this bundle; ask before you ship it") == 2
    assert "Not measured when this bundle was made." in said
    assert "came without a record of their training" in said
    assert "unknown mult-adds" in said
    assert "What it is not for." in said


def test_the_card_tells_the_course_of_a_training_of_any_version() -> None:
    phases = [{"epochs": 6, "resolution_px": 32}, {"epochs": 3, "resolution_px": 224, "rate": 1e-3}]
    assert "6 epochs at 32 px, then 3 epochs at 224 px; unknown seed;" in card(
        training={"settings": {"phases": phases}}
    )
    assert "see trained.json" in card(training={"settings": {"recipe": "later"}})


def test_many_classes_are_counted_not_listed() -> None:
    contract = make_contract(classes=1000)
    names = tuple(f"class {number}" for number in range(1000))
    said = render_card(
        "x", make_manifest(contract), [(make_artifact(contract), contract)], names, (), data="d", training=None,
        purpose=None,
    )  # fmt: skip
    assert "class 19 and 980 more, all in labels.txt" in said


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_the_first_page_says_why_there_is_no_snippet_for_mediapipe(fit: str) -> None:
    contract = make_contract(fit=fit)
    page = render_readme(make_manifest(contract), [(make_artifact(contract), contract)], NAMES)
    assert f"it stretches the whole picture, this network was trained otherwise ({fit})" in page
    assert "MediaPipeClassifier" not in page


def test_the_first_page_says_what_the_files_run_on(bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    page = (bundle / "README.md").read_text("utf-8")
    version = manifest["tools"]["ai-edge-litert"]
    assert f"Runs on TensorFlow Lite 2.14 and every later LiteRT; proven here with ai-edge-litert {version}." in page


def test_the_first_page_names_a_background_class() -> None:
    contract = make_contract()
    arguments = make_manifest(contract), [(make_artifact(contract), contract)]
    assert "Class 0 is `background`" in render_readme(*arguments, ("background", *NAMES[1:]))
    assert "`background`" not in render_readme(*arguments, NAMES)


def shown(page: str) -> tuple[str, int]:
    """What GitHub would show: the HTML, and how many elements of which nobody but us may make any."""
    made = MarkdownIt("commonmark", {"html": True}).enable("table").render(page)
    return made, sum(
        made.count(f"<{tag}") for tag in ("script", "img", "a ", "h1", "h2", "h3", "td", "code", "pre", "em")
    )


@settings(deadline=None, max_examples=40)
@given(TEXTS.filter(str.strip))
def test_no_text_from_outside_becomes_markup_in_a_page(text: str) -> None:
    plain, hostile = shown(card("x")), shown(card(text))
    assert hostile[1] == plain[1]
    contract, other = make_contract(), make_contract(model=text)
    pages = [
        shown(render_readme(make_manifest(c, t), [(make_artifact(c), c)], tuple(f"{t}{n}" for n in range(10))))
        for c, t in ((contract, "x"), (other, text))
    ]
    assert pages[0][1] == pages[1][1]


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_known_tricks_are_shown_as_text(text: str) -> None:
    made, _ = shown(card(text))
    for word in ("<script>alert", "<img src=x", 'href="javascript'):
        assert word not in made


@pytest.mark.parametrize(("right", "count"), [(350, 359), (100, 100), (0, 10), (10, 20), (7, 8)])
def test_intervals_of_shares_are_wilsons(right: int, count: int) -> None:
    expected = binomtest(right, count).proportion_ci(confidence_level=0.95, method="wilson")
    assert wilson_interval(right / count, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_the_pages_of_a_real_bundle_name_its_files_and_all_links_lead_somewhere(bundle: Path) -> None:
    page = (bundle / "README.md").read_text("utf-8")
    made = MarkdownIt("commonmark").enable("table").parse(page)
    links = [
        str(child.attrs["href"])
        for token in made
        for child in token.children or ()
        if child.type == "link_open"
    ]  # fmt: skip
    assert len(links) >= 8 * 2
    assert {link for link in links if not (bundle / link).is_file()} == {f"https://{PRIVACY_NOTICE}"}
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    assert all(model["file"] in page for model in manifest["models"])
    text = (bundle / "model_card.md").read_text("utf-8")
    assert "Reads \\*digits\\* &lt;from&gt; forms" in text
    assert "scikit-learn load_digits" in text
