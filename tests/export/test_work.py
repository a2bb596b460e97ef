"""Arrays between the processes of an export: written in parts, read as one."""

from pathlib import Path

import numpy as np
import pytest

from export.work import save_batches


@pytest.mark.parametrize("sizes", [[], [3], [2, 2, 1]])
def test_an_array_written_in_parts_is_read_as_one(tmp_path: Path, sizes: list[int]) -> None:
    whole = np.arange(sum(sizes) * 12, dtype=np.uint8).reshape(sum(sizes), 2, 2, 3)
    parts = np.split(whole, np.cumsum(sizes)[:-1]) if sizes else []
    save_batches(tmp_path / "a.npy", whole.shape, iter(parts))
    read = np.load(tmp_path / "a.npy", mmap_mode="r", allow_pickle=False) if sizes else np.load(tmp_path / "a.npy")
    assert (str(read.dtype), read.shape) == ("uint8", whole.shape)
    assert np.array_equal(read, whole)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_told() -> None:
    with pytest.raises(OSError, match="No space left"):
        save_batches(Path("/dev/full"), (1000, 1000), [np.zeros((1000, 1000), np.uint8)])
