"""The snippets are code: Kotlin and Swift parse, Python runs, and none says anything but what its file is."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tree_sitter_kotlin
import tree_sitter_swift
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tree_sitter import Language, Node, Parser

from export.bundle import rendering
from export.bundle.contract import Contract
from export.bundle.rendering import _environment
from export.bundle.snippets import PRIVACY_NOTICE, SNIPPETS, VERSIONS, render_snippets
from export.verify import to_input
from models.data import prepare_picture
from models.data.decode import read_picture
from tests.export.bundle.contracts import ALL, IDS, make_contract
from tests.export.bundle.test_literals import TEXTS
from tests.export.conftest import ROOT

PARSERS = {
    ".kt": Parser(Language(tree_sitter_kotlin.language())),
    ".kts": Parser(Language(tree_sitter_kotlin.language())),
    ".swift": Parser(Language(tree_sitter_swift.language())),
}


def faults(file: str, text: str) -> list[str]:
    """Lines that the language's parser does not understand."""
    if file.endswith(".py"):
        ast.parse(text, feature_version=(3, 9))
        return []
    if Path(file).suffix not in PARSERS:
        return []
    lines, waiting, found = text.split("\n"), [PARSERS[Path(file).suffix].parse(text.encode()).root_node], []
    while waiting:
        node: Node = waiting.pop()
        if node.is_error or node.is_missing:
            found.append(f"{file}:{node.start_point[0] + 1}: {lines[node.start_point[0]]}")
        waiting.extend(node.children)
    return found


def test_the_parsers_find_a_bracket_too_few() -> None:
    for file in ("a.kt", "a.swift"):
        assert faults(file, "class A { fun f() { g(1 } }" if file == "a.kt" else "class A { func f() { g(1 } }")


@pytest.mark.parametrize("contract", ALL, ids=IDS)
def test_every_snippet_for_every_kind_of_file_parses(contract: Contract) -> None:
    snippets = render_snippets(contract)
    assert [fault for file, text in snippets.items() for fault in faults(file, text)] == []
    for file, text in snippets.items():
        assert contract.file in text, file
        assert "{{" not in text, file
        assert "{%" not in text, file
        assert max(len(line) for line in text.split("\n")) <= 132, file


@pytest.mark.parametrize("contract", ALL, ids=IDS)
def test_mediapipe_is_offered_only_where_it_does_everything(contract: Contract) -> None:
    offered = {file for file in render_snippets(contract) if "MediaPipe" in file}
    able = (
        contract.input.dtype in ("uint8", "float32")
        and contract.preprocessing.fit == "stretch"
        and contract.output.name == "probabilities"
    )
    assert offered == ({"android/MediaPipeClassifier.kt", "ios/MediaPipeClassifier.swift"} if able else set())
    build = render_snippets(contract)["android/build.gradle.kts"]
    assert (VERSIONS["mediapipe_android"] in build) == able


def test_the_numbers_of_a_file_are_in_its_snippets() -> None:
    texts = render_snippets(make_contract("uint8"))
    interpreter = texts["android/InterpreterClassifier.kt"]
    assert "const val SIDE = 224" in interpreter
    assert "const val SCALE = 0.00390625f" in interpreter
    # `and` binds less than a minus in Kotlin.
    assert "((output.get().toInt() and 0xFF) - ZERO_POINT) * SCALE" in interpreter
    assert "MEAN" not in interpreter
    floats = render_snippets(make_contract("float32"))
    assert "(Color.red(pixel) - MEAN) / STD" in floats["android/CompiledModelClassifier.kt"]
    assert "const val MEAN = 127.5f" in floats["android/CompiledModelClassifier.kt"]
    assert "private static let std: Float = 127.5" in floats["ios/InterpreterClassifier.swift"]
    assert "Color.red(pixel) - 128" in render_snippets(make_contract("int8"))["android/CompiledModelClassifier.kt"]
    assert "exp(" in render_snippets(make_contract(output="logits"))["android/InterpreterClassifier.kt"]


