"""CIFAR-10, downloaded by Keras' downloader: 60,000 photographs of 32 x 32 pixels in ten classes."""

from __future__ import annotations

import hashlib
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.data.cache import cache_folder, making_in
from models.data.dataset import SPLIT_SEED, Dataset, Pixels
from models.data.split import stratified_split
from models.errors import DataError, ToolchainError
from models.files import replace_file, sha256_file
from models.worker import STARTING, Progress, Report, run_in_worker

STAGE = "download cifar10"
TIMEOUT_S = 30.0
"""Without a byte from the server."""
RECORD_BYTES = 1 + 3 * 32 * 32
"""A class, then the red, green and blue planes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where a data set's archive is, and what it is known by."""

    url: str
    sha256: str
    pictures_per_file: int

    @property
    def file_name(self) -> str:
        """In the download cache."""
        return self.url.rpartition("/")[2]


# The binary version, because the one `keras.datasets` loads holds pickles, which can run code.
CIFAR10 = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    pictures_per_file=10_000,
)
FOLDER = "cifar-10-batches-bin"
FILES = (*(f"{FOLDER}/data_batch_{number}.bin" for number in range(1, 6)), f"{FOLDER}/test_batch.bin")
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
"""In the order of the archive's `batches.meta.txt`."""


def keras_folder() -> Path:
    """Where Keras' downloader keeps data sets: `$KERAS_HOME/datasets`, by default `~/.keras/datasets`."""
    home = os.environ.get("KERAS_HOME")
    return (Path(home) if home else Path.home() / ".keras") / "datasets"


def records_path(archive: Archive) -> Path:
    """The unpacked records."""
    return cache_folder() / "data" / f"cifar10-{archive.sha256[:12]}" / "records.bin"


def prepare_cifar10(report: Report, archive: Archive = CIFAR10) -> None:
    """Downloads and unpacks the archive, unless that has been done.

    Raises:
        DataError: it cannot be downloaded, or is not what it should be.
        OutputError: the cache cannot be written.
    """
    records = records_path(archive)
    if records.is_file() and records.stat().st_size == _bytes(archive):
        return
    given = keras_folder() / archive.file_name
    if not (given.is_file() and sha256_file(given) == archive.sha256):
        # In a process of its own: the downloader comes with TensorFlow.
        run_in_worker(_download, archive, report=report)
    with making_in(records.parent) as private:
        made = private / records.name
        _unpack(given, archive, made)
        replace_file(made, records)


def _bytes(archive: Archive) -> int:
    return len(FILES) * archive.pictures_per_file * RECORD_BYTES


def _download(report: Report, archive: Archive) -> None:
    report(Progress(stage=STARTING, done=0, total=1))
    import socket

    import keras

    report(Progress(stage=STARTING, done=1, total=1))
    report(Progress(stage=STAGE, done=0, total=1, detail=archive.url))
    socket.setdefaulttimeout(TIMEOUT_S)
    try:
        # Under a name of its own: from any other, an older Keras would make yet another folder.
        keras.utils.get_file(
            archive.file_name,
            origin=archive.url,
            file_hash=archive.sha256,
            hash_algorithm="sha256",
            cache_dir=str(keras_folder().parent),
            force_download=True,
        )
    except ToolchainError:
        raise
    except Exception as error:
        raise DataError(
            f"cannot download {archive.url}: {' '.join(str(error).split())[:200]}; put the file into {keras_folder()} "
            "yourself, or use --dataset shapes, which needs no network"
        ) from error
    report(Progress(stage=STAGE, done=1, total=1))


def _unpack(path: Path, archive: Archive, made: Path) -> None:
    """Copies the records out of the archive; nothing else in it is touched."""
    digest = sha256_file(path) if path.is_file() else "that of no file"
    if digest != archive.sha256:
        raise DataError(
            f"{path} is not CIFAR-10: its sha256 is {digest[:12]}..., not {archive.sha256[:12]}...; delete it"
        )
    try:
        with tarfile.open(path, "r:gz") as tar, made.open("wb") as file:
            for name in FILES:
                member = tar.extractfile(name)
                content = member.read(archive.pictures_per_file * RECORD_BYTES + 1) if member else b""
                if len(content) != archive.pictures_per_file * RECORD_BYTES:
                    raise DataError(f"{path}: {name} has not the {archive.pictures_per_file} records it should have")
                file.write(content)
    except (tarfile.TarError, KeyError, EOFError) as error:
        raise DataError(f"{path} cannot be unpacked: {error}; delete it and run the command again") from error


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PlanarImages:
    """Pictures stored plane by plane."""

    records: NDArray[np.uint8]
    """`[N, 1 + 3072]`."""

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int, /) -> Pixels:
        planes = self.records[index, 1:].reshape(3, 32, 32)
        return np.ascontiguousarray(planes.transpose(1, 2, 0))


def load_cifar10(archive: Archive = CIFAR10) -> Dataset:
    """CIFAR-10 with its own test split; a tenth of the training pictures of each class validates.

    Source: A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images (2009).

    Raises:
        DataError: it is not unpacked, or its classes are not 0 to 9.
    """
    path = records_path(archive)
    if not path.is_file() or path.stat().st_size != _bytes(archive):
        raise DataError(f"{path} is not there; run the command again to download it")
    records = np.memmap(path, np.uint8, mode="r", shape=(len(FILES) * archive.pictures_per_file, RECORD_BYTES))
    classes = records[:, 0].astype(np.int64)
    if classes.max() >= len(LABELS):
        raise DataError(f"{path} is damaged: it has a class {classes.max()}; delete it and run the command again")
    trained = 5 * archive.pictures_per_file
    parts = stratified_split(classes[:trained], validation=0.1, test=0.0, seed=SPLIT_SEED)
    return Dataset(
        name="cifar10",
        source=f"CIFAR-10 ({archive.url})",
        labels=LABELS,
        images=PlanarImages(records=records),
        classes=classes,
        splits=MappingProxyType({**parts, "test": np.arange(trained, len(classes))}),
        content=hashlib.sha256(archive.sha256.encode()).hexdigest(),
    )
