"""Files that appear whole or not at all: with a full disk, a read-only one, a rival, and a kill in the middle."""

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from models.errors import OutputError
from models.files import format_json, output_error, output_errors, replace_file, sha256_file, work_folder, write_file

ROOT = Path(__file__).parents[2]
Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts an empty file system in memory with the options given; skips where that is not allowed."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("only root may mount a small file system")
    mounted: list[Path] = []

    def mount(options: str) -> Path:
        place = tmp_path / f"mount{len(mounted)}"
        place.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(place)
        return place

    yield mount
    for place in mounted:
        subprocess.run(["umount", place], check=True)


def test_a_file_is_written_whole_and_nothing_else(tmp_path: Path) -> None:
    write_file(tmp_path / "a.json", b"one")
    write_file(tmp_path / "a.json", b"two")
    assert (tmp_path / "a.json").read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask_and_leave_it_alone(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_file(tmp_path / "a", b"")
    finally:
        assert os.umask(before) == umask
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize("step", ["fsync", "rename", "chmod"])
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_failure_on_the_way_leaves_what_was_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, step: str, old: bytes | None
) -> None:
    path = tmp_path / "a"
    if old is not None:
        path.write_bytes(old)
    before = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}

    def fail(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    target = {"fsync": "os.fsync", "rename": "pathlib.Path.replace", "chmod": "pathlib.Path.chmod"}[step]
    monkeypatch.setattr(target, fail)
    with pytest.raises(OutputError) as raised:
        write_file(path, b"new")
    monkeypatch.undo()
    assert str(raised.value) == (
        f"cannot write {path}: No space left on device; free some space and run the same command again"
    )
    assert {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()} == before


def test_a_full_disk_leaves_the_old_file_and_says_so(mount: Mount) -> None:
    place = mount("size=64k")
    write_file(place / "a", b"old")
    with pytest.raises(OutputError, match=r"No space left on device; free some space and run the same command again$"):
        write_file(place / "a", bytes(200_000))
    assert (place / "a").read_bytes() == b"old"
    assert [path.name for path in place.iterdir()] == ["a"]


def test_a_read_only_folder_is_refused_with_the_option_that_helps(mount: Mount) -> None:
    place = mount("ro")
    message = r"Read-only file system; choose a folder that can be written with --build-dir$"
    with pytest.raises(OutputError, match=message):
        write_file(place / "a", b"new")
    with pytest.raises(OutputError, match=message), work_folder(place / "run"):
        pytest.fail("a read-only folder was entered")
    with pytest.raises(OutputError, match=message), work_folder(place):
        pytest.fail("a read-only folder was entered")


def test_a_file_where_a_folder_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "build").write_text("")
    message = r"build(/run)?: .*; a file stands where a folder should be; choose another place with --build-dir$"
    for folder in (tmp_path / "build", tmp_path / "build/run"):
        with pytest.raises(OutputError, match=message), work_folder(folder):
            pytest.fail("a file was entered")


def test_a_file_already_made_is_moved_to_its_name(tmp_path: Path) -> None:
    made, final = tmp_path / "made", tmp_path / "final"
    made.write_bytes(b"new")
    final.write_bytes(b"old")
    replace_file(made, final)
    assert final.read_bytes() == b"new"
    assert not made.exists()


def test_an_error_that_is_no_refusal_to_write_is_left_to_others() -> None:
    assert output_error(FileNotFoundError(errno.ENOENT, "No such file", "x")) is None
    assert output_error(OSError("no number")) is None


def test_a_refusal_in_the_words_of_hdf5_is_understood(tmp_path: Path) -> None:
    words = "Unable to synchronously create dataset (file write failed: errno = 28, 'No space left on device')"
    with pytest.raises(OutputError) as raised, output_errors(tmp_path / "a"):
        raise OSError(words)
    assert str(raised.value) == (
        f"cannot write {tmp_path / 'a'}: No space left on device; free some space and run the same command again"
    )


def test_an_unknown_refusal_names_the_path(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=rf"^cannot write {tmp_path}: Input/output error; check the path"),
        output_errors(tmp_path),
    ):
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_json_is_readable_ordered_ends_its_line_and_refuses_nan() -> None:
    assert format_json({"b": [1], "a": "é"}) == '{\n  "b": [\n    1\n  ],\n  "a": "é"\n}\n'
    with pytest.raises(ValueError, match="Out of range float values"):
        format_json({"loss": float("nan")})


def test_the_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    data = os.urandom(300_000)
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_a_work_folder_is_inside_private_and_gone_afterwards(tmp_path: Path) -> None:
    folder = tmp_path / "build" / "run"
    with work_folder(folder) as work:
        assert work.parent == folder
        assert work.stat().st_mode & 0o777 == 0o700
        (work / "half").write_text("half")
        write_file(folder / "whole", b"")
    assert [path.name for path in folder.iterdir() if path.name != ".lock"] == ["whole"]


def test_a_work_folder_is_gone_after_an_error_too_and_so_are_the_folders_made_for_it(tmp_path: Path) -> None:
    def stumble() -> None:
        with work_folder(tmp_path / "build" / "run") as work:
            (work / "half").write_text("half")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        stumble()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_before_stays_even_if_it_is_empty(tmp_path: Path) -> None:
    with work_folder(tmp_path):
        pass
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_build_folder_deleted_meanwhile_does_not_hide_the_error(tmp_path: Path) -> None:
    def stumble() -> None:
        with work_folder(tmp_path / "build" / "run"):
            shutil.rmtree(tmp_path / "build")
            raise RuntimeError("the real cause")

    with pytest.raises(RuntimeError, match="the real cause"):
        stumble()


@pytest.fixture
def rival(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process at work in `tmp_path/run`, with half a file and half a folder made."""
    code = (
        "import sys, pathlib, models.files as files\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with files.work_folder(folder) as work:\n"
        "    (work / 'half').write_text('half')\n"
        "    (folder / '.trained.json.abc.partial').write_text('{')\n"
        "    (folder / 'whole').write_text('whole')\n"
        "    print('ready', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path / "run"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_a_second_process_is_refused_and_disturbs_nothing(tmp_path: Path, rival: subprocess.Popen[str]) -> None:
    folder = tmp_path / "run"
    before = sorted(folder.rglob("*"))
    with pytest.raises(OutputError) as raised, work_folder(folder):
        pytest.fail("two processes in one folder")
    assert str(raised.value) == f"another process is working in {folder}; wait for it to end"
    assert sorted(folder.rglob("*")) == before
    assert rival.poll() is None


def test_left_overs_of_a_killed_process_are_removed_and_its_lock_is_free(
    tmp_path: Path, rival: subprocess.Popen[str]
) -> None:
    folder = tmp_path / "run"
    rival.send_signal(signal.SIGKILL)
    rival.wait()
    assert len([path for path in folder.iterdir() if "partial" in path.name]) == 2
    with work_folder(folder) as work:
        assert [path.name for path in folder.iterdir() if "partial" in path.name] == [work.name]
        assert list(work.iterdir()) == []
    assert (folder / "whole").read_text() == "whole"


def test_a_folder_can_be_entered_again_after_it_was_left(tmp_path: Path) -> None:
    for _ in range(2):
        with work_folder(tmp_path / "run") as work:
            assert work.is_dir()
