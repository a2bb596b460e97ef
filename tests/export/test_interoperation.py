"""The files in an older runtime: tflite-runtime 2.14.0, the last of its name, which old ARM boards still run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from export.precision import PRECISIONS, select_precisions
from tests.export.loose import loosened

if TYPE_CHECKING:
    from tests.export.conftest import Cli, Exported, Network

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).with_name("old_runtime.py")
REQUIREMENTS = ("tflite-runtime==2.14.0", "numpy<2")
TFLITE = [row.name for row in select_precisions(None, ["tflite"])]


@pytest.fixture(scope="module")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with tflite-runtime 2.14.0."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip(f"tflite-runtime 2.14.0 has no wheel for Python {sys.version_info.major}.{sys.version_info.minor}")
    folder = tmp_path_factory.mktemp("old") / "venv"
    python = folder / "bin" / "python"
    if shutil.which("uv"):
        steps = [["uv", "venv", "-q", "--python", sys.executable, str(folder)]]
        steps += [["uv", "pip", "install", "-q", "--python", str(python), *REQUIREMENTS]]
    else:
        steps = [
            [sys.executable, "-m", "venv", str(folder)],
            [str(python), "-m", "pip", "install", "-q", *REQUIREMENTS],
        ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, timeout=250, check=False)
        if done.returncode:
            pytest.skip(f"{REQUIREMENTS[0]} cannot be installed here: {done.stderr.strip()[-300:]}")
    return python


@pytest.fixture(scope="module")
def pictures(trained: "Network", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test pictures with the Keras model's answers."""
    path = tmp_path_factory.mktemp("pictures") / "pictures.npz"
    np.savez(path, pixels=np.load(trained.work.test_pixels)[:120], reference=np.load(trained.work.reference)[:120])
    return path


def run_old(python: Path, folder: Path, pictures: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), str(SCRIPT), str(folder), str(pictures)], capture_output=True, text=True, timeout=250, check=False
    )


@pytest.fixture(scope="module")
def found(old_python: Path, full: "Exported", pictures: Path) -> dict[str, Any]:
    """What the old runtime finds in every file, with and without its delegate."""
    run = run_old(old_python, full.folder, pictures)
    assert run.stdout, run.stderr
    assert run.returncode == 0, run.stdout
    results: dict[str, Any] = json.loads(run.stdout)
    return results


@pytest.mark.parametrize("kernels", ["default", "builtin"])
@pytest.mark.parametrize("name", TFLITE)
def test_tflite_runtime_2_14_loads_every_file_and_agrees(name: str, kernels: str, found: dict[str, Any]) -> None:
    result = found[f"{name} {kernels}"]
    assert "error" not in result, result
    assert result["agreement"] >= {"float32": 1.0, "float16": 0.99}.get(name, 0.97)
    weights = PRECISIONS["tflite", name].weight_dtype
    assert result["max_abs_error"] <= {"float32": 1e-4, "float16": 2e-2}.get(weights, 0.6)


def test_shared_vectors_change_no_answer_of_tflite_runtime_2_14(
    old_python: Path, full: "Exported", pictures: Path, found: dict[str, Any], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(full.folder, tmp_path / "files"))
    for file in folder.glob("*.tflite"):
        loose = loosened(file.read_bytes())
        assert len(loose) > file.stat().st_size
        file.write_bytes(loose)
    # To the last bit of the largest difference to Keras.
    assert json.loads(run_old(old_python, folder, pictures).stdout) == found


def test_the_script_says_no_when_a_file_does_not_agree(
    old_python: Path, full: "Exported", pictures: Path, tmp_path: Path
) -> None:
    numbers = np.load(pictures)
    other = tmp_path / "other.npz"
    np.savez(other, pixels=numbers["pixels"], reference=np.roll(numbers["reference"], 1, axis=1))
    run = run_old(old_python, full.folder, other)
    assert run.returncode == 1
    assert json.loads(run.stdout)["float32 builtin"]["agreement"] < 0.5


def test_the_script_says_no_when_a_file_does_not_load(
    old_python: Path, full: "Exported", pictures: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(full.folder, tmp_path / "files"))
    (damaged,) = folder.glob("*-float16.tflite")
    damaged.write_bytes(b"nothing of the kind" * 100)
    run = run_old(old_python, folder, pictures)
    assert run.returncode == 1
    assert "error" in json.loads(run.stdout)["float16 builtin"]


def test_the_script_runs_in_the_projects_own_runtime_too(full: "Exported", pictures: Path, run_script: "Cli") -> None:
    run = run_script(str(SCRIPT), str(full.folder), str(pictures))
    assert run.returncode == 0, run.stdout + run.stderr
