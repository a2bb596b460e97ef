"""`trained.keras` with `trained.json` beside it, without any Keras: to these functions weights are bytes."""

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from models.checkpoint import JSON_FILE, KERAS_FILE, check_keras_file, load_trained, run_folder, save_trained
from models.errors import OutputError, WeightsError
from models.zoo import MODELS

WEIGHTS = bytes(range(256)) * 40
PHASE = {"resolution_px": 32, "epochs": 1, "learning_rate": 1e-3, "batch": 32}


def record(*, seed: int = 3, phases: int = 1) -> dict[str, Any]:
    return {
        "model": "mobilenet_v2_1.0",
        "dataset": {"name": "digits"},
        "settings": {"seed": seed, "phases": [PHASE] * phases},
    }


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A finished file in its private folder."""
    made = tmp_path / "work" / KERAS_FILE
    made.parent.mkdir()
    made.write_bytes(WEIGHTS)
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "mobilenet_v2_1.0-digits"
    folder.mkdir()
    return folder


def test_what_was_saved_is_loaded_again(made: Path, folder: Path) -> None:
    saved = save_trained(made, folder, record())
    assert load_trained(folder) == saved
    assert (saved.model, saved.source, saved.seed) == ("mobilenet_v2_1.0", "digits", 3)
    assert saved.path == folder / KERAS_FILE
    assert saved.path.read_bytes() == WEIGHTS
    assert not made.exists()


def test_the_record_vouches_for_the_weights_by_their_hash(made: Path, folder: Path) -> None:
    saved = save_trained(made, folder, record())
    written = json.loads((folder / JSON_FILE).read_text("utf-8"))
    assert written == saved.record
    assert written["schema"] == 1
    assert written["weights"] == {"file": KERAS_FILE, "sha256": hashlib.sha256(WEIGHTS).hexdigest()}
    assert saved.sha256 == written["weights"]["sha256"]


def test_weights_without_training_are_called_random(made: Path, folder: Path) -> None:
    assert save_trained(made, folder, record(phases=0)).source == "random"


@pytest.mark.parametrize("lost", [(JSON_FILE,), (KERAS_FILE,), (JSON_FILE, KERAS_FILE)])
def test_one_file_without_the_other_counts_as_no_training(made: Path, folder: Path, lost: tuple[str, ...]) -> None:
    save_trained(made, folder, record())
    for name in lost:
        (folder / name).unlink()
    assert load_trained(folder) is None


def test_a_folder_that_does_not_exist_counts_as_no_training(tmp_path: Path) -> None:
    assert load_trained(tmp_path / "nothing") is None


def test_a_death_between_the_two_files_leaves_no_record_for_other_weights(
    monkeypatch: pytest.MonkeyPatch, made: Path, folder: Path
) -> None:
    save_trained(made, folder, record())
    made.write_bytes(b"new weights")

    def die(_path: Path, _data: bytes) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("models.checkpoint.write_file", die)
    with pytest.raises(KeyboardInterrupt):
        save_trained(made, folder, record(seed=4))
    assert load_trained(folder) is None


@pytest.mark.parametrize("position", [0, len(WEIGHTS) // 2, len(WEIGHTS) - 1])
def test_one_changed_bit_in_the_weights_is_found(made: Path, folder: Path, position: int) -> None:
    path = save_trained(made, folder, record()).path
    data = bytearray(WEIGHTS)
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError) as raised:
        load_trained(folder)
    got, expected = hashlib.sha256(data).hexdigest(), hashlib.sha256(WEIGHTS).hexdigest()
    assert str(raised.value) == (
        f"{path} was changed or damaged since training: its sha256 is {got[:12]}…, trained.json says "
        f"{expected[:12]}…; delete {folder} to train again, or name another checkpoint with --weights"
    )


BROKEN = {
    "no JSON": b'{"schema": 1, "mod',
    "no text": b"\xff\xfe\x00",
    "empty": b"",
    "a list": b"[]",
    "null": b"null",
    "no weights": b'{"model": "m", "dataset": {"name": "digits"}, "settings": {"seed": 0, "phases": []}}',
    "no settings": b'{"model": "m", "dataset": {"name": "digits"}, "weights": {"sha256": "00"}}',
    "weights are a word": b'{"weights": "trained.keras"}',
}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_record_that_cannot_be_read_is_refused_in_one_line_with_what_to_do(
    made: Path, folder: Path, text: bytes
) -> None:
    save_trained(made, folder, record())
    (folder / JSON_FILE).write_bytes(text)
    with pytest.raises(WeightsError) as raised:
        load_trained(folder)
    message = str(raised.value)
    assert message.startswith(f"{folder / JSON_FILE} cannot be read (")
    assert message.endswith(f"; delete {folder} to train again, or name another checkpoint with --weights")
    assert len(message.splitlines()) == 1


def test_a_hash_that_is_no_text_is_a_hash_that_does_not_fit(made: Path, folder: Path) -> None:
    saved = save_trained(made, folder, record())
    (folder / JSON_FILE).write_text(json.dumps({**saved.record, "weights": {"sha256": 5}}))
    with pytest.raises(WeightsError, match=r"trained\.json says 5…; delete"):
        load_trained(folder)


def test_a_folder_that_is_gone_is_an_output_error(made: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^cannot write "):
        save_trained(made, tmp_path / "gone", record())


@pytest.mark.parametrize("name", MODELS)
def test_the_folder_of_a_run_keeps_the_whole_name(tmp_path: Path, name: str) -> None:
    assert run_folder(tmp_path, name, "digits") == tmp_path / f"{name}-digits"


def test_a_checkpoint_by_path_must_be_there_and_be_an_archive(tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    with pytest.raises(WeightsError, match=r"model\.keras does not exist; give the path of a \.keras file, or auto"):
        check_keras_file(path)
    path.write_bytes(WEIGHTS)
    with pytest.raises(WeightsError, match=r"is damaged or not a \.keras file \(it is no zip archive\)"):
        check_keras_file(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
    with pytest.raises(WeightsError, match=r"is no \.keras file: model\.weights\.h5 missing in it"):
        check_keras_file(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.weights.h5", "")
    check_keras_file(path)
