"""Whatever was changed in a bundle is found and named first, even if all hashes were forged along with it."""

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.bundle.build import Bundled
from export.bundle.contract import bundled_contract
from export.bundle.snippets import describe_fit
from export.bundle.verify import verify_bundle, verify_stage
from export.metadata.info import ModelInfo
from export.metadata.write import add_metadata
from export.tflite_file import read_model, write_model
from models.errors import BrokenFileError, ToolchainError, UsageError, VerificationError
from tests.export.bundle.conftest import Edit, edit_manifest
from tests.export.conftest import Cli, silent

INT8 = "models/mobilenet_v1_0.25_128-int8.tflite"


def difference(bundle: Path) -> str:
    """What is named first."""
    with pytest.raises(VerificationError) as caught:
        verify_stage(silent, bundle)
    assert str(caught.value).endswith("; ask for the bundle once more")
    return str(caught.value)


def refusal(bundle: Path) -> str:
    with pytest.raises(BrokenFileError) as caught:
        verify_stage(silent, bundle)
    return str(caught.value)


def test_a_bundle_passes_as_folder_and_as_archive(bundled: Bundled) -> None:
    as_folder, as_archive = (verify_bundle(path, silent) for path in (bundled.folder, bundled.archive))
    assert as_folder == as_archive == bundled.checks
    assert as_folder[0].endswith(" files are those of manifest.json, no other is there")
    assert len(as_folder) == 2 + 3 * 4


def test_an_archive_packed_anew_by_another_tool_passes(bundle: Path, tmp_path: Path) -> None:
    made = shutil.make_archive(str(tmp_path / "again"), "zip", bundle.parent, bundle.name)
    assert len(verify_bundle(Path(made), silent)) == 14


# Without forged hashes


