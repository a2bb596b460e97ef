"""Recordings on disk: the layout, and files that are not what they should be."""

from pathlib import Path

import pytest

from device_bench.recording import find_recordings, load_recording, parse_recording
from device_bench.result import RunnerOutput
from models.errors import RunnerOutputError, UsageError

NATIVE = Path(__file__).parents[1] / "golden" / "native_2.14_arm64"
PLAIN = (NATIVE / "float32_plain" / "stdout").read_bytes()


def test_recordings_are_found_at_any_depth_and_sorted(tmp_path: Path) -> None:
    for name in ("b", "a/x", "a"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "stdout").touch()
    (tmp_path / "empty").mkdir()
    assert find_recordings(tmp_path) == [tmp_path / "a", tmp_path / "a" / "x", tmp_path / "b"]


def test_a_recording_itself_may_be_given() -> None:
    folder = NATIVE / "float32_plain"
    assert find_recordings(folder) == [folder]
    assert load_recording(folder, folder).name == "float32_plain"


def test_a_folder_that_is_not_there_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^no folder '.*nope'; give one that holds recordings"):
        find_recordings(tmp_path / "nope")


def test_a_folder_without_recordings_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^no recording in '.*': no folder with a file `stdout` or `stderr`$"):
        find_recordings(tmp_path)


def test_everything_but_one_stream_may_be_missing(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_bytes(PLAIN)
    recording = load_recording(tmp_path, tmp_path)
    assert (recording.command, recording.exit_code, recording.profile) == (None, None, None)
    output = parse_recording(recording)
    assert isinstance(output, RunnerOutput)
    assert output.measured.latency.mean_us == 108764


def test_the_command_tells_what_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_bytes(PLAIN)
    (tmp_path / "cmd").write_text("benchmark_model --use_gpu=true", "utf-8")
    output = parse_recording(load_recording(tmp_path, tmp_path))
    assert isinstance(output, RunnerOutput)
    assert [(row.delegate, row.verdict) for row in output.delegations] == [("gpu", "unknown")]


def test_an_exit_code_that_is_no_number_is_refused(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_bytes(PLAIN)
    (tmp_path / "exit_code").write_text("ok\n", "utf-8")
    with pytest.raises(RunnerOutputError, match=r"^exit_code holds 'ok\\n', which is no number$"):
        load_recording(tmp_path, tmp_path)


def test_two_profiles_beside_one_output_are_refused(tmp_path: Path) -> None:
    for name in ("stdout", "a.csv", "b.csv"):
        (tmp_path / name).touch()
    with pytest.raises(
        RunnerOutputError, match=r"^2 files \*\.csv beside one output; keep the files of one run per folder$"
    ):
        load_recording(tmp_path, tmp_path)


def test_a_file_of_absurd_size_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "stdout").open("wb") as file:
        file.truncate(33 * 2**20)
    with pytest.raises(RunnerOutputError, match=r"^stdout has 34603008 bytes, at most 33554432 are read"):
        load_recording(tmp_path, tmp_path)


def test_bytes_that_are_no_text_do_not_hinder(tmp_path: Path) -> None:
    (tmp_path / "stdout").write_bytes(b"\xff\x00 model\n" + PLAIN)
    assert isinstance(parse_recording(load_recording(tmp_path, tmp_path)), RunnerOutput)


def test_a_folder_that_cannot_be_looked_into_is_bad_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stdout").touch()

    def refuse(path: object) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(UsageError, match=r"^cannot look into '.*': Permission denied; mend its permissions$"):
        find_recordings(tmp_path)
