"""CIFAR-10 through Keras' downloader, from a server on the loopback interface: a small archive of the same form."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.data.choose import dataset_slug
from models.data.cifar10 import CIFAR10, FILES, Archive, keras_folder, load_cifar10, prepare_cifar10, records_path
from models.errors import DataError, UsageError
from models.worker import Progress
from tests.device_bench.file_server import serving, status, whole

COUNT = 20
"""Records per file."""


def ignore(progress: Progress) -> None:
    """Takes a report and does nothing with it."""


def records() -> list[bytes]:
    rng = np.random.default_rng(0)
    made = []
    for _ in FILES:
        table = rng.integers(0, 256, (COUNT, 3073), dtype=np.uint8)
        table[:, 0] = np.arange(COUNT) % 10
        made.append(table.tobytes())
    return made


def archive_bytes(contents: list[bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in zip(FILES, contents, strict=False):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


CONTENT = archive_bytes(records())


@pytest.fixture(autouse=True)
def keras_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "datasets"


def archive(url: str, content: bytes = CONTENT) -> Archive:
    return Archive(
        url=f"{url}/cifar-10-binary.tar.gz", sha256=hashlib.sha256(content).hexdigest(), pictures_per_file=COUNT
    )


def place(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "cifar-10-binary.tar.gz"
    path.write_bytes(content)
    return path


def test_it_is_downloaded_once_checked_and_unpacked(keras_home: Path) -> None:
    with serving() as site:
        site.pages["/cifar-10-binary.tar.gz"] = whole(CONTENT)
        given = archive(site.url)
        reports: list[Progress] = []
        prepare_cifar10(reports.append, given)
        prepare_cifar10(ignore, given)
        assert len(site.requests) == 1
    assert [report.stage for report in reports][-1] == "download cifar10"
    assert (keras_home / "cifar-10-binary.tar.gz").read_bytes() == CONTENT
    assert records_path(given).read_bytes() == b"".join(records())
    assert [path.name for path in records_path(given).parent.iterdir()] == ["records.bin"]


def test_pictures_classes_and_splits_are_those_of_the_files(keras_home: Path) -> None:
    given = archive("http://127.0.0.1:9")
    place(keras_home, CONTENT)
    prepare_cifar10(ignore, given)
    data = load_cifar10(given)
    assert len(data.images) == 6 * COUNT
    planes = np.frombuffer(records()[5], np.uint8).reshape(COUNT, 3073)[3, 1:].reshape(3, 32, 32)
    image = data.images[5 * COUNT + 3]
    assert image.shape == (32, 32, 3)
    assert all(np.array_equal(image[..., channel], planes[channel]) for channel in range(3))
    assert data.splits["test"].tolist() == list(range(5 * COUNT, 6 * COUNT))
    assert np.bincount(data.classes[data.splits["validation"]]).tolist() == [1] * 10
    assert len(data.splits["train"]) == 90
    assert data.labels[data.classes[3]] == "cat"


def test_without_a_network_the_message_has_address_folder_and_alternative(keras_home: Path) -> None:
    given = archive("http://127.0.0.1:9")
    with pytest.raises(DataError) as raised:
        prepare_cifar10(ignore, given)
    message = str(raised.value)
    assert message.startswith("cannot download http://127.0.0.1:9/cifar-10-binary.tar.gz: ")
    assert "refused" in message
    assert message.endswith(f"put the file into {keras_home} yourself, or use --dataset shapes, which needs no network")
    assert not records_path(given).exists()


@pytest.mark.slow
@pytest.mark.parametrize("what", ["another file", "nothing"])
def test_what_is_not_the_archive_is_refused(what: str) -> None:
    with serving() as site:
        site.pages["/cifar-10-binary.tar.gz"] = whole(b"something else") if what == "another file" else status(404)
        given = archive(site.url)
        with pytest.raises(DataError, match=f"^cannot download {site.url}"):
            prepare_cifar10(ignore, given)
    assert not records_path(given).exists()


def test_a_file_that_was_put_there_needs_no_download(keras_home: Path) -> None:
    given = archive("http://127.0.0.1:9")
    place(keras_home, CONTENT)
    prepare_cifar10(ignore, given)
    assert records_path(given).is_file()


SPOILED = {
    "too few records": archive_bytes([*records()[:5], records()[5][:-1]]),
    "too many records": archive_bytes([*records()[:5], records()[5] * 2]),
    "a file less": archive_bytes(records()[:5]),
    "no archive": b"something else",
    "cut off": CONTENT[: len(CONTENT) // 2],
}


@pytest.mark.parametrize("what", SPOILED)
def test_an_archive_with_other_contents_leaves_nothing(keras_home: Path, what: str) -> None:
    given = archive("http://127.0.0.1:9", SPOILED[what])
    path = place(keras_home, SPOILED[what])
    with pytest.raises(DataError, match=f"^{path}"):
        prepare_cifar10(ignore, given)
    assert not records_path(given).exists()


def test_a_class_beyond_the_tenth_is_damage(keras_home: Path) -> None:
    spoiled = archive_bytes([b"\x0b" + records()[0][1:], *records()[1:]])
    given = archive("http://127.0.0.1:9", spoiled)
    place(keras_home, spoiled)
    prepare_cifar10(ignore, given)
    with pytest.raises(DataError, match="is damaged: it has a class 11"):
        load_cifar10(given)


def test_what_is_not_there_cannot_be_opened() -> None:
    with pytest.raises(DataError, match="is not there; run the command again to download it"):
        load_cifar10(replace(CIFAR10, sha256="0" * 64))


def test_it_has_one_name_and_no_options() -> None:
    assert dataset_slug("cifar10") == "cifar10"
    with pytest.raises(UsageError, match="cifar10 has no options, got 'x'"):
        dataset_slug("cifar10:x")


def test_its_folder_is_where_keras_itself_looks(keras_home: Path) -> None:
    assert keras_folder() == keras_home
