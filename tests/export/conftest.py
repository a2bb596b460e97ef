"""Networks made once for all export tests, however many processes run them."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from export.metadata.info import compose_info
from export.metadata.labels import format_labels
from export.precision import PRECISIONS, Precision
from export.quantization.settings import DEFAULTS
from export.stages import Notes, calibrate_stage, convert_stage, onnx_stage, prepare_stage, tflite_stage
from export.work import WorkFiles
from models.checkpoint import TrainedModel, load_trained, run_folder
from models.spec import ModelSpec
from models.training.settings import Phase, TrainSettings
from models.weights import train_now
from models.worker import Progress, Task, run_in_worker, run_in_workers
from models.zoo import lookup

ROOT = Path(__file__).parent.parent.parent
CALIBRATION_IMAGES = 128

WELL_TRAINED = TrainSettings(seed=0, phases=(Phase(resolution_px=128, epochs=8, learning_rate=3e-3, batch=32),))
"""97 % on digits after a minute: sure enough of itself that 8 bits move one picture of 359."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network with weights, and the files of every precision made from it, under fixed names in `work`."""

    spec: ModelSpec
    """With the classes of the digits."""
    build_dir: Path
    """Holds the finished training run; `auto` finds it."""
    weights: TrainedModel
    work: WorkFiles
    notes: Notes
    """What is written into the TFLite files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A finished export by the command line."""

    run: subprocess.CompletedProcess[str]
    folder: Path


Cli = Callable[..., subprocess.CompletedProcess[str]]


def silent(_: Progress) -> None:
    """Takes progress and shows none."""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Network:
    """MobileNetV1 0.25 at 128 px, really trained on the digits, in every precision."""
    return _network(_shared_folder(tmp_path_factory), "mobilenet_v1_0.25_128", WELL_TRAINED, pytestconfig)


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """MobileNetV2 0.35 at 96 px with random weights, in every precision."""
    return _network(_shared_folder(tmp_path_factory), "mobilenet_v2_0.35_96", TrainSettings(seed=0, phases=()))


@pytest.fixture
def build_dir(trained: Network, tmp_path: Path) -> Path:
    """A build folder of the test's own, where the trained network stands finished."""
    folder = run_folder(tmp_path / "build", trained.spec.name, "digits")
    folder.mkdir(parents=True)
    for file in ("trained.keras", "trained.json"):
        os.link(trained.weights.path.parent / file, folder / file)
    return tmp_path / "build"


