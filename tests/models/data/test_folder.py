"""Folders of pictures: classes, splits, broken files, duplicates, strange names and hostile trees."""

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.data import Dataset, dataset_slug, load_dataset
from models.data.decode import decode_picture
from models.data.folder import Folder, folder_slug, read_folder
from models.errors import DataError, UnknownNameError
from models.worker import Progress
from tests.models.data.pictures import blobs, make_folder, save


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


def paths(dataset: Dataset, split: str) -> list[str]:
    return [dataset.images.paths[i] for i in dataset.splits[split]]  # type: ignore[attr-defined,index]


def refusal(folder: Path, *, allow_broken: bool = False) -> str:
    with pytest.raises(DataError) as raised:
        load_dataset(f"{'allow-broken:' if allow_broken else ''}{folder}")
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "flowers", {"rose": 20, "daisy": 10})


def test_classes_are_the_folders_in_order_and_pictures_their_files(flowers: Path) -> None:
    data = load_dataset(str(flowers))
    assert data.labels == ("daisy", "rose")
    assert np.bincount(data.classes).tolist() == [10, 20]
    assert len(data.images) == 30
    first = data.images[0]
    assert np.array_equal(first, blobs(20))
    assert data.source == "pictures of folder flowers"


def test_a_folder_without_splits_is_split_by_class_and_always_alike(flowers: Path) -> None:
    data, again = load_dataset(str(flowers)), load_dataset(str(flowers))
    for split, counts in (("train", [7, 14]), ("validation", [1, 2]), ("test", [2, 4])):
        assert np.bincount(data.classes[data.splits[split]]).tolist() == counts  # type: ignore[index]
        assert paths(data, split) == paths(again, split)
    assert data.digest == again.digest


def test_a_folder_with_splits_keeps_them(tmp_path: Path) -> None:
    for number, split in enumerate(("train", "val", "test")):
        make_folder(tmp_path / "own" / split, {"a": 3 + number, "b": 2}, start=100 * number)
    data = load_dataset(str(tmp_path / "own"))
    assert [len(data.splits[split]) for split in ("train", "validation", "test")] == [5, 6, 7]
    assert all(path.startswith("val/") for path in paths(data, "validation"))
    assert data.labels == ("a", "b")


@pytest.mark.parametrize(("own", "made"), [("test", "validation"), ("val", "test")])
def test_a_split_that_the_folder_has_not_is_taken_from_its_training_pictures(
    tmp_path: Path, own: str, made: str
) -> None:
    make_folder(tmp_path / "own" / "train", {"a": 20, "b": 20})
    make_folder(tmp_path / "own" / own, {"a": 5, "b": 5}, start=50)
    data = load_dataset(str(tmp_path / "own"))
    assert all(path.startswith("train/") for path in paths(data, made))
    assert len(paths(data, made)) == {"validation": 4, "test": 8}[made]
    assert len(set(paths(data, made)) & set(paths(data, "train"))) == 0


def test_classes_called_train_and_other_things_are_classes(tmp_path: Path) -> None:
    make_folder(tmp_path / "vehicles", {"train": 10, "car": 10})
    assert load_dataset(str(tmp_path / "vehicles")).labels == ("car", "train")


def test_two_folders_for_one_split_are_refused(tmp_path: Path) -> None:
    for name in ("train", "val", "validation"):
        make_folder(tmp_path / "own" / name, {"a": 2, "b": 2})
    assert "two folders for one split: train, val, validation" in refusal(tmp_path / "own")


def test_pictures_of_folders_below_a_class_are_of_the_class(flowers: Path) -> None:
    save(flowers / "rose" / "red" / "dark" / "a.png", blobs(77))
    data = load_dataset(str(flowers))
    assert np.bincount(data.classes).tolist() == [10, 21]


def test_copies_in_another_size_and_compression_stay_on_one_side(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "twins", {"a": 30, "b": 30})
    for path in sorted(root.glob("*/*.png")):
        number = int(path.stem)
        save(path.with_name(f"copy {number}.jpg"), blobs(number, width=96, height=80), quality=60)
        if number % 3 == 0:
            shutil.copy(path, path.with_name(f"same {number}.png"))
    data = load_dataset(str(root))
    sides: dict[int, set[str]] = {}
    for split in data.splits:
        for name in paths(data, split):
            sides.setdefault(int(Path(name).stem.split()[-1]), set()).add(split)
    assert len(sides) == 60
    assert all(len(found) == 1 for found in sides.values())
    assert read_folder(root, ignore).duplicates == 80


