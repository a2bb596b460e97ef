"""Several devices and several workers come to what one device comes to."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("team_training.py")
TOLERANCE = 1e-4
"""Of the loss: sums in another order differ by 1e-6; half a batch, or statistics of half a batch, by 1e-2."""


def start(*arguments: str, apart: bool = False) -> "subprocess.Popen[str]":
    isolation: list[str] = []
    if apart and shutil.which("unshare"):
        isolation = ["unshare", "--user", "--map-root-user", "--net"]
        if subprocess.run([*isolation, "true"], check=False, capture_output=True).returncode:
            isolation = []
    command = [*isolation, sys.executable, str(PROGRAM), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def result(process: "subprocess.Popen[str]") -> Any:
    output, _ = process.communicate()
    assert process.returncode == 0
    return json.loads(output.splitlines()[-1])


def team(folder: Path, **otherwise: Any) -> Any:
    return result(start("team", str(folder), json.dumps(otherwise), apart=True))


def check_alike(one: dict[str, Any], several: dict[str, Any]) -> None:
    for expected, row in zip(one["history"], several["history"], strict=True):
        assert row["loss"] == pytest.approx(expected["loss"], abs=TOLERANCE)
        assert row["train_top1"] == pytest.approx(expected["train_top1"], abs=2e-3)
        assert row["validation_top1"] == pytest.approx(expected["validation_top1"], abs=4e-3)
    assert several["test_top1"] == pytest.approx(one["test_top1"], abs=4e-3)


def test_two_devices_and_two_workers_come_to_the_same_loss_as_one_device(tmp_path: Path) -> None:
    alone, workers = start("alone"), start("team", str(tmp_path), "{}", apart=True)
    one_and_two, (leading, helping) = result(alone), result(workers)
    one = one_and_two["one"]
    assert [row["loss"] for row in one["history"]] == sorted((row["loss"] for row in one["history"]), reverse=True)
    assert (one["replicas"], one_and_two["two"]["replicas"]) == (1, 2)
    check_alike(one, one_and_two["two"])
    check_alike(one, leading)
    assert [row["loss"] for row in helping["history"]] == [row["loss"] for row in leading["history"]]
    # Only the leading worker writes.
    assert leading["files"] == helping["files"] == ["0.keras", "kept-0"]


@pytest.mark.slow
@pytest.mark.parametrize("worker", [0, 1])
def test_a_killed_worker_is_named_and_the_same_command_goes_on(tmp_path: Path, worker: int) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    team(undisturbed, chance=True)
    outcomes = team(killed, chance=True, worker=worker, dies_at_step=12 + 5)
    assert outcomes[worker] == {"exit": -9}
    assert outcomes[1 - worker]["error"] == "TeamError"
    message = outcomes[1 - worker]["message"]
    assert message.startswith(f"worker {worker} (127.0.0.1:")
    assert message.endswith(
        ") died or cannot be reached any more; start the same command on all workers again: it goes on after the last "
        "finished epoch"
    )
    leading, helping = team(killed, chance=True)
    told = ["unfinished training: goes on after epoch 1 at 16 px (1 in all)"]
    assert leading["told"] == helping["told"] == told
    assert (killed / "0.keras").read_bytes() == (undisturbed / "0.keras").read_bytes()


@pytest.mark.slow
def test_workers_that_were_given_different_commands_do_not_start(tmp_path: Path) -> None:
    outcomes = team(tmp_path, worker=1, seed=4)
    assert [outcome["error"] for outcome in outcomes] == ["UsageError"] * 2
    for outcome in outcomes:
        assert outcome["message"].startswith("worker 1 (127.0.0.1:")
        assert "would train something else than worker 0 (127.0.0.1:" in outcome["message"]
        assert outcome["message"].endswith(
            "different settings; give all workers the same command, data and installation"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("absent", [0, 1])
def test_a_worker_that_does_not_come_is_named(tmp_path: Path, absent: int) -> None:
    (outcome,) = team(tmp_path, absent=absent, patience_s=5)
    assert outcome["error"] == "TeamError"
    assert outcome["message"].startswith(f"worker {absent} (127.0.0.1:")
    assert outcome["message"].endswith(
        ") did not come within 5 s; start the same command there with its own --worker-index, and let its port through "
        "the firewall"
    )