@pytest.fixture(scope="session")
def run_script() -> Cli:
    """Runs Python with the words given, in a folder and with variables given, and no settings of the tests' own."""

    def run(*words: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        hidden = ("TF_", "CUDA_", "COLUMNS", "PYTEST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
        return subprocess.run(
            [sys.executable, *words], cwd=cwd, env=kept | {"PYTHONPATH": str(ROOT)} | variables,
            capture_output=True, text=True, timeout=250, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def run_cli(run_script: Cli) -> Cli:
    """`python -m export run ...` as a person would type it."""

    def run(*words: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_script("-m", "export", "run", *words, cwd=cwd, **variables)

    return run


@pytest.fixture
def cli(run_cli: Cli, tmp_path: Path) -> Cli:
    """The same in the test's own folder, empty but for what the test puts there."""

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return run_cli(*words, cwd=tmp_path, **variables)

    return run


@pytest.fixture(scope="session")
def full(trained: Network, tmp_path_factory: pytest.TempPathFactory, run_cli: Cli) -> Exported:
    """A full export of the trained network by the command line, made once."""
    shared = _shared_folder(tmp_path_factory)
    build, record = shared / "full" / "build", shared / "full" / "run.json"
    folder = run_folder(build, trained.spec.name, "digits")
    with _one_at_a_time(shared / "full.lock"):
        if not record.exists():
            shutil.copytree(trained.weights.path.parent, folder)
            made = run_cli("--model", trained.spec.name, cwd=build.parent)
            record.write_text(json.dumps([made.returncode, made.stdout, made.stderr]))
    code, stdout, stderr = json.loads(record.read_text())
    return Exported(run=subprocess.CompletedProcess([], code, stdout, stderr), folder=folder)


@pytest.fixture
def published(full: Exported, tmp_path: Path) -> Path:
    """A copy of what the full export published, in a build folder of the test's own."""
    return Path(shutil.copytree(full.folder, tmp_path / "build" / full.folder.name))


def _shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for all processes of this run of pytest, and for no other run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@contextmanager
def _one_at_a_time(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _train(spec: ModelSpec, settings: TrainSettings, run: Path, config: pytest.Config | None) -> TrainedModel:
    """A run of training; by the same code and packages as an earlier run of pytest's, that one's, to the byte."""
    kept = _kept(spec, settings, config)
    if kept is None or not (kept / "done").exists():
        weights = train_now(spec, "digits", settings, run, silent)
        if kept is not None:
            shutil.copytree(run, kept, dirs_exist_ok=True)
            (kept / "done").touch()
        return weights
    shutil.copytree(kept, run, ignore=shutil.ignore_patterns("done"))
    return load_trained(run) or pytest.fail(f"{kept} is damaged: make clean")


def _kept(spec: ModelSpec, settings: TrainSettings, config: pytest.Config | None) -> Path | None:
    """Where pytest's cache has such a run; None without a cache."""
    if config is None or not hasattr(config, "cache") or config.cache is None:
        return None
    digest = hashlib.sha256(repr((spec, settings, sys.version_info[:2])).encode())
    for path in (ROOT / "requirements.lock", *sorted((ROOT / "models").rglob("*.py"))):
        digest.update(path.read_bytes())
    return config.cache.mkdir(f"trained-{digest.hexdigest()[:16]}")


def _network(shared: Path, name: str, settings: TrainSettings, config: pytest.Config | None = None) -> Network:
    spec, folder = lookup(name), shared / f"network-{name}"
    build, work, done = folder / "build", WorkFiles(folder / "work"), folder / "done"
    source = "digits" if settings.phases else "random"
    with _one_at_a_time(shared / f"{folder.name}.lock"):
        if not done.exists():
            work.folder.mkdir(parents=True)
            weights = _train(spec, settings, run_folder(build, name, source), config)
            prepared = run_in_worker(prepare_stage, "digits", spec, CALIBRATION_IMAGES, 0, work)
            known = replace(spec, num_classes=len(prepared.labels))
            _make_all(known, _notes(known, weights), weights, work)
            done.touch()
    weights = load_trained(run_folder(build, name, source)) or pytest.fail("the training run is not finished")
    known = replace(spec, num_classes=10)
    return Network(spec=known, build_dir=build, weights=weights, work=work, notes=_notes(known, weights))


def _notes(spec: ModelSpec, weights: TrainedModel) -> Notes:
    info = compose_info(spec, source=weights.source, weights_sha256=weights.sha256)
    return Notes(info=info, labels=format_labels([str(n) for n in range(spec.num_classes)]))


def _make_all(spec: ModelSpec, notes: Notes, weights: TrainedModel, work: WorkFiles) -> None:
    rows: dict[str, list[Precision]] = {"tflite": [], "onnx": []}
    for row in PRECISIONS.values():
        rows[row.format].append(row)
    run_in_worker(convert_stage, spec, weights.path, "probabilities", True, work)
    # One block is found sooner than as many as pay.
    assert not run_in_worker(calibrate_stage, spec, replace(DEFAULTS, float_blocks=1), work, True)
    stages = (
        Task(tflite_stage, (tuple(rows["tflite"]), notes, work)),
        Task(onnx_stage, (spec, tuple(rows["onnx"]), work)),
    )
    assert run_in_workers(stages, at_once=2) == [{}, {}]