def test_test_pictures_that_were_trained_on_are_counted(tmp_path: Path) -> None:
    make_folder(tmp_path / "leaky" / "train", {"a": 10, "b": 10})
    make_folder(tmp_path / "leaky" / "test", {"a": 3, "b": 3}, start=8)
    folder = read_folder(tmp_path / "leaky", ignore)
    # Pictures 8 to 13; of the 20 trained on, two went to validation.
    assert 4 <= folder.leaks(folder.splits()) <= 6


# Broken files


def break_some(root: Path) -> dict[str, str]:
    """Adds files that are no pictures; returns the reason for each."""
    (root / "rose" / "notes.txt").write_text("red")
    (root / "rose" / "empty.jpg").touch()
    content = (root / "rose" / "0000.png").read_bytes()
    (root / "rose" / "cut.png").write_bytes(content[: len(content) // 2])
    (root / "rose" / "gone.jpg").symlink_to("nothing.jpg")
    os.mkfifo(root / "rose" / "pipe.jpg")
    return {
        "rose/notes.txt": "is no JPEG, PNG, WebP or BMP picture",
        "rose/empty.jpg": "is empty",
        "rose/cut.png": "is damaged: ",
        "rose/gone.jpg": "cannot be opened: No such file or directory",
        "rose/pipe.jpg": "is no regular file",
    }


def test_broken_files_are_listed_with_their_reasons(flowers: Path) -> None:
    reasons = break_some(flowers)
    found = {problem.path: problem.reason for problem in read_folder(flowers, ignore).broken}
    assert found.keys() == reasons.keys()
    assert all(found[path].startswith(reason) for path, reason in reasons.items())


def test_more_than_one_in_a_hundred_broken_is_refused_unless_allowed(flowers: Path) -> None:
    break_some(flowers)
    message = refusal(flowers)
    assert message.startswith(
        f"5 of 35 files in {flowers} are no usable pictures (more than 1%), the first is rose/cut"
    )
    assert message.endswith("models data FOLDER` lists them, allow-broken:FOLDER for FOLDER leaves them out")
    allowed = load_dataset(f"allow-broken:{flowers}")
    assert len(allowed.images) == 30
    assert allowed.name == dataset_slug(str(flowers)) == dataset_slug(f"allow-broken:{flowers}")


def test_one_in_a_hundred_broken_is_left_out(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "many", {"a": 50, "b": 49})
    (root / "a" / "notes.txt").write_text("")
    assert len(load_dataset(str(root)).images) == 99
    (root / "a" / "more.txt").write_text("")
    assert "2 of 101 files" in refusal(root)


def test_hidden_files_do_not_count_and_files_outside_of_classes_are_told(flowers: Path) -> None:
    for name in (".DS_Store", "rose/.DS_Store", "rose/._0001.png", "README.txt"):
        (flowers / name).write_text("x")
    (flowers / ".git").mkdir()
    folder = read_folder(flowers, ignore)
    assert folder.broken == ()
    assert [(problem.path, problem.reason) for problem in folder.skipped] == [("README.txt", "lies in no class folder")]
    assert folder.labels == ("daisy", "rose")


def test_a_picture_that_is_gone_when_it_is_needed_is_an_error(flowers: Path) -> None:
    data = load_dataset(str(flowers))
    (flowers / "daisy" / "0020.png").unlink()
    with pytest.raises(DataError, match=r"picture .*0020\.png cannot be opened: No such file or directory, which it"):
        data.images[0]


# What is known is not read again


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read = []

    def counting(path: Path) -> object:
        read.append(path.name)
        return decode_picture(path)

    monkeypatch.setattr("models.data.scan.decode_picture", counting)
    return read


def test_files_are_examined_once_and_again_when_they_change(flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = counted(monkeypatch)
    before = load_dataset(str(flowers))
    assert len(read) == 30
    assert load_dataset(str(flowers)).digest == before.digest
    assert len(read) == 30
    save(flowers / "rose" / "0003.png", blobs(500))
    os.utime(flowers / "rose" / "0003.png", ns=(1, 1))
    (flowers / "rose" / "0004.png").unlink()
    after = load_dataset(str(flowers))
    assert read[30:] == ["0003.png"]
    assert after.digest != before.digest
    assert len(after.images) == 29


def test_an_interrupted_examination_goes_on_where_it_was(flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.data.scan.PART", 10)

    def interrupt(progress: Progress) -> None:
        if progress.done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_folder(flowers, interrupt)
    read = counted(monkeypatch)
    assert len(read_folder(flowers, ignore).pictures) == 30
    assert len(read) == 10


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"key": 1}', b"\xff"])
def test_a_damaged_index_is_made_anew(
    flowers: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, damage: bytes
) -> None:
    digest = load_dataset(str(flowers)).digest
    index = cache / folder_slug(flowers) / "index.json"
    index.write_bytes(damage)
    read = counted(monkeypatch)
    assert load_dataset(str(flowers)).digest == digest
    assert len(read) == 30


# Strange trees


def test_names_of_any_script_with_spaces_and_quotes_are_fine(tmp_path: Path) -> None:
    names = {"träume & 'zeit'": 8, "猫": 8, "-rf *": 8, "a.b.c": 8, "x" * 120: 8}
    root = make_folder(tmp_path / "bunte Bilder №1", names)
    data = load_dataset(str(root))
    assert set(data.labels) == set(names)
    assert dataset_slug(str(root)).startswith("bunte-Bilder-No1-")
    assert len(data.images[3].shape) == 3


@pytest.mark.parametrize("name", ["line\nbreak", "\x1b[31mred", "tab\t", "\u202eright to left"])
def test_a_class_whose_name_cannot_stand_on_a_line_is_refused(tmp_path: Path, name: str) -> None:
    root = make_folder(tmp_path / "bad", {name: 2, "b": 2})
    assert f"has a class folder {name!r}, whose name cannot stand on a line of labels.txt" in refusal(root)


def test_a_class_whose_name_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "bad", {"a": 2, "b": 2})
    os.mkdir(os.fsencode(root) + b"/\xff\xfe")  # noqa: PTH102 - bytes
    assert "whose name cannot stand on a line of labels.txt" in refusal(root)


def test_a_picture_whose_name_is_no_utf_8_is_a_picture(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "odd", {"a": 8, "b": 8})
    os.rename(root / "a" / "0001.png", os.fsencode(root) + b"/a/\xff\n.png")  # noqa: PTH104 - bytes
    assert len(load_dataset(str(root)).images) == 16
    assert len(load_dataset(str(root)).images) == 16


def test_names_that_differ_in_how_accents_are_encoded_only_are_refused(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "bad", {"caf\u00e9": 2, "cafe\u0301": 2})
    assert "two folders 'café', which differ only in how accents are encoded; rename one" in refusal(root)


def test_links_in_a_circle_are_left_out_and_others_followed(tmp_path: Path, flowers: Path) -> None:
    (flowers / "rose" / "again").symlink_to(flowers)
    (flowers / "rose" / "self").symlink_to("self")
    make_folder(tmp_path / "elsewhere", {"tulips": 6}, start=300)
    (flowers / "tulip").symlink_to(tmp_path / "elsewhere" / "tulips")
    folder = read_folder(flowers, ignore)
    assert folder.labels == ("daisy", "rose", "tulip")
    assert [p.path for p in folder.skipped] == ["rose/again/rose"]
    assert [p.path for p in folder.broken] == ["rose/self"]
    assert sum(p.candidate.label == "tulip" for p in folder.pictures) == 6


def no_classes(root: Path) -> None:
    shutil.rmtree(root / "a")
    shutil.rmtree(root / "b")


def one_class(root: Path) -> None:
    shutil.rmtree(root / "b")


def empty_class(root: Path) -> None:
    (root / "c").mkdir()


def class_of_broken_files(root: Path) -> None:
    (root / "c").mkdir()
    (root / "c" / "x").touch()


def two_pictures(root: Path) -> None:
    for path in root.glob("*/*"):
        if int(path.stem) % 12:
            path.unlink()


def a_file(root: Path) -> None:
    shutil.rmtree(root)
    root.touch()


TREES: dict[Callable[[Path], None], str] = {
    no_classes: "has no class folders and no files; put the pictures of each class into a folder that bears its name: ",
    one_class: "has one class only, 'a'; a classifier needs two; put the pictures of each class into a folder that",
    empty_class: "has no picture to train class 'c'; add pictures or remove the folder",
    class_of_broken_files: "has no picture to train class 'c'",
    two_pictures: "has too few pictures: none of its 2 falls to the validation split; ten different ones per class are",
    shutil.rmtree: "does not exist; name a folder with a folder per class",
    a_file: "is no folder; name a folder",
}


@pytest.mark.parametrize("change", TREES)
def test_a_folder_that_nothing_can_be_trained_on_says_why(tmp_path: Path, change: Callable[[Path], None]) -> None:
    root = make_folder(tmp_path / "root", {"a": 12, "b": 12})
    change(root)
    assert TREES[change] in refusal(root, allow_broken=True)


def test_a_flat_folder_is_shown_where_one_of_its_own_pictures_belongs(tmp_path: Path) -> None:
    root = tmp_path / "flat"
    for name in ("NOTES.txt", "b.jpg", "\ue000.jpg", "c.jpg"):
        save(root / name, blobs(0), format="PNG")
    assert refusal(root) == (
        f"{root} has no class folders, 4 of its files lie outside of any ('NOTES.txt' first); put the pictures of each "
        f"class into a folder that bears its name: {root}/CLASS/b.jpg or, with splits of your own, "
        f"{root}/train/CLASS/b.jpg"
    )


def test_splits_without_classes_are_shown_the_level_that_is_missing(tmp_path: Path) -> None:
    root = tmp_path / "flat"
    for name in ("train/7.png", "train/8.png", "val/9.png"):
        save(root / name, blobs(0))
    assert "3 of its files lie outside of any ('train/7.png' first)" in refusal(root)
    assert refusal(root).endswith(f"with splits of your own, {root}/train/CLASS/7.png")


def test_the_example_of_a_layout_is_never_a_name_that_a_terminal_obeys(tmp_path: Path) -> None:
    root = tmp_path / "flat"
    save(root / "\x1b[2J.png", blobs(0))
    assert "\x1b" not in refusal(root)
    assert refusal(root).endswith(f"{root}/train/CLASS/picture.jpg")


def test_a_class_to_be_tested_but_not_trained_is_refused(tmp_path: Path) -> None:
    make_folder(tmp_path / "own" / "train", {"a": 10, "b": 10})
    make_folder(tmp_path / "own" / "test", {"a": 2, "c": 2}, start=50)
    assert "has no picture to train class 'c'" in refusal(tmp_path / "own")


def test_a_folder_that_may_not_be_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_folder(tmp_path / "root", {"a": 2, "b": 2})
    real = os.scandir

    def scandir(path: Path) -> object:
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert refusal(root) == f"folder {root / 'b'} cannot be read: Permission denied; check its path and permissions"


@pytest.mark.slow
def test_ten_thousand_classes_are_read_in_seconds(tmp_path: Path) -> None:
    root = tmp_path / "wide"
    content = save(tmp_path / "one.png", blobs(1, width=8, height=8)).read_bytes()
    for number in range(10_000):
        folder = root / f"{number:05}"
        folder.mkdir(parents=True)
        (folder / "a.png").write_bytes(content)
    started = time.monotonic()
    folder_read: Folder = read_folder(root, ignore)
    assert len(folder_read.labels) == len(folder_read.pictures) == 10_000
    assert folder_read.duplicates == 9999
    # All of one picture: it cannot be on two sides.
    with pytest.raises(DataError, match="too few pictures"):
        folder_read.splits()
    assert time.monotonic() - started < 60


# How folders are named


def test_a_folder_is_named_by_its_path_and_a_data_set_by_its_name(
    flowers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "digits", {"a": 9, "b": 9})
    assert load_dataset("digits").labels[0] == "0"
    assert load_dataset("./digits").labels == ("a", "b")
    assert load_dataset("flowers").name == dataset_slug(str(flowers))
    with pytest.raises(UnknownNameError, match=r"a folder of pictures is named by its path$"):
        dataset_slug("missing")


def test_the_slug_is_safe_and_tells_folders_of_one_name_apart(tmp_path: Path) -> None:
    slugs = [folder_slug(tmp_path / place / name) for place in ("x", "y") for name in ("data", "etc; rm", "\n", "…")]
    assert len(set(slugs)) == 8
    assert all(slug.replace("-", "").isalnum() and slug.isascii() and len(slug) < 60 for slug in slugs)
    (tmp_path / "link").symlink_to(tmp_path / "x" / "data")
    assert folder_slug(tmp_path / "link") == folder_slug(tmp_path / "x" / "data")
