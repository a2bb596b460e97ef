"""`--weights`: what is reused, what is made anew, and real training runs in processes of their own."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from io import BytesIO
from pathlib import Path
from typing import Any

import h5py  # type: ignore[import-untyped]
import numpy as np
import pytest

import models.weights
from models.checkpoint import JSON_FILE, KERAS_FILE, TrainedModel, load_trained, save_trained
from models.data import dataset_slug, load_digits
from models.errors import OutputError, TrainingError, WeightsError
from models.files import work_folder
from models.spec import ModelSpec
from models.training import keep
from models.training.plan import plan_training
from models.training.settings import Phase, TrainSettings
from models.weights import obtain_weights, train_now, weights_source
from models.worker import Progress, Report
from models.zoo import MODELS

SPEC = MODELS["mobilenet_v2_0.35_96"]


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


def run_settings(seed: int, *, learning_rate: float = 1e-2) -> TrainSettings:
    phases = (
        Phase(resolution_px=8, epochs=1, learning_rate=learning_rate, batch=32),
        Phase(resolution_px=16, epochs=6, learning_rate=learning_rate, batch=32),
    )
    return TrainSettings(seed=seed, phases=phases)


def arrays(checkpoint: Path) -> dict[str, Any]:
    """All numbers of a `.keras` file by their path in it, read without Keras."""
    found: dict[str, Any] = {}
    with zipfile.ZipFile(checkpoint) as archive, h5py.File(BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def same(one: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same bits."""
    a, b = arrays(one), arrays(other)
    assert len(a) > 10
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# Real runs: each process of its own costs some seconds for TensorFlow's start.


