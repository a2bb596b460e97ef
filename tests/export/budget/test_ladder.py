"""The ladder of an export: by the command line with a trained network, and which float file each rung starts from."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import export.budget.ladder
from export.artifact import Manifest
from export.budget.kept import FILE
from export.budget.ladder import FLOAT_BLOCKS, Ladder
from export.budget.measure import rung_stage
from export.budget.rungs import LEVERS, Rung, RungResult
from export.stages import convert_stage
from export.work import WorkFiles
from models.checkpoint import run_folder
from models.errors import WorkerError
from models.spec import OwnNetwork

if TYPE_CHECKING:
    from tests.export.conftest import Cli, Network

ORIGIN = Manifest(
    model={}, weights={"images": 10_000}, preprocessing={}, labels={},
    calibration={"images": 128, "seed": 0, "sha256": "", "method": ""}, tools={}, artifacts=(), failures={},
)  # fmt: skip


def test_an_export_with_a_budget_shows_the_rungs_and_holds_its_files_to_it(
    trained: "Network", build_dir: Path, cli: "Cli"
) -> None:
    words = ("--model", trained.spec.name, "--build-dir", str(build_dir), "--format", "tflite", "--max-drop", "5")
    run = cli(*words, "--precision", "int8,float32")
    assert run.returncode == 0, run.stderr
    assert "int8 within 5 points" in run.stdout
    (row,) = (line for line in run.stdout.splitlines() if line.startswith("per-channel"))
    assert row.split()[-1] == "taken"
    folder = run_folder(build_dir, trained.spec.name, "digits")
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    rung = manifest["budget"]["rungs"][0]
    int8 = next(a for a in manifest["artifacts"] if a["precision"] == "int8")
    assert (manifest["budget"]["taken"], manifest["budget"]["met"]) == ("per-channel", True)
    assert manifest["calibration"]["ranges"] == "min-max"
    assert (rung["size_bytes"], rung["top1"]) == (int8["size_bytes"], int8["verification"]["top1"])
    assert rung["drop_ci95"] == int8["verification"]["top1_drop_ci95"]
    assert int8["verification"]["limits"]["top1_drop_bound"] == 0.05
    assert 0.05 < rung["relative_latency"] < 5
    float32 = next(a for a in manifest["artifacts"] if a["precision"] == "float32")
    assert "top1_drop_bound" not in float32["verification"]["limits"]
    again = cli(*words, "--precision", "int8,float32", "--json")
    assert again.returncode == 0, again.stderr
    assert "known" in again.stderr
    assert json.loads(again.stdout)["budget"] == manifest["budget"]


def test_a_budget_that_the_test_split_cannot_prove_is_bad_input(
    trained: "Network", build_dir: Path, cli: "Cli"
) -> None:
    run = cli("--model", trained.spec.name, "--build-dir", str(build_dir), "--max-drop", "0.5", "--precision", "int8")
    assert run.returncode == 2
    assert "359 test pictures prove a drop of 0.77 points at best" in run.stderr
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("text", ["0", "-1", "100", "nan", "half", "1e999", "1e-310", ""])
def test_a_budget_is_a_number_of_points(text: str, cli: "Cli") -> None:
    run = cli("--model", "mobilenet_v2_1.4", f"--max-drop={text}")
    assert run.returncode == 2
    assert f"argument --max-drop: {text!r} is no number of points above 0 and below 100, such as 0.5" in run.stderr


def result(rung: Rung) -> RungResult:
    return RungResult(
        name=rung.name, size_bytes=1, top1=0.5, drop=0.1, drop_ci95=(0.0, 0.2), agreement=0.5, mean_error=0.5,
        relative_latency=1.0,
    )  # fmt: skip


class Works:
    """Stands where the worker processes stand."""

    def __init__(self) -> None:
        self.converted: list[Path] = []
        self.made: list[tuple[Rung, Path]] = []

    def run_in_worker(self, function: Callable[..., Any], *args: Any, **_: object) -> Any:
        work = next(value for value in args if isinstance(value, WorkFiles))
        if function is convert_stage:
            work.float_tflite.write_bytes(b"")
            self.converted.append(work.folder)
            return None
        assert function is rung_stage
        self.made.append((args[0], work.folder))
        return result(args[0])


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> Works:
    works = Works()
    monkeypatch.setattr(export.budget.ladder, "run_in_worker", works.run_in_worker)
    return works


def ladder(trained: "Network", tmp_path: Path, *, may_mix: bool = True, own: bool = False) -> Ladder:
    spec = trained.spec
    if own:
        given = OwnNetwork(path="x.keras", gives="logits", parameters=1, mult_adds=1)
        spec = replace(spec, own=given)
    folder = tmp_path / "work"
    folder.mkdir()
    return Ladder(
        spec=spec, files=spec, checkpoint=Path("x.keras"), output="probabilities", notes=trained.notes,
        folder=tmp_path, work=WorkFiles(folder), may_mix=may_mix,
    )  # fmt: skip


def silent(_: object) -> None:
    """Takes progress and shows none."""


def test_equalized_rungs_start_from_a_float_file_of_their_own_made_once(
    works: Works, trained: "Network", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    better = iter(range(100, 0, -1))
    given = ladder(trained, tmp_path)

    def improving(function: Callable[..., Any], *args: Any, report: Any = None) -> Any:
        found = works.run_in_worker(function, *args, report=report)
        return found and replace(found, mean_error=next(better) / 1000)

    monkeypatch.setattr(export.budget.ladder, "run_in_worker", improving)
    climbed = given.find(0.01, ORIGIN, silent)
    assert not climbed.met
    assert [rung.name for rung, _ in works.made] == [
        "per-channel", *(name for name, _ in LEVERS), *(f"mixed {n}" for n in FLOAT_BLOCKS),
    ]  # fmt: skip
    folders = {rung.name: folder for rung, folder in works.made}
    assert folders["ranges"] == given.work.folder
    assert folders["equalize"] == folders["bias"] == given.work.folder / "equalized-True"
    assert works.converted == [folders["equalize"]]


def test_a_network_of_ones_own_is_not_equalized(works: Works, trained: "Network", tmp_path: Path) -> None:
    ladder(trained, tmp_path, own=True).find(0.01, ORIGIN, silent)
    assert "equalize" not in [rung.name for rung, _ in works.made]


def test_files_for_npus_alone_get_no_islands(works: Works, trained: "Network", tmp_path: Path) -> None:
    ladder(trained, tmp_path, may_mix=False).find(0.01, ORIGIN, silent)
    assert [rung.name for rung, _ in works.made][-1] == LEVERS[-1][0]


def test_a_rung_whose_process_dies_is_one_less(
    works: Works, trained: "Network", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def dying(function: Callable[..., Any], *args: Any, report: Any = None) -> Any:
        if function is rung_stage and args[0].name == "ranges":
            raise WorkerError("the worker process died")
        return works.run_in_worker(function, *args, report=report)

    monkeypatch.setattr(export.budget.ladder, "run_in_worker", dying)
    climbed = ladder(trained, tmp_path, may_mix=False).find(0.01, ORIGIN, lambda p: told.append(p.detail))
    assert "failed: the worker process died" in told
    assert "ranges" not in [r.name for r in climbed.tried]
    assert len(climbed.tried) == len(LEVERS)


def test_a_climb_that_was_interrupted_goes_on_where_it_was(
    works: Works, trained: "Network", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ladder(trained, tmp_path)

    def dying(function: Callable[..., Any], *args: Any, report: Any = None) -> Any:
        if len(works.made) == 2:
            raise KeyboardInterrupt
        return works.run_in_worker(function, *args, report=report)

    monkeypatch.setattr(export.budget.ladder, "run_in_worker", dying)
    with pytest.raises(KeyboardInterrupt):
        given.find(0.01, ORIGIN, silent)
    assert (tmp_path / FILE).exists()
    monkeypatch.setattr(export.budget.ladder, "run_in_worker", works.run_in_worker)
    given.find(0.01, ORIGIN, silent)
    names = [rung.name for rung, _ in works.made]
    assert len(names) == len(set(names)) == 1 + len(LEVERS) + len(FLOAT_BLOCKS)
