"""The file that a further run goes on from: whole, checked, without code in it."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from models.errors import OutputError
from models.training import keep
from models.training.keep import (
    FILE,
    Position,
    Unfinished,
    differences,
    forget,
    load_unfinished,
    read_position,
    save_unfinished,
)

STATE = Unfinished(
    run={"settings": {"seed": 0}},
    position=Position(phase=1, epochs=2, step=70, seconds=1.5, best_top1=0.5, history=[{"epoch": 1, "loss": 0.1}]),
    random=np.random.default_rng(5).bit_generator.state,
    arrays={
        "model/0": np.arange(6, dtype=np.float32).reshape(2, 3),
        "optimizer/0": np.array(7, np.int64),
        "augment/0": np.array([1, 2], np.int64),
        "best/0": np.array(np.pi, np.float32),
    },
)


def test_what_is_kept_comes_back_bit_by_bit(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "training"
    save_unfinished(folder, STATE)
    loaded = load_unfinished(folder)
    assert loaded is not None
    assert (loaded.run, loaded.position, loaded.random) == (STATE.run, STATE.position, STATE.random)
    assert list(loaded.arrays) == list(STATE.arrays)
    for name, values in STATE.arrays.items():
        assert loaded.arrays[name].dtype == np.asarray(values).dtype
        assert np.array_equal(loaded.arrays[name], values)
    assert read_position(folder) == (STATE.run, STATE.position)
    assert [path.name for path in folder.iterdir()] == [FILE]


def test_a_generator_goes_on_from_the_state_kept(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rng.permutation(1000)
    state = Unfinished(run={}, position=Position(), random=rng.bit_generator.state, arrays={})
    save_unfinished(tmp_path, state)
    loaded = load_unfinished(tmp_path)
    assert loaded is not None
    other = np.random.default_rng(99)
    other.bit_generator.state = dict(loaded.random)
    assert np.array_equal(other.permutation(1000), rng.permutation(1000))


def test_where_nothing_was_kept_there_is_nothing(tmp_path: Path) -> None:
    assert load_unfinished(tmp_path / "no") is None
    assert read_position(tmp_path / "no") is None
    forget(tmp_path / "no")


@pytest.mark.parametrize("step", range(0, 3000, 137))
def test_a_file_cut_off_anywhere_is_refused(tmp_path: Path, step: int) -> None:
    save_unfinished(tmp_path, STATE)
    path = tmp_path / FILE
    content = path.read_bytes()
    path.write_bytes(content[: min(step, len(content) - 1)])
    with pytest.raises(ValueError, match=r"unfinished\.zip is damaged \("):
        load_unfinished(tmp_path)


def test_a_changed_bit_in_the_numbers_is_noticed(tmp_path: Path) -> None:
    save_unfinished(tmp_path, STATE)
    path = tmp_path / FILE
    content = bytearray(path.read_bytes())
    at = content.index(np.float32(np.pi).tobytes())
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"is damaged \(Bad CRC-32 for file '3\.npy'\)"):
        load_unfinished(tmp_path)


@pytest.mark.parametrize(
    "state", ["[]", "{}", '{"schema": 2}', "nonsense", '{"schema": 1, "arrays": ["a"]}', "[" * 100_000]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, state: str) -> None:
    with zipfile.ZipFile(tmp_path / FILE, "w") as archive:
        archive.writestr("state.json", state)
    with pytest.raises(ValueError, match="is damaged"):
        load_unfinished(tmp_path)
    assert read_position(tmp_path) is None


def test_pickles_are_not_read(tmp_path: Path) -> None:
    save_unfinished(tmp_path, STATE)
    with zipfile.ZipFile(tmp_path / FILE) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(tmp_path / FILE, "w") as archive:
        for name, content in members.items():
            if name == "0.npy":
                with archive.open(name, "w") as member:
                    np.lib.format.write_array(member, np.array([{}], object), allow_pickle=True)
            else:
                archive.writestr(name, content)
    with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
        load_unfinished(tmp_path)


def test_a_write_that_fails_leaves_the_earlier_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_unfinished(tmp_path, STATE)

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keep, "replace_file", full)
    later = Unfinished(run={}, position=Position(epochs=3), random={}, arrays={})
    with pytest.raises(OutputError, match="No space left on device; free some space"):
        save_unfinished(tmp_path, later)
    kept = read_position(tmp_path)
    assert kept is not None
    assert kept[1] == STATE.position
    assert [path.name for path in tmp_path.iterdir()] == [FILE], "what was written in vain gives its room back"
    with pytest.raises(OutputError):
        save_unfinished(tmp_path / "first", later)
    assert not (tmp_path / "first").exists()


def test_forgetting_leaves_what_it_did_not_make(tmp_path: Path) -> None:
    folder = tmp_path / "training"
    save_unfinished(folder, STATE)
    (folder / f".{FILE}.partial").write_text("cut off")
    forget(folder)
    assert not folder.exists()
    save_unfinished(folder, STATE)
    (folder / "mine").touch()
    forget(folder)
    assert [path.name for path in folder.iterdir()] == ["mine"]


def test_differences_are_told_by_the_way_to_them() -> None:
    before = {"data": "a" * 64, "settings": {"seed": 0, "method": {"mixup": 0.0}}, "gone": 1}
    now = {"data": "b" * 64, "settings": {"seed": 0, "method": {"mixup": 0.2}}, "new": None}
    assert differences(before, now) == [
        f'data "{"a" * 19}... is now "{"b" * 19}...',
        "settings method mixup 0.0 is now 0.2",
        "gone 1 is now null",
    ]
    assert differences(before, before) == []