@pytest.fixture
def in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs happen here instead of in a worker."""

    def call(function: Callable[..., Any], *args: Any, report: Report) -> Any:
        return function(report, *args)

    monkeypatch.setattr(models.weights, "run_in_worker", call)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build") / "tiny_1.0_16-digits"


@pytest.fixture(scope="module")
def trained(tiny: ModelSpec, folder: Path) -> TrainedModel:
    """A network that learned the digits for seven short epochs."""
    # The row says 1000 classes, as rows do; the data set decides.
    return train_now(replace(tiny, num_classes=1000), "digits", run_settings(0), folder, ignore)


def test_a_training_learns(trained: TrainedModel) -> None:
    accuracy = trained.record["accuracy"]
    # Chance is 0.1; with labels in another order than the pictures, or a loss that takes logits for probabilities,
    # nothing above 0.3 is ever reached.
    assert accuracy["validation_top1"] > 0.8
    assert accuracy["test_top1"] > 0.8
    losses = [row["loss"] for row in trained.record["history"]]
    assert losses[-1] < losses[0] / 3


def test_a_training_leaves_the_checkpoint_and_its_record_only(trained: TrainedModel, folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} - {".lock"} == {
        KERAS_FILE,
        JSON_FILE,
        "curves.json",
        "curves.png",
    }
    assert trained.path == folder / KERAS_FILE
    assert trained.sha256 == hashlib.sha256(trained.path.read_bytes()).hexdigest()


def test_the_record_says_what_was_trained_how_on_what_and_with_what(trained: TrainedModel, folder: Path) -> None:
    record = json.loads((folder / JSON_FILE).read_text("utf-8"))
    assert record["schema"] == 1
    assert record["model"] == "tiny_1.0_16"
    assert record["settings"] == json.loads(json.dumps(run_settings(0).to_json()))
    digits = load_digits()
    assert record["dataset"] == {
        "name": "digits",
        "source": digits.source,
        "sha256": digits.digest,
        "images": {"train": 1258, "validation": 180, "test": 359},
    }
    for package in ("tensorflow", "keras", "numpy", "scikit-learn", "pillow"):
        assert record["versions"][package] == metadata.version(package)
    assert record["weights"]["sha256"] == trained.sha256
    history = record["history"]
    assert [(row["resolution_px"], row["epoch"]) for row in history] == [(8, 1), *((16, n) for n in range(1, 7))]
    assert record["accuracy"]["validation_top1"] == max(row["validation_top1"] for row in history[1:])
    assert record["seconds"] > 0
    assert (trained.model, trained.source, trained.seed) == ("tiny_1.0_16", "digits", 0)


def test_a_finished_training_is_loaded_again(trained: TrainedModel, folder: Path) -> None:
    loaded = load_trained(folder)
    assert loaded is not None
    assert (loaded.sha256, loaded.seed, loaded.source) == (trained.sha256, 0, "digits")


@pytest.mark.usefixtures("in_this_process")
def test_the_same_seed_gives_the_same_bits_in_another_process(
    trained: TrainedModel, tiny: ModelSpec, tmp_path: Path
) -> None:
    again = train_now(tiny, "digits", run_settings(0), tmp_path / "again", ignore)
    assert same(trained.path, again.path)
    assert again.sha256 == trained.sha256
    assert again.record["accuracy"] == trained.record["accuracy"]


@pytest.mark.usefixtures("in_this_process")
def test_a_diverging_training_leaves_nothing_and_keeps_the_earlier_one(
    trained: TrainedModel, tiny: ModelSpec, folder: Path
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(
        TrainingError, match=r"^training diverged in epoch 1 at 8 px: the loss is nan; no epoch was finish"
    ):
        train_now(tiny, "digits", run_settings(1, learning_rate=1e38), folder, ignore)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert trained.path.is_file()


def test_random_weights_are_the_same_bits_in_another_process(
    tiny: ModelSpec, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    one = obtain_weights(tiny, "digits", "random", seed=0, build_dir=tmp_path / "one", report=ignore)
    request.getfixturevalue("in_this_process")
    again = obtain_weights(tiny, "digits", "random", seed=0, build_dir=tmp_path / "again", report=ignore)
    assert same(one.path, again.path)
    assert (one.source, one.seed, one.path.parent.name) == ("random", 0, "tiny_1.0_16-random")
    assert one.record["accuracy"]["validation_top1"] is None
    assert one.record["accuracy"]["test_top1"] < 0.5
    assert one.record["history"] == []
    # Settled on pictures: the statistics are no longer 0 and 1.
    statistics = [values for name, values in arrays(one.path).items() if values.ndim == 1]
    assert any(np.ptp(values) > 0.1 for values in statistics)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128", "mobilenet_v2_0.35_96"])
def test_a_real_network_learns_and_gives_the_same_bits_twice(tmp_path: Path, name: str) -> None:
    spec = MODELS[name]
    one, again = (
        train_now(spec, "digits", plan_training(spec, "digits"), tmp_path / place, ignore) for place in ("one", "again")
    )
    assert one.record["accuracy"]["test_top1"] > 0.5
    assert same(one.path, again.path)


@pytest.mark.slow
def test_a_network_without_normalization_learns_by_default(tmp_path: Path) -> None:
    spec = MODELS["vgg_small_separable"]
    trained = train_now(spec, "digits", plan_training(spec, "digits"), tmp_path / "run", ignore)
    # 99.2 % was seen; with weights that begin too small it stays at 10 %.
    assert trained.record["accuracy"]["test_top1"] > 0.95


# Which runs are made. Nothing is trained here: the worker is replaced by one that writes its settings.


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, TrainSettings]]:
    """Receives model, data set and settings of every run that is started."""
    runs: list[tuple[str, str, TrainSettings]] = []

    def run_in_worker(
        _function: object,
        spec: ModelSpec,
        dataset: str,
        settings: TrainSettings,
        made: Path,
        *_places: object,
        report: object,
    ) -> dict[str, Any]:
        assert callable(report)
        runs.append((spec.name, dataset, settings))
        made.write_text(repr(settings))
        return {"model": spec.name, "dataset": {"name": dataset_slug(dataset)}, "settings": settings.to_json()}

    monkeypatch.setattr(models.weights, "run_in_worker", run_in_worker)
    return runs


def obtain(build_dir: Path, choice: str, *, seed: int = 0, dataset: str = "digits") -> TrainedModel:
    return obtain_weights(SPEC, dataset, choice, seed=seed, build_dir=build_dir, report=ignore)


def test_auto_trains_by_the_default_recipe_once_and_then_reuses(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]]
) -> None:
    first = obtain(tmp_path, "auto")
    assert made == [(SPEC.name, "digits", plan_training(SPEC, "digits"))]
    assert first.path == tmp_path / f"{SPEC.name}-digits" / KERAS_FILE
    second = obtain(tmp_path, "auto")
    assert len(made) == 1
    assert (second.path, second.sha256, second.seed) == (first.path, first.sha256, first.seed)


def test_auto_reuses_what_was_trained_with_another_seed(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]]
) -> None:
    obtain(tmp_path, "auto", seed=3)
    assert obtain(tmp_path, "auto", seed=0).seed == 3
    assert len(made) == 1


@pytest.mark.parametrize("lost", [KERAS_FILE, JSON_FILE])
def test_auto_trains_again_when_one_of_the_two_files_is_gone(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]], lost: str
) -> None:
    (obtain(tmp_path, "auto").path.parent / lost).unlink()
    obtain(tmp_path, "auto")
    assert len(made) == 2


def test_auto_refuses_weights_that_were_changed_and_does_not_train_over_them(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]]
) -> None:
    path = obtain(tmp_path, "auto").path
    path.write_text("mine")
    with pytest.raises(WeightsError, match="was changed or damaged since training"):
        obtain(tmp_path, "auto")
    assert len(made) == 1
    assert path.read_text() == "mine"


def test_random_reuses_the_same_seed_and_remakes_another(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]]
) -> None:
    assert [obtain(tmp_path, "random", seed=seed).seed for seed in (0, 0, 1, 0)] == [0, 0, 1, 0]
    assert [settings.seed for _, _, settings in made] == [0, 1, 0]
    assert all(settings.phases == () for _, _, settings in made)


def test_random_is_remade_for_another_data_set(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    few = "shapes:train=17,validation=17,test=17,size=16"
    obtain(tmp_path, "random")
    obtain(tmp_path, "random", dataset=few)
    assert [dataset for _, dataset, _ in made] == ["digits", few]
    assert obtain(tmp_path, "auto", dataset=few).path.parent.name == f"{SPEC.name}-{dataset_slug(few)}"
    obtain(tmp_path, "auto", dataset=few)
    assert len(made) == 3


def test_random_and_auto_do_not_share_a_folder(tmp_path: Path, made: list[tuple[str, str, TrainSettings]]) -> None:
    assert obtain(tmp_path, "random").path.parent != obtain(tmp_path, "auto").path.parent
    assert len(made) == 2


def test_a_path_is_taken_as_it_is(tmp_path: Path, made: list[tuple[str, str, TrainSettings]]) -> None:
    path = tmp_path / "my net_1.4.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", "")
    weights = obtain(tmp_path / "build", str(path))
    assert weights == TrainedModel(
        model=SPEC.name,
        source="my net_1.4",
        path=path,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        seed=None,
        record={},
    )
    assert made == []
    assert not (tmp_path / "build").exists()


@pytest.mark.parametrize("stem", ["digits", "random", "imagenet"])
def test_a_path_whose_results_would_go_into_the_folder_of_other_weights_is_refused(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]], stem: str
) -> None:
    path = tmp_path / f"{stem}.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", "")
    message = rf"{stem}\.keras would go where those of --weights {stem} go; rename the file$"
    with pytest.raises(WeightsError, match=message):
        obtain(tmp_path / "build", str(path))
    assert made == []


@pytest.mark.parametrize(
    ("choice", "todo"), [("auto", "none yet: training on digits now"), ("random", "making random ones")]
)
def test_it_is_said_why_a_training_starts_and_what_is_used(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]], choice: str, todo: str
) -> None:
    reports: list[Progress] = []
    for _ in range(2):
        trained = obtain_weights(SPEC, "digits", choice, seed=0, build_dir=tmp_path, report=reports.append)
    assert [report.detail for report in reports] == [todo, f"kept in {trained.path}", f"from {trained.path}"]
    assert len(made) == 1


@pytest.mark.parametrize("choice", ["missing.keras", "ImageNet", "Auto", "/"])
def test_a_path_that_leads_nowhere_is_refused_with_the_choices(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]], choice: str
) -> None:
    with pytest.raises(WeightsError) as raised:
        obtain(tmp_path / "build", choice)
    message = f"checkpoint {choice} does not exist; give the path of a .keras file, or auto, random or imagenet"
    assert str(raised.value) == message
    assert made == []
    assert not (tmp_path / "build").exists()


def test_two_trainings_of_the_same_at_once_are_refused(
    tmp_path: Path, made: list[tuple[str, str, TrainSettings]]
) -> None:
    with (
        work_folder(tmp_path / f"{SPEC.name}-digits"),
        pytest.raises(OutputError, match=r"^another process is working"),
    ):
        obtain(tmp_path, "auto")
    assert made == []


def test_an_interrupted_training_says_what_is_kept_and_how_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / f"{SPEC.name}-digits"
    position = keep.Position(history=[{"epoch": 1}, {"epoch": 2}])

    def after_two_epochs(*_args: object, report: object) -> None:
        assert callable(report)
        state = keep.Unfinished(run={}, position=position, random={}, arrays={})
        keep.save_unfinished(folder / keep.FOLDER, state)
        raise KeyboardInterrupt

    def at_once(*_args: object, report: object) -> None:
        assert callable(report)
        raise KeyboardInterrupt

    for strike, said in (
        (at_once, ""),
        (after_two_epochs, f"2 finished epochs kept in {folder / 'training'}; the same command goes on from there"),
    ):
        monkeypatch.setattr(models.weights, "run_in_worker", strike)
        with pytest.raises(KeyboardInterrupt) as raised:
            obtain(tmp_path, "auto")
        assert str(raised.value) == said


@pytest.mark.parametrize(("fine_tune", "left"), [("imagenet", []), (None, [".partial-killed"])])
def test_a_training_ended_amid_a_download_leaves_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fine_tune: str | None, left: list[str]
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    cache = tmp_path / "keras" / "models"
    cache.mkdir(parents=True)

    def ended_amid_a_download(*_args: object, report: object) -> None:
        assert callable(report)
        (cache / ".partial-killed").mkdir()
        raise KeyboardInterrupt

    monkeypatch.setattr(models.weights, "run_in_worker", ended_amid_a_download)
    settings = TrainSettings(seed=0, phases=(), fine_tune=fine_tune)
    with pytest.raises(KeyboardInterrupt):
        train_now(SPEC, "digits", settings, tmp_path / "run", lambda _: None)
    assert [path.name for path in cache.iterdir()] == left


def test_a_finished_training_forgets_where_it_stood(tmp_path: Path, made: list[tuple[str, str, TrainSettings]]) -> None:
    folder = tmp_path / f"{SPEC.name}-digits"
    keep.save_unfinished(
        folder / keep.FOLDER, keep.Unfinished(run={}, position=keep.Position(), random={}, arrays={})
    )  # fmt: skip
    obtain(tmp_path, "auto")
    assert len(made) == 1
    assert not (folder / keep.FOLDER).exists()


def leave_qat(folder: Path) -> TrainedModel:
    """What a quantization-aware training leaves, with a file in it that is no more than an archive of that kind."""
    folder.mkdir(parents=True)
    made = folder / "made.keras"
    with zipfile.ZipFile(made, "w") as archive:
        for name in ("config.json", "model.weights.h5"):
            archive.writestr(name, "{}")
    record = {
        "model": SPEC.name,
        "dataset": {"name": "digits"},
        "settings": {"phases": [{}], "seed": 4},
        "preprocessing": {"fit": "crop"},
        "quantization": {"ranges": {"conv_1": [0.0, 6.0]}},
    }
    return save_trained(made, folder, record)


def test_qat_is_this_machines_quantization_aware_training(tmp_path: Path) -> None:
    left = leave_qat(tmp_path / f"{SPEC.name}-digits-qat")
    found = obtain(tmp_path, "qat")
    assert (found.sha256, found.source, found.seed) == (left.sha256, "digits-qat", 4)
    assert found.record["quantization"] == {"ranges": {"conv_1": [0.0, 6.0]}}


def test_qat_that_is_not_there_is_not_trained_unasked(tmp_path: Path) -> None:
    with pytest.raises(WeightsError) as raised:
        obtain(tmp_path, "qat")
    assert str(raised.value) == (
        f"{tmp_path}/{SPEC.name}-digits-qat holds no quantization-aware training of {SPEC.name}; train it with "
        f"`make train MODEL={SPEC.name} QAT=1`"
    )


def test_a_checkpoint_by_path_brings_its_preprocessing_and_ranges_as_long_as_they_are_its_own(tmp_path: Path) -> None:
    left = leave_qat(tmp_path / "kept")
    assert obtain(tmp_path, str(left.path)).record == {
        "preprocessing": {"fit": "crop"},
        "quantization": {"ranges": {"conv_1": [0.0, 6.0]}},
    }
    copy = tmp_path / "copy.keras"
    copy.write_bytes(left.path.read_bytes())
    assert obtain(tmp_path, str(copy)).record == {}
    with zipfile.ZipFile(left.path, "a") as archive:
        archive.writestr("more", "other weights")
    assert obtain(tmp_path, str(left.path)).record == {}


def test_a_checkpoint_that_is_called_as_such_results_are_is_refused(tmp_path: Path) -> None:
    left = leave_qat(tmp_path / "kept")
    path = left.path.rename(tmp_path / "digits-qat.keras")
    with pytest.raises(WeightsError, match=r"would go where those of quantization-aware training go; rename the file$"):
        obtain(tmp_path, str(path))


@pytest.mark.parametrize(
    ("choice", "source"),
    [("auto", "digits"), ("qat", "digits-qat"), ("random", "random"), ("imagenet", "imagenet"), ("a/b.keras", "b")],
)
def test_results_are_called_after_the_choice(choice: str, source: str) -> None:
    assert weights_source(choice, "digits") == source