def test_large_pictures_are_halved_before_anything_takes_four_pixels_of_them() -> None:
    texts = render_snippets(make_contract())
    halving = "while (maxOf(small.width, small.height) >= 2 * SIDE) {"
    for file in ("MediaPipeClassifier", "InterpreterClassifier", "CompiledModelClassifier"):
        assert halving in texts[f"android/{file}.kt"]
        # Whole over white, whoever takes it.
        assert "canvas.drawColor(Color.WHITE)" in texts[f"android/{file}.kt"]
    # As wide as the network, so that MediaPipe has nothing left to resize.
    assert "classify(BitmapImageBuilder(fitted(picture)).build())" in texts["android/MediaPipeClassifier.kt"]
    assert "const val SIDE = 224" in texts["android/MediaPipeClassifier.kt"]
    assert "MPImage(uiImage: fitted(picture))" in texts["ios/MediaPipeClassifier.swift"]
    assert "private static let side = 224" in texts["ios/MediaPipeClassifier.swift"]
    assert texts["ios/MediaPipeClassifier.swift"].count("interpolationQuality = .high") == 1
    # The part that is cut out, and the side that decides, are what must not be passed over.
    crop, pad = (render_snippets(make_contract(fit=fit))["android/InterpreterClassifier.kt"] for fit in ("crop", "pad"))
    assert "while (minOf(small.width, small.height) * CROP_SHARE >= 2 * SIDE) {" in crop
    assert halving in pad


def test_who_reports_its_use_is_said_where_it_is_used() -> None:
    texts = render_snippets(make_contract())
    said = {file for file, text in texts.items() if PRIVACY_NOTICE in text}
    assert said == {"android/MediaPipeClassifier.kt", "ios/MediaPipeClassifier.swift"}


def test_int16_has_no_compiled_model_whose_buffers_do_not_know_it() -> None:
    assert "android/CompiledModelClassifier.kt" not in render_snippets(make_contract("int16"))


def test_the_build_file_says_what_google_play_and_the_runtime_ask_for() -> None:
    build = render_snippets(make_contract())["android/build.gradle.kts"]
    for word in ('noCompress += "tflite"', "16 KB", *(VERSIONS[v] for v in VERSIONS if "ios" not in v)):
        assert word in build
    pods = render_snippets(make_contract())["ios/Podfile"]
    assert "pod 'MediaPipeTasksVision'" in pods
    assert "pod 'TensorFlowLiteSwift'" in pods


@settings(deadline=None, max_examples=40)
@given(name=TEXTS, dtype=st.sampled_from(["uint8", "float32"]))
def test_a_hostile_name_of_a_network_stays_a_comment(name: str, dtype: str) -> None:
    plain, hostile = (render_snippets(make_contract(dtype, model=model)) for model in ("x", name))
    for file, text in hostile.items():
        assert faults(file, text) == []
        # All that is code stays as it is.
        code, other = (
            [line for line in t.splitlines() if not line.startswith(("//", "#"))] for t in (plain[file], text)
        )
        assert code == other
        assert text.isascii() or all(c.isprintable() or c == "\n" for c in text)


@settings(deadline=None, max_examples=40)
@given(name=TEXTS)
def test_even_a_hostile_file_name_would_stay_a_string(name: str) -> None:
    # Bundles never have one; the templates do not rely on it.
    for file, text in render_snippets(make_contract(file=name)).items():
        assert faults(file, text) == []


@pytest.mark.parametrize("value", ["evil", 1.5, None, b"evil"])
def test_a_value_that_no_filter_made_safe_is_an_error(value: object) -> None:
    template = _environment().from_string("{{ x }}")
    with pytest.raises(TypeError, match="goes through no filter, which would make it safe where it stands"):
        template.render(x=value)


def test_every_template_is_used() -> None:
    templates = Path(rendering.__file__).with_name("templates")
    names = {p.relative_to(templates).as_posix().removesuffix(".jinja") for p in templates.rglob("*.jinja")}
    parts = {"android/picture.kt", "android/best.kt", "ios/picture.swift"}
    assert names == {row.file for row in SNIPPETS} | parts | {"README.md", "model_card.md"}


