"""`python -m export run` as a person types it: what it says, what it writes, what it refuses, and how it ends."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import keras
import numpy as np
import pytest

from export.precision import PRECISIONS, Precision, select_precisions
from models.build import build
from models.checkpoint import run_folder
from models.data import DATASETS
from models.files import sha256_file
from models.zoo import MODELS, lookup

if TYPE_CHECKING:
    from tests.export.conftest import Cli, Exported, Network

    Finished = subprocess.CompletedProcess[str]

ROOT = Path(__file__).parent.parent.parent
DEFAULT = select_precisions(None, None)
HEAVY = {"tensorflow", "keras", "onnx", "onnxruntime", "ai_edge_litert", "litert_quantizer", "tf2onnx", "sklearn"}
NOISE = ("I0000", "W0000", "E0000", "WARNING", "oneDNN", "Interpreter", "INFO", "cuda", "Warning", "Traceback")
HOSTILE = [
    "x; touch pwned",
    "$(touch pwned)",
    "../../x",
    "/etc/passwd",
    "new\nline",
    "\x1b[31mred\x1b[0m",
    "",
    " ",
    "%s%n",
]


def file_of(model: str, row: Precision) -> str:
    return f"{model}-{row.name}.{row.format}"


def tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): sha256_file(p) if p.is_file() else "" for p in sorted(folder.rglob("*"))}


def error_line(run: "Finished") -> str:
    """The one line of a refusal, after checking that it is one."""
    assert run.returncode == 2, run.stderr
    assert run.stdout == ""
    # The stages passed before the refusal stand above it.
    *stages, line = run.stderr.rstrip("\n").split("\n")
    assert line.startswith("error: ")
    assert not [stage for stage in stages if "rror" in stage]
    assert not [word for word in (*NOISE, "\x1b") if word in run.stderr]
    return line


def assert_true(folder: Path) -> None:
    """No half file, and no manifest that lies."""
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    if (folder / "manifest.json").exists():
        manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
        for artifact in manifest["artifacts"]:
            assert sha256_file(folder / artifact["file"]) == artifact["sha256"]
        assert sha256_file(folder / "labels.txt") == manifest["labels"]["sha256"]


# The help, and what it refuses: first, because another process trains the network for the rest meanwhile


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["bundle", "--help"], ["verify-bundle", "--help"]], ids=" ".join
)
def test_help_comes_at_once_and_without_the_heavy_libraries(words: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "export", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - start)
    assert "usage: .venv/bin/python -m export" in run.stdout
    assert "exit codes: 0 all passed" in " ".join(run.stdout.split())
    assert min(times) < 0.5
    spy = (
        "import runpy, sys\n"
        f"sys.argv = ['export', *{words!r}]\n"
        "try:\n    runpy.run_module('export', run_name='__main__')\n"
        "except SystemExit:\n    pass\n"
        f"print('imported:', sorted({HEAVY!r} & set(sys.modules)))\n"
    )
    run = subprocess.run([sys.executable, "-c", spy], env=environment, capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "imported: []"


def test_the_help_of_run_names_every_precision_and_every_option(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "export", "run", "--help"]
    text = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200"}, capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip
    assert {row.name for row in PRECISIONS.values()} <= set(re.findall(r"\w+", text))
    options = "--model --weights --dataset --precision --format --calibration-images --seed --output --build-dir --json"
    assert set(options.split()) <= set(re.findall(r"--[\w-]+", text))


WRONG = [
    (["--model", "mobilenet_v2_1.5"], "unknown model 'mobilenet_v2_1.5'; did you mean mobilenet_v2_1."),
    (["--model", "mobilenet_v2_1.5"], "mobilenet_v2 has widths 0.35, 0.5, 0.75, 1.0, 1.3, 1.4"),
    (["--model", "mobilenet_v1_1.0_100"], "mobilenet_v1 has widths 0.25, 0.5, 0.75, 1.0 and resolutions 128, 160,"),
    (["--model", "resnet50"], "unknown model 'resnet50'"),
    (["--model", "mobilenet_v2_1.4", "--precision", "int4"], "unknown precision 'int4'; did you mean int8"),
    (["--model", "mobilenet_v2_1.4", "--format", "onnx", "--precision", "int8_npu"], "unknown precision 'int8_npu'"),
    (["--model", "mobilenet_v2_1.4", "--format", "coreml"], "unknown format 'coreml'; known: onnx, tflite"),
    (["--model", "mobilenet_v2_1.4", "--dataset", "imagenet"], "data set 'imagenet'; known: cifar10, digits, shapes"),
    (["--model", "mobilenet_v2_1.4", "--weights", "missing.keras"], "checkpoint missing.keras does not exist; give"),
    (["--model", "mobilenet_v2_1.4", "--weights", "."], "does not exist; give the path of a .keras file"),
    (["--model", "mobilenet_v2_1.4", "--output", "classes"], "argument --output: invalid choice: 'classes'"),
    (["--model", "mobilenet_v2_1.4", "--calibration-images", "many"], "'many' is not a whole number from 1"),
    (["--model", "mobilenet_v2_1.4", "--calibration-images", "0"], "'0' is not a whole number from 1 up; see"),
    (["--model", "mobilenet_v2_1.4", "--calibration-images", "-1"], "'-1' is not a whole number from 1 up; see"),
    (["--model", "mobilenet_v2_1.4", "--calibration-images", "99999"], "cannot take 99999 calibration images"),
    (["--model", "mobilenet_v2_1.4", "--seed", "-1"], "argument --seed: -1 is outside 0..4294967295"),
    (["--model", "mobilenet_v2_1.4", "--weight", "random"], "unrecognized arguments: --weight random"),
    ([], "the following arguments are required: --model"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), WRONG, ids=lambda value: " ".join(value)[:60] if value else "nothing")
def test_a_wrong_wish_is_one_clear_line_and_leaves_nothing(
    words: list[str], message: str, cli: "Cli", tmp_path: Path
) -> None:
    assert message in error_line(cli(*words))
    assert tree(tmp_path) == {}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("option", ["--model", "--precision", "--format", "--dataset", "--weights"])
def test_a_hostile_name_is_only_a_name(option: str, name: str, cli: "Cli", tmp_path: Path) -> None:
    if not name.strip() and option in ("--precision", "--format"):
        pytest.skip("an empty list means: not given")
    words = [option, name] if option == "--model" else ["--model", "mobilenet_v1_0.25_128", option, name]
    line = error_line(cli(*words))
    assert len(line) < 400
    assert tree(tmp_path) == {}


# What it makes and says


def test_the_summary_names_every_file_with_its_numbers_and_the_folder(full: "Exported", trained: "Network") -> None:
    run, folder = full.run, full.folder
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert run.returncode == (0 if manifest["passed"] else 1), run.stderr
    assert [(a["format"], a["precision"]) for a in manifest["artifacts"]] == [(r.format, r.name) for r in DEFAULT]
    assert trained.spec.name in run.stdout
    for artifact in manifest["artifacts"]:
        verdict = artifact["verification"]
        suffix = artifact["file"].removeprefix(f"{trained.spec.name}-")
        (line,) = (line for line in run.stdout.splitlines() if line.startswith((suffix, artifact["file"])))
        assert f"{artifact['size_bytes'] / 1e6:.2f} MB" in line
        assert f"{verdict['top1']:.2%}" in line
        assert f"{verdict['top1_agreement']:.2%}" in line
        assert f"{100 * verdict['top1_drop']:.2f} (" in line
        assert line.split()[-1] == ("passed" if verdict["passed"] else "FAILED")
    assert f"build/{folder.name}/" in run.stdout
    assert f"Keras float top-1 {manifest['weights']['top1']:.2%} on 359 test images" in run.stdout
    for format_ in ("tflite", "onnx"):
        (float32,) = (a for a in manifest["artifacts"] if (a["format"], a["precision"]) == (format_, "float32"))
        assert float32["verification"]["passed"]
        assert float32["verification"]["max_abs_error"] <= 1e-4
    assert max(len(line.rstrip()) for line in run.stdout.splitlines()[:10]) <= 80
    assert_true(folder)


def test_standard_error_shows_the_stages_and_none_of_the_libraries_noise(full: "Exported") -> None:
    run = full.run
    assert not [word for word in NOISE if word in run.stderr]
    for stage in (
        "start TensorFlow",
        "float conversion",
        "calibrate",
        *(f"verify {r.name}.{r.format}" for r in DEFAULT),
    ):
        assert stage in run.stderr


def test_the_same_inputs_give_the_same_bytes_and_json_stands_alone_on_standard_output(
    full: "Exported", trained: "Network", build_dir: Path, cli: "Cli"
) -> None:
    run = cli("--model", trained.spec.name, "--build-dir", str(build_dir), "--json")
    folder = run_folder(build_dir, trained.spec.name, "digits")
    assert run.returncode == full.run.returncode, run.stderr
    assert json.loads(run.stdout) == json.loads((folder / "manifest.json").read_text("utf-8"))
    assert not [word for word in NOISE if word in run.stderr]
    names = [file_of(trained.spec.name, row) for row in DEFAULT] + ["labels.txt", "manifest.json"]
    again, first = ({name: sha256_file(f / name) for name in names} for f in (folder, full.folder))
    assert again == first


@pytest.mark.slow
def test_a_further_export_of_one_precision_keeps_the_other_files(
    full: "Exported", published: Path, trained: "Network", cli: "Cli"
) -> None:
    before = tree(published)
    run = cli(
        "--model", trained.spec.name, "--precision", "int8", "--format", "tflite", "--build-dir", str(published.parent)
    )
    assert run.returncode in (0, full.run.returncode), run.stderr
    assert tree(published) == before


@pytest.mark.slow
def test_other_calibration_images_make_the_old_files_stale(published: Path, trained: "Network", cli: "Cli") -> None:
    run = cli(
        "--model", trained.spec.name, "--precision", "float32, int8_npu,", "--format", "tflite",
        "--calibration-images", "16", "--build-dir", str(published.parent), "--json",
    )  # fmt: skip
    assert run.returncode in (0, 1), run.stderr
    manifest = json.loads(run.stdout)
    kept = [row for row in DEFAULT if not row.calibrated or row.name == "int8_npu"]
    assert [(a["format"], a["precision"]) for a in manifest["artifacts"]] == [(row.format, row.name) for row in kept]
    assert manifest["calibration"]["images"] == 16
    files = {path.name for path in published.iterdir() if path.suffix in (".tflite", ".onnx")}
    assert files == {file_of(trained.spec.name, row) for row in kept}
    assert_true(published)


@pytest.mark.slow
def test_random_weights_are_exported_and_pass_with_logits_too(cli: "Cli", tmp_path: Path) -> None:
    run = cli(
        "--model", "mobilenet_v2_0.35_96", "--weights", "random", "--seed", "3", "--output", "logits", "--format",
        "tflite", "--precision", "float32,int8,int16x8",
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    folder = tmp_path / "build" / "mobilenet_v2_0.35_96-random"
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert (manifest["weights"]["source"], manifest["weights"]["seed"]) == ("random", 3)
    assert {artifact["output"]["name"] for artifact in manifest["artifacts"]} == {"logits"}
    assert not any("SOFTMAX" in artifact["operators"] for artifact in manifest["artifacts"])
    assert [sum(artifact["operators"].values()) for artifact in manifest["artifacts"]] == [64, 66, 64]
    assert_true(folder)


def test_a_checkpoint_at_any_path_is_exported(cli: "Cli", trained: "Network", tmp_path: Path) -> None:
    checkpoint = tmp_path / "my folder" / "net 1.4; touch pwned.v2.keras"
    checkpoint.parent.mkdir()
    shutil.copy(trained.weights.path, checkpoint)
    run = cli(
        "--model", trained.spec.name, "--weights", str(checkpoint), "--format", "onnx", "--precision", "float32",
        "--build-dir", "my build",
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    folder = tmp_path / "my build" / f"{trained.spec.name}-net 1.4; touch pwned.v2"
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    assert manifest["weights"]["source"] == "net 1.4; touch pwned.v2"
    assert manifest["weights"]["sha256"] == sha256_file(trained.weights.path)
    assert manifest["passed"]
    assert str(folder.relative_to(tmp_path)) in run.stdout
    assert not list(tmp_path.rglob("pwned"))
    assert_true(folder)


# Checkpoints it refuses


def truncated(trained: "Network", path: Path) -> None:
    path.write_bytes(trained.weights.path.read_bytes()[:-2000])


def cut_inside(trained: "Network", path: Path) -> None:
    with zipfile.ZipFile(trained.weights.path) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[: len(content) // 2] if name.endswith(".h5") else content)


def of_another_model(_: "Network", path: Path) -> None:
    build(lookup("mobilenet_v1_0.5_128")).save(path)


def of_other_classes(_: "Network", path: Path) -> None:
    build(lookup("mobilenet_v1_0.25_128")).save(path)


def with_nan(trained: "Network", path: Path) -> None:
    model = build(trained.spec)
    weights = model.get_weights()
    weights[3].flat[0] = np.nan
    model.set_weights(weights)
    model.save(path)


def with_code(_: "Network", path: Path) -> None:
    picture = keras.Input((128, 128, 3))
    code = keras.layers.Lambda(lambda x: x + __import__("os").system("touch pwned"), output_shape=(128, 128, 3))
    keras.Model(picture, code(picture)).save(path)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (truncated, "is damaged or not a .keras file"),
        pytest.param(
            of_another_model,
            "is not a mobilenet_v1_0.25_128: it is 'mobilenet_v1_0_5_128' with",
            marks=pytest.mark.slow,
        ),
        pytest.param(cut_inside, "cannot be loaded: ", marks=pytest.mark.slow),
        pytest.param(of_other_classes, "has 1000 classes, the data set has 10; give the", marks=pytest.mark.slow),
        pytest.param(with_nan, "has NaN or infinite values in 1 of", marks=pytest.mark.slow),
        pytest.param(with_code, "it holds a Lambda layer, which is code from outside", marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
@pytest.mark.filterwarnings("ignore:.*Lambda.*:UserWarning")
def test_a_spoiled_checkpoint_is_refused_in_one_line_and_leaves_nothing(
    spoil: Callable[["Network", Path], None], message: str, trained: "Network", cli: "Cli", tmp_path: Path
) -> None:
    checkpoint = tmp_path / "given.keras"
    spoil(trained, checkpoint)
    before = tree(tmp_path)
    line = error_line(cli("--model", trained.spec.name, "--weights", "given.keras", "--precision", "float32"))
    assert line.startswith("error: checkpoint given.keras ")
    assert message in line
    assert tree(tmp_path) == before


def test_every_data_set_and_model_is_offered_by_name() -> None:
    # The refusals above name what there is; they would be wrong if these grew without them.
    assert set(DATASETS) == {"cifar10", "digits", "shapes"}
    assert {spec.family for spec in MODELS.values()} >= {"mobilenet_v1", "mobilenet_v2"}


# Where it cannot write


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small file system with the given options."""
    made: list[Path] = []

    def mount(options: str) -> Path:
        folder = tmp_path / f"mounted-{len(made)}"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, check=False
        )
        if done.returncode:
            pytest.skip(f"needs the right to mount a tmpfs: {done.stderr.decode().strip()}")
        made.append(folder)
        return folder

    if sys.platform != "linux":
        pytest.skip("mounts a Linux tmpfs")
    yield mount
    for folder in made:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_line_and_leaves_it_as_empty_as_it_was(
    tmpfs: Callable[[str], Path], trained: "Network", cli: "Cli"
) -> None:
    # The test pictures alone are 17 MB.
    disk = tmpfs("size=4m")
    run = cli("--model", trained.spec.name, "--weights", str(trained.weights.path), "--build-dir", str(disk / "build"))
    assert "No space left on device; free some space and run the same command again" in error_line(run)
    assert tree(disk) == {}


def test_a_read_only_disk_is_one_line(tmpfs: Callable[[str], Path], trained: "Network", cli: "Cli") -> None:
    disk = tmpfs("ro,size=1m")
    run = cli("--model", trained.spec.name, "--weights", str(trained.weights.path), "--build-dir", str(disk / "build"))
    line = error_line(run)
    assert f"cannot write {disk}/build" in line
    assert "Read-only file system; choose a folder that can be written with --build-dir" in line


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_one_line(trained: "Network", cli: "Cli", tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    run = cli(
        "--model", trained.spec.name, "--weights", str(trained.weights.path), "--build-dir", str(locked / "build")
    )
    assert "Permission denied; choose a folder that can be written with --build-dir" in error_line(run)


@pytest.mark.parametrize("file", ["build", "build/mobilenet_v1_0.25_128-trained"])
def test_a_file_where_a_folder_should_be_is_one_line(file: str, trained: "Network", cli: "Cli", tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("mine")
    run = cli("--model", trained.spec.name, "--weights", str(trained.weights.path))
    assert "a file stands where a folder should be; choose another place with --build-dir" in error_line(run)
    assert (tmp_path / file).read_text() == "mine"