def test_a_changed_byte_is_found_in_any_file(bundle: Path) -> None:
    files = sorted(path for path in bundle.rglob("*") if path.is_file() and path.name != "manifest.json")
    for path in files[:: len(files) // 12]:
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert f"{path.relative_to(bundle)} has sha256 " in difference(bundle)
        path.write_bytes(content)


def test_a_missing_an_added_and_a_cut_file_are_named(bundle: Path) -> None:
    (bundle / "notes.txt").write_text("hello")
    assert "notes.txt is not in manifest.json: somebody added it" in difference(bundle)
    (bundle / "notes.txt").unlink()
    page = (bundle / "README.md").read_bytes()
    (bundle / "README.md").write_bytes(page[:100])
    assert f"README.md has 100 bytes, manifest.json says {len(page)}" in difference(bundle)
    (bundle / "README.md").unlink()
    assert "README.md is missing" in difference(bundle)


# With forged hashes


def swap_labels(bundle: Path) -> None:
    names = (bundle / "labels.txt").read_text("utf-8").split("\n")
    names[3], names[5] = names[5], names[3]
    (bundle / "labels.txt").write_text("\n".join(names), "utf-8")


def test_class_names_in_another_order_do_not_fit_those_inside(bundle: Path) -> None:
    swap_labels(bundle)
    edit_manifest(bundle)
    assert f"{INT8}: metadata's class names is " in difference(bundle)


def test_class_names_in_another_order_everywhere_are_found_by_golden_pictures(bundle: Path) -> None:
    swap_labels(bundle)
    labels = (bundle / "labels.txt").read_bytes()
    for path in (bundle / "models").iterdir():
        manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
        path.write_bytes(add_metadata(path.read_bytes(), info_of(manifest), labels))
    edit_manifest(bundle)
    assert "place 4 of the golden output is class" in difference(bundle) or "(5, " in difference(bundle)


def info_of(manifest: dict[str, Any], **changes: Any) -> ModelInfo:
    value = {
        "name": manifest["model"]["name"], "description": "", "version": manifest["model"]["version"],
        "input_description": "", "mean": 127.5, "std": 127.5,
    }  # fmt: skip
    return ModelInfo(**value | changes)


LABELS = [
    (b"", "line 1 is empty"),
    (b"0\n1\n\n3\n4\n5\n6\n7\n8\n9\n", "line 3 is empty"),
    (b"0\n1\n2\n3\n4\n5\n6\n7\n8\n8\n", "line 10 repeats 8"),
    (b"0\n1\n2\n3\n4\n5\n6\n7\n8\n", "has 9 names, the networks have [10] outputs"),
    (b"background\n0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", "the networks have [10] outputs; one has a background class"),
    (b"background\n0\n1\n2\n3\n4\n5\n6\n7\n8\n", "has background at 0, manifest.json says None"),
    (b"0\n1\n2\n3\n4\n5\n6\n7\n8\n\xff\n", "is not UTF-8 (byte 18)"),
    ("0\n1\n2\n3\n4\n5\n6\n7\n8\n\N{RIGHT-TO-LEFT OVERRIDE}9\n".encode(), "line 10 is longer than 1000 or not printa"),
    (b"0\n1\n2\n3\n4\n5\n6\n7\n8\n\x1b[31m9\n", "line 10 is longer than 1000 or not printable: ?[31m9"),
    (b"0\r\n1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n7\r\n8\r\n9\r\n", "line 1 is longer than 1000 or not printable: 0?"),
    (b"0\n1\n2\n3\n4\n5\n6\n7\n8\n" + b"9" * 2**20 + b"\n", "line 10 is longer than 1000 or not printable: 9999"),
    (b"\n" * (10 * 2**20 + 1), "has 10485761 bytes, allowed are 10485760"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "words"), LABELS, ids=[words[:24] for _, words in LABELS])
def test_hostile_class_names_are_refused_and_shown_without_their_commands(
    content: bytes, words: str, bundle: Path
) -> None:
    (bundle / "labels.txt").write_bytes(content)
    edit_manifest(bundle)
    said = difference(bundle)
    assert words in said
    assert said.isprintable()
    assert len(said) < 500


def test_class_names_that_are_html_stay_text(bundle: Path) -> None:
    (bundle / "labels.txt").write_bytes(b"0\n1\n2\n3\n4\n5\n6\n7\n8\n<script>alert(1)</script>\n")
    edit_manifest(bundle)
    # Any name may be one; what is wrong is that the file says otherwise.
    assert f"{INT8}: metadata's class names is " in difference(bundle)


METADATA: list[tuple[dict[str, Any], str]] = [
    ({"name": "other"}, "metadata's name is other, the manifest says mobilenet_v1_0.25_128"),
    ({"version": "1"}, "metadata's version is 1, the manifest says"),
    ({"author": "me"}, "metadata's author is me, the manifest says None"),
    ({"license": "MIT"}, "metadata's licence is MIT, the manifest says None"),
    ({"mean": 0.0}, "metadata's mean is (0.0, 0.0, 0.0), the manifest says (127.5, "),
    ({"std": 255.0}, "metadata's std is (255.0, 255.0, 255.0), the manifest says (127.5, "),
]


@pytest.mark.parametrize(("changes", "words"), METADATA, ids=[next(iter(changes)) for changes, _ in METADATA])
def test_metadata_that_says_otherwise_is_found(changes: dict[str, Any], words: str, bundle: Path) -> None:
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    content = (bundle / INT8).read_bytes()
    (bundle / INT8).write_bytes(
        add_metadata(content, info_of(manifest, **changes), (bundle / "labels.txt").read_bytes())
    )
    edit_manifest(bundle)
    assert words in difference(bundle)


def test_a_model_without_metadata_is_found(bundle: Path) -> None:
    model = read_model((bundle / INT8).read_bytes())
    model.metadata = []
    (bundle / INT8).write_bytes(write_model(model))
    edit_manifest(bundle)
    assert f"{INT8} has no metadata inside" in difference(bundle)


def test_a_model_with_other_weights_is_found_by_the_golden_vectors(bundle: Path) -> None:
    model = read_model((bundle / INT8).read_bytes())
    graph = model.subgraphs[0]
    kernel = max(graph.tensors, key=lambda tensor: len(tensor.shape) == 4 and int(np.prod(tensor.shape)))
    data = np.array(model.buffers[kernel.buffer].data)
    model.buffers[kernel.buffer].data = np.roll(data, len(data) // 2)
    content = write_model(model)
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    (bundle / INT8).write_bytes(add_metadata(content, info_of(manifest), (bundle / "labels.txt").read_bytes()))
    edit_manifest(bundle)
    assert "a probability differs by " in difference(bundle)


@pytest.mark.parametrize(
    "content", [b"", b"x" * 1000, b"\x1c\0\0\0TFL3" + b"\xff" * 1000], ids=["empty", "text", "header"]
)
def test_what_is_no_model_is_found_before_a_runtime_sees_it(content: bytes, bundle: Path) -> None:
    (bundle / INT8).write_bytes(content)
    edit_manifest(bundle)
    assert f"{INT8} is no whole TFLite file" in difference(bundle)


def change(path: str, value: object) -> Edit:
    """Sets one value of the manifest, by a path such as `models/0/precision`."""

    def edit(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        *way, last = (int(step) if step.isdigit() else step for step in path.split("/"))
        for step in way:
            place = place[step]
        place[last] = value

    return edit


MANIFESTS = [
    ("models/0/input/scale", 0.5, "input is {"),
    ("models/0/output/zero_point", 3, "output is {"),
    ("models/0/operators", {"CONV_2D": 99}, "operators is {"),
    ("models/0/precision", "int4", "has the precision int4, which does not exist"),
    ("models/0/golden/vectors/0/top5/0/label", "7", "place 1 of the golden output is class"),
    ("models/0/golden/vectors/0/top5/0/probability", 0.1, "place 1 of the golden output is class"),
    ("models/0/golden/vectors/0/input", "golden/inputs/uint8/99.npy", "uint8/99.npy, which is not there"),
    ("models/0/golden/vectors/0/input", "../../../etc/passwd", "names ../../../etc/passwd, which is not there"),
    ("models/0/golden/vectors/0/input", "golden/images/01.png", "golden/images/01.png is no tensor"),
    ("models/0/golden/vectors/0/input", "golden/inputs/float32/01.npy", "is float32 [1, 128, 128, 3], the model"),
    ("models/0/golden/vectors/0/output", "golden/outputs/int8/02.npy", "place 1 of the golden output is class"),
    ("golden_images/0/class_index", 4, "the class names are out of order"),
    ("golden_images", [], "is not among the golden images"),
    ("labels/count", 11, "has 10 names, the networks have [10, 11] outputs"),
    ("labels/background_index", 0, "has background at None, manifest.json says 0"),
    ("models", [], "manifest.json lists no model"),
    ("preprocessing/mean", [0.0, 0.0, 0.0], "metadata's mean is (127.5, 127.5, 127.5), the manifest says"),
    ("preprocessing/std", [127.5, 1.0, 127.5], "metadata's std is (127.5, 127.5, 127.5), the manifest says"),
    ("preprocessing/resize", "nearest", "the manifest says stretched to 128 x 128 px (bilinear, antialiased) as fit"),
    ("preprocessing/steps/1", "as you like", "the manifest says as you like as fit of"),
    ("models/1/input/feed", "byte / 255", "the manifest says byte / 255 as feed of mobilenet_v1_0.25_128-float16"),
    ("models/1/mediapipe", False, "the manifest says False as mediapipe of"),
    ("models/0/output/meaning", "logits", "the golden output is class 1 (1, 0.2"),
    ("models/0/golden/vectors", [], "has 0 golden vectors, at least 8 are needed"),
    ("models/0/golden/tolerance/max_abs_error", 0.9, "has the tolerance 0.9, for int8 at most 0.1 is known"),
    ("models/0/golden/tolerance/max_abs_error", float("nan"), "has the tolerance nan, for int8 at most 0.1 is known"),
    ("models/0/sha256", "0" * 64, "has one sha256 or size among the models of manifest.json"),
    ("models/0/size_bytes", 5, "has one sha256 or size among the models of manifest.json"),
    ("model/resolution_px", 224, "metadata's picture is image RGB 128 x 128, the manifest says image RGB 224 x 224"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "words"), MANIFESTS, ids=[f"{p}={str(v)[:24]}" for p, v, _ in MANIFESTS])
def test_a_manifest_that_says_otherwise_is_found(path: str, value: object, words: str, bundle: Path) -> None:
    edit_manifest(bundle, change(path, value))
    assert words in difference(bundle)


def test_a_file_that_is_listed_twice_is_found(bundle: Path) -> None:
    edit_manifest(bundle, lambda manifest: manifest["files"].append(manifest["files"][0]))
    assert "manifest.json lists a file twice" in difference(bundle)


# Forged pictures and preprocessing


def swap(one: Path, other: Path) -> None:
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def test_golden_pictures_of_other_classes_are_found_though_no_network_sees_them(bundle: Path) -> None:
    swap(bundle / "golden/images/01.png", bundle / "golden/images/02.png")
    edit_manifest(bundle)
    assert "golden/images/01.png, prepared as the manifest says, is up to 255 grey levels from" in difference(bundle)


def test_a_golden_picture_that_is_none_is_found(bundle: Path) -> None:
    (bundle / "golden/images/03.png").write_bytes(b"<html>")
    edit_manifest(bundle)
    assert "golden/images/03.png is no JPEG, PNG, WebP or BMP picture" in difference(bundle)


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_a_preprocessing_that_is_another_in_words_and_numbers_is_found_by_the_pictures(fit: str, bundle: Path) -> None:
    # Whoever forges it says it everywhere.
    def forge(manifest: dict[str, Any]) -> None:
        manifest["preprocessing"] |= {"fit": fit, "crop_share": 0.5}
        for model in manifest["models"]:
            model["mediapipe"] = False
        manifest["preprocessing"]["steps"][1] = describe_fit(bundled_contract(manifest, manifest["models"][0]))

    edit_manifest(bundle, forge)
    assert "golden/images/01.png, prepared as the manifest says, is up to" in difference(bundle)


BROKEN: list[tuple[Callable[[Path], object], str]] = [
    (lambda folder: (folder / "manifest.json").unlink(), "there is no manifest.json"),
    (lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json cannot be read"),
    (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json cannot be read"),
    (lambda folder: (folder / "manifest.json").write_text("[" * 100_000), "manifest.json cannot be read"),
    (lambda folder: (folder / "manifest.json").write_bytes(b'"\xff"'), "manifest.json cannot be read"),
    (lambda folder: (folder / "manifest.json").write_text('{"schema": 2}'), "manifest.json has schema 2, known is 1"),
    (lambda folder: (folder / "manifest.json").write_text('{"schema": 1}'), "has it in another form"),
    (lambda folder: (folder / "manifest.json").write_bytes(b" " * (10 * 2**20 + 1)), "has 10485761 bytes, allowed"),
    (lambda folder: edit_manifest(folder, change("models", [5])), "has it in another form"),
    (lambda folder: edit_manifest(folder, change("models/0/golden", None)), "has it in another form"),
    (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "link is a link or a device"),
    (lambda folder: (folder / "golden/link").symlink_to("/etc"), "golden/link is a link or a device"),
    (lambda folder: os.mkfifo(folder / "pipe"), "pipe is a link or a device"),
    (lambda folder: (folder / "größe").touch(), "is no name for a file in a bundle"),
    (lambda folder: (folder / "\x1b[31m").touch(), "'\\x1b[31m' is no name for a file in a bundle"),
    (lambda folder: os.truncate(folder / INT8, 2 * 2**30), f"{INT8} has 2147483648 bytes, allowed are 536870912"),
]  # fmt: skip


@pytest.mark.parametrize(("damage", "words"), BROKEN, ids=[words[:40] for _, words in BROKEN])
def test_what_is_no_bundle_is_refused_unopened(damage: Callable[[Path], object], words: str, bundle: Path) -> None:
    damage(bundle)
    said = refusal(bundle)
    assert words in said
    assert said.isprintable()


class Marker:
    """What a pickle in a tensor file would run."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, ("pwned",)


def test_a_pickle_is_no_tensor(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle.parent)
    first = bundle / "golden/inputs/uint8/01.npy"
    for content in (pickle.dumps(Marker()), b"\x93NUMPY\x01\x00v\x00" + first.read_bytes()[10:40]):
        first.write_bytes(content)
        edit_manifest(bundle)
        assert "golden/inputs/uint8/01.npy is no tensor" in difference(bundle)
    np.save(first, np.array([Marker()], object), allow_pickle=True)
    edit_manifest(bundle)
    assert "golden/inputs/uint8/01.npy is no tensor" in difference(bundle)
    assert not (bundle.parent / "pwned").exists()


def test_a_tensor_that_claims_terabytes_costs_nothing(bundle: Path) -> None:
    first = bundle / "golden/inputs/uint8/01.npy"
    first.write_bytes(first.read_bytes().replace(b"(1, 128, 128, 3)", b"(1, 9**9, 28, 3)"))
    content = first.read_bytes()
    for shape in (b"(999999999999,) ", b"(1,999999999, 3)"):
        first.write_bytes(content.replace(b"(1, 9**9, 28, 3)", shape))
        edit_manifest(bundle)
        assert "golden/inputs/uint8/01.npy is no tensor" in difference(bundle)


# By the command line


def test_exit_codes_tell_a_difference_from_what_is_no_bundle(bundle: Path, run_script: Cli, tmp_path: Path) -> None:
    good = run_script("-m", "export", "verify-bundle", str(bundle), "--json")
    assert (good.returncode, json.loads(good.stdout)["passed"]) == (0, True)
    (bundle / "README.md").write_text("changed")
    changed = run_script("-m", "export", "verify-bundle", str(bundle))
    assert changed.returncode == 1
    assert changed.stdout == ""
    assert changed.stderr.splitlines()[-1].startswith("error: README.md has 7 bytes, manifest.json says ")
    with zipfile.ZipFile(tmp_path / "evil.zip", "w") as file:
        file.writestr("../evil", b"evil")
    evil = run_script("-m", "export", "verify-bundle", str(tmp_path / "evil.zip"))
    assert evil.returncode == 2
    assert "'../evil' is no name for a file in a bundle" in evil.stderr
    assert not (tmp_path.parent / "evil").exists()


def missing(folder: Path) -> Path:
    return folder / "nothing.zip"


def text_file(folder: Path) -> Path:
    (folder / "text.zip").write_text("no archive at all")
    return folder / "text.zip"


def pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe")
    return folder / "pipe"


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (missing, UsageError, "does not exist; give the folder or the .zip"),
        (text_file, BrokenFileError, "is no whole ZIP archive: its end is missing"),
        (pipe, UsageError, "is no file or folder"),
    ],
    ids=["missing", "text", "pipe"],
)
def test_what_cannot_be_a_bundle_is_bad_input(
    make: Callable[[Path], Path], kind: type[ToolchainError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words) as caught:
        verify_bundle(make(tmp_path), silent)
    assert caught.value.exit_code == 2
