"""The bundle's own program, as its receiver runs it: alone, with NumPy and whatever runtime is there."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from export.bundle.archive import write_archive
from export.bundle.shipped import verify_bundle
from export.bundle.shipped.verify_bundle import BadBundle, Difference, compare, is_safe, load_runtime
from tests.export.bundle.conftest import edit_manifest

Finished = subprocess.CompletedProcess[str]


def verify(bundle: Path, *words: str, **variables: str) -> Finished:
    return subprocess.run(
        [sys.executable, "-I", str(bundle / "verify_bundle.py"), *words], cwd=bundle.parent, text=True,
        capture_output=True, env=os.environ | variables, check=False,
    )  # fmt: skip


def test_it_passes_where_it_lies_and_writes_nothing(bundle: Path) -> None:
    before = sorted(bundle.rglob("*"))
    run = verify(bundle)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert lines[-1] == "passed: this bundle is whole and computes here what it should"
    assert sum(line.startswith("ok  models/") for line in lines) == 6
    assert sorted(bundle.rglob("*")) == before


def test_it_names_the_first_difference_with_exit_code_1(bundle: Path) -> None:
    (bundle / "labels.txt").write_bytes(b"x" + (bundle / "labels.txt").read_bytes()[1:])
    run = verify(bundle, str(bundle))
    assert run.returncode == 1
    assert run.stderr.startswith("DIFFERS  labels.txt has sha256 ")
    assert "passed" not in run.stdout


@pytest.mark.parametrize("words", [["nowhere"], ["a", "b"]], ids=["no folder", "too many"])
def test_what_is_no_bundle_is_exit_code_2(words: list[str], bundle: Path) -> None:
    assert verify(bundle, *words).returncode == 2


def test_help_is_no_error(bundle: Path) -> None:
    run = verify(bundle, "--help")
    assert (run.returncode, run.stderr) == (0, "")
    assert "python verify_bundle.py [FOLDER]" in run.stdout


def test_without_a_runtime_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_bundle, "RUNTIMES", ("no_such_runtime",))
    with pytest.raises(BadBundle, match="no TFLite runtime is installed; python -m pip install ai-edge-litert"):
        load_runtime()


def test_it_needs_no_more_than_numpy_and_python_39() -> None:
    tree = ast.parse(Path(verify_bundle.__file__).read_text("utf-8"), feature_version=(3, 9))
    names = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    names |= {str(node.module).split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert names - set(sys.stdlib_module_names) == {"numpy"}


def test_what_is_shipped_is_what_is_tested(bundle: Path) -> None:
    assert (bundle / "verify_bundle.py").read_bytes() == Path(verify_bundle.__file__).read_bytes()


MODEL = {
    "file": "m.tflite",
    "output": {"scale": None, "zero_point": None, "meaning": "probabilities"},
    "golden": {"tolerance": {"max_abs_error": 0.1}},
}
NAMES = ["a", "b", "c"]


def vector(values: list[float]) -> dict[str, object]:
    best = sorted(range(3), key=lambda i: -values[i])
    top = [{"index": i, "label": NAMES[i], "probability": values[i]} for i in best]
    return {"image": "1.png", "top5": top}


def test_outputs_within_the_tolerance_pass_even_if_a_tie_falls_the_other_way() -> None:
    expected = [0.45, 0.40, 0.15]
    assert compare(np.array([[0.41, 0.44, 0.15]]), np.array([expected]), MODEL, vector(expected), NAMES) < 0.05


@pytest.mark.parametrize(
    ("got", "words"),
    [([0.34, 0.40, 0.26], "differs by 0.11"), ([0.0, 0.0, float("nan")], "differs by nan")],
    ids=["off", "nan"],
)
def test_outputs_beyond_the_tolerance_are_found(got: list[float], words: str) -> None:
    expected = [0.45, 0.40, 0.15]
    with pytest.raises(Difference, match=words):
        compare(np.array([got]), np.array([expected]), MODEL, vector(expected), NAMES)


def test_logits_and_quantized_outputs_are_read_as_probabilities() -> None:
    logits = {"scale": 0.5, "zero_point": 3, "meaning": "logits"}
    values = verify_bundle.probabilities(np.array([[3, 5, 3]], np.int8), logits)
    assert values == pytest.approx(np.exp([0, 1, 0]) / np.exp([0, 1, 0]).sum())


@pytest.mark.parametrize("path", ["a", "a/b.txt", "golden/inputs/uint8/01.npy", "m-v2_1.4.tflite", "_x"])
def test_names_of_bundles_are_safe(path: str) -> None:
    assert is_safe(path)


@pytest.mark.slow
def test_a_clean_environment_with_numpy_and_litert_verifies_the_archive(bundle: Path, tmp_path: Path) -> None:
    """Installs from the package index, as a receiver would."""
    write_archive(bundle, tmp_path / "b.zip")
    (tmp_path / "received").mkdir()
    shutil.unpack_archive(tmp_path / "b.zip", tmp_path / "received")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "clean")], check=True)
    python = str(tmp_path / "clean/bin/python")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "numpy", "ai-edge-litert"], check=True)
    received = tmp_path / "received" / bundle.name
    run = subprocess.run(
        [python, "-I", "verify_bundle.py"], cwd=received, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1].startswith("passed: ")
    edit_manifest(received, lambda manifest: manifest["models"][0]["golden"]["vectors"][0]["top5"][0].update(index=5))
    again = subprocess.run(
        [python, "-I", "verify_bundle.py"], cwd=received, capture_output=True, text=True, check=False
    )  # fmt: skip
    # Above it, the runtime says that it started.
    assert again.returncode == 1
    assert again.stderr.splitlines()[-1].startswith("DIFFERS  models/mobilenet_v1_0.25_128-int8.tflite on golden/")
