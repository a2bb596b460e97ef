"""A folder with pictures of some of ImageNet's classes as a data set of all 1000."""

from pathlib import Path

import numpy as np
import pytest

from models.data import allowing_broken, as_imagenet, dataset_slug, find_dataset, load_dataset
from models.data.choose import folder_path
from models.errors import DataError
from models.imagenet.classes import imagenet_labels
from tests.models.data.pictures import blobs, make_folder, save


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def test_classes_are_counted_over_all_thousand(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "pics", {"n02504458": 10, "tench": 10, "Tiger_Shark": 10})
    data = load_dataset(f"imagenet:{root}")
    assert data.labels == imagenet_labels()
    assert np.unique(data.classes, return_counts=True)[0].tolist() == [0, 3, 386]
    for number, path in enumerate(data.images.paths):  # type: ignore[attr-defined]
        name = {0: "tench", 3: "Tiger_Shark", 386: "n02504458"}[data.classes[number]]
        assert path.startswith(f"{name}/")
    assert sorted(np.concatenate(list(data.splits.values())).tolist()) == list(range(30))
    assert {split: len(indices) for split, indices in data.splits.items()} == {"train": 21, "validation": 3, "test": 6}


def test_it_is_another_data_set_than_the_folder_with_its_own_classes(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "pics", {"n01440764": 10, "n01443537": 10})
    plain, mapped = load_dataset(str(root)), load_dataset(f"imagenet:{root}")
    assert mapped.name == f"imagenet-{plain.name}" == dataset_slug(f"imagenet:{root}")
    assert mapped.digest != plain.digest
    assert mapped.source == "pictures of folder pics, 2 of ImageNet's classes"
    assert load_dataset(f"imagenet:{root}").digest == mapped.digest


def test_a_folder_laid_out_as_imagenet_is_tested_on_its_validation_pictures(tmp_path: Path) -> None:
    root = tmp_path / "pics"
    make_folder(root / "train", {"tench": 20, "goldfish": 20})
    make_folder(root / "val", {"tench": 4, "goldfish": 3}, start=100)
    data = load_dataset(f"imagenet:{root}")
    paths = data.images.paths  # type: ignore[attr-defined]
    assert {paths[index].split("/")[0] for index in data.splits["test"]} == {"val"}
    assert len(data.splits["test"]) == 7
    assert {paths[i].split("/")[0] for split in ("train", "validation") for i in data.splits[split]} == {"train"}


def test_a_folder_with_test_pictures_keeps_its_splits(tmp_path: Path) -> None:
    root = tmp_path / "pics"
    for split, count, start in (("train", 8, 0), ("val", 3, 100), ("test", 2, 200)):
        make_folder(root / split, {"tench": count, "goldfish": count}, start=start)
    data = load_dataset(f"imagenet:{root}")
    assert {split: len(indices) for split, indices in data.splits.items()} == {"train": 16, "validation": 6, "test": 4}


def test_names_are_judged_before_a_picture_is_read(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "pics", {"tench": 3, "circle": 3})
    with pytest.raises(DataError, match=rf"^{root} has a class 'circle', which is none of ImageNet's 1000; give"):
        find_dataset(f"imagenet:{root}").prepare(lambda progress: pytest.fail(progress.stage))
    assert not (tmp_path / "cache").exists()


def test_validation_pictures_alone_are_explained(tmp_path: Path) -> None:
    root = tmp_path / "pics"
    make_folder(root / "val", {"tench": 4, "goldfish": 3})
    with pytest.raises(DataError, match=rf"has a folder 'val' where class folders should be; give {root / 'val'}"):
        load_dataset(f"imagenet:{root}")


@pytest.mark.parametrize("text", ["digits", "shapes", "cifar10", "nothing", ""])
def test_what_is_no_folder_is_refused_with_what_is_needed(text: str) -> None:
    with pytest.raises(DataError) as raised:
        find_dataset(as_imagenet(text))
    assert str(raised.value) == (
        f"ImageNet's classes need pictures of ImageNet, got {f'data set {text}' if text else 'no folder'}; give a "
        "folder whose class folders are WordNet ids (n01440764) or class names (tench) of ImageNet, any of them, with "
        "--dataset DIR"
    )


def test_a_folder_that_is_missing_or_flat_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_dataset(f"imagenet:{tmp_path / 'none'}")
    save(tmp_path / "flat" / "0.png", blobs(0))
    with pytest.raises(DataError, match=r"has no class folders, 1 of its files .* put the pictures of each class into"):
        load_dataset(f"imagenet:{tmp_path / 'flat'}")


def test_broken_files_are_allowed_where_that_is_said(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "pics", {"tench": 10, "goldfish": 10})
    (root / "tench" / "broken.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match="1 of 21 files in"):
        load_dataset(f"imagenet:{root}")
    for text in (as_imagenet(allowing_broken(str(root), True)), allowing_broken(as_imagenet(str(root)), True)):
        assert text == f"imagenet:allow-broken:{root}"
        assert len(load_dataset(text).images) == 20


def test_the_prefix_is_put_once_and_a_folder_may_be_called_imagenet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert as_imagenet(as_imagenet("DIR")) == "imagenet:DIR"
    make_folder(tmp_path / "imagenet", {"tench": 10, "goldfish": 10})
    monkeypatch.chdir(tmp_path)
    assert folder_path("imagenet") == (Path("imagenet"), False)
    assert load_dataset("imagenet").labels == ("goldfish", "tench")
    assert len(load_dataset("imagenet:imagenet").labels) == 1000