def test_the_kotlin_of_the_page_for_app_developers_parses() -> None:
    page = (ROOT / "docs/app-developers.md").read_text("utf-8")
    blocks = re.findall(r"^```kotlin\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    assert faults("page.kt", blocks[0]) == []
    assert faults("page.kt", blocks[0].replace("frame.use {", "frame.use {{")) != []


# The Python one, for real


def classify(bundle: Path, precision: str, *pictures: Path) -> list[list[tuple[float, str]]]:
    """What the shipped program prints of each picture."""
    program = bundle / f"snippets/{precision}/python/classify.py"
    run = subprocess.run(
        [sys.executable, "-I", str(program), *map(str, pictures)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    found: dict[str, list[tuple[float, str]]] = {str(path): [] for path in pictures}
    for line in run.stdout.splitlines():
        path, probability, label = line.split("\t")
        found[path].append((float(probability), label))
    return list(found.values())


@pytest.mark.parametrize("precision", ["int8", "float16", "int8_npu"])
def test_the_python_snippet_classifies_the_golden_pictures_as_the_manifest_says(precision: str, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    model = next(m for m in manifest["models"] if m["precision"] == precision)
    vectors = model["golden"]["vectors"]
    printed = classify(bundle, precision, *(bundle / v["image"] for v in vectors))
    assert len(printed) == len(vectors) == 10
    for lines, vector in zip(printed, vectors, strict=True):
        assert [label for _, label in lines] == [row["label"] for row in vector["top5"]]
        assert [p for p, _ in lines] == pytest.approx([row["probability"] for row in vector["top5"]], abs=1e-4)


def load(text: str) -> dict[str, Any]:
    """The names of a shipped Python program that has no bundle around it."""
    names: dict[str, Any] = {"__name__": "snippet", "__file__": "/x/snippets/int8/python/classify.py"}
    exec(re.sub(r"^LABELS = .*$", "LABELS = []", text, flags=re.MULTILINE), names)  # noqa: S102 - our own text
    return names


def odd_pictures(folder: Path) -> list[Path]:
    """Photographs as they come: odd sizes, transparent, turned by EXIF, grey, 16 bits, with a palette."""
    chance = np.random.default_rng(0)
    large = Image.fromarray(chance.integers(0, 256, (37, 53, 3), np.uint8)).resize((801, 533), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[0x0112] = 6
    alpha = large.convert("RGBA")
    alpha.putalpha(Image.fromarray(chance.integers(0, 256, (533, 801), np.uint8)))
    made: list[tuple[str, Image.Image, dict[str, object]]] = [
        ("odd.png", large.resize((301, 97)), {}),
        ("small.png", large.resize((31, 17)), {}),
        ("turned.jpg", large, {"exif": exif, "quality": 95}),
        ("transparent.png", alpha, {}),
        ("grey.png", large.convert("L"), {}),
        ("grey-alpha.png", alpha.convert("LA"), {}),
        ("palette.png", large.convert("P"), {}),
        ("deep.png", Image.fromarray(np.asarray(large.convert("L")).astype(np.uint16) * 257), {}),
        ("cmyk.jpg", large.convert("CMYK"), {"quality": 95}),
    ]
    for name, picture, options in made:
        picture.save(folder / name, **options)  # type: ignore[arg-type]
    return [folder / name for name, *_ in made]


@pytest.mark.parametrize(
    "contract",
    [c for c in ALL if c.output.name == "probabilities"],
    ids=lambda c: f"{c.input.dtype}-{c.preprocessing.fit}",
)
def test_the_python_snippet_prepares_any_picture_as_the_toolchain_does(contract: Contract, tmp_path: Path) -> None:
    names = load(render_snippets(contract)["python/classify.py"])
    load_picture, prepare = names["load_picture"], names["to_input"]
    for path in odd_pictures(tmp_path):
        theirs = prepare(load_picture(path))
        pixels = prepare_picture(read_picture(path), contract.preprocessing, contract.side_px)[None]
        ours = to_input(pixels, contract.input, contract.preprocessing)
        assert theirs.dtype == ours.dtype
        np.testing.assert_array_equal(theirs, ours, err_msg=path.name)
