"""Trainings on several devices and in several workers; run by `test_together.py` in processes of their own.

    python team_training.py alone                          one device, then two in this process
    python team_training.py team FOLDER [JSON]             two workers; JSON has what one of them is to do otherwise

Prints JSON. Workers listen on all interfaces, as TensorFlow does, so `team` runs in a network of its own.
"""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.errors import ToolchainError
from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Stage
from models.training.settings import Method, Phase, TrainSettings
from models.training.team import Team
from models.worker import Progress

SPEC = ModelSpec(
    name="tiny_1.0_16",
    family="tiny",
    width=1.0,
    resolution_px=16,
    stages=(Stage(block="conv", channels=8, stride=2), Stage(block="separable", channels=16, stride=2)),
    preprocessing=MINUS_ONE_TO_ONE,
    dropout=0.0,
    num_classes=10,
)
SETTINGS = TrainSettings(
    seed=3,
    # 1078 digits make 11 batches of 97 and one of 11, so that no batch can be cut in equal halves.
    phases=(Phase(resolution_px=16, epochs=3, learning_rate=0.1, batch=97),),
    method=Method(
        optimizer="sgd", weight_decay=1e-4, label_smoothing=0.1, ema_momentum=0.9, class_weights="balanced"
    ),
)  # fmt: skip
"""Everything but chance, which workers draw for themselves."""


CHANCE = (
    replace(SPEC, dropout=0.2),
    replace(
        SETTINGS,
        phases=(replace(SETTINGS.phases[0], shift=1 / 8),),
        method=replace(SETTINGS.method, mixup=0.2, colour=0.2),
    ),
)
"""What workers draw for themselves as well."""


def summary(trainer: Any) -> dict[str, Any]:
    """What has to come out the same."""
    return {"history": trainer.at.history, "test_top1": trainer.top1("test", trainer.pixels("test", 16))}


def train_alone() -> dict[str, Any]:
    """On one device, and on two that share every batch."""
    import tensorflow as tf

    from models.data import load_digits
    from models.training.devices import Devices
    from models.training.loop import Trainer

    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    found = {}
    for name, strategy in (("one", None), ("two", tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]))):
        trainer = Trainer(SPEC, load_digits(), SETTINGS, lambda _: None, devices=Devices(strategy))
        trainer.run()
        found[name] = summary(trainer) | {"replicas": trainer.devices.replicas}
    return found


def work(folder: Path, index: int, addresses: tuple[str, ...], otherwise: dict[str, Any]) -> dict[str, Any]:
    """One worker's training, with what was told."""
    from models.train import Places, train

    told: list[str] = []
    mine = otherwise if otherwise.get("worker") == index else {}

    def report(progress: Progress) -> None:
        told.append(f"{progress.stage}: {progress.detail}")
        if progress.stage.startswith("train at") and progress.done == mine.get("dies_at_step"):
            os.kill(os.getpid(), signal.SIGKILL)

    team = Team(addresses=addresses, index=index, patience_s=otherwise.get("patience_s", 100))
    spec, settings = CHANCE if otherwise.get("chance") else (SPEC, SETTINGS)
    settings = replace(settings, seed=mine.get("seed", settings.seed))
    places = Places(made=folder / f"{index}.keras", unfinished=folder / f"kept-{index}")
    record = train(report, spec, "digits", settings, places, team)
    return {
        "history": record["history"],
        "test_top1": record["accuracy"]["test_top1"],
        "told": [line for line in told if line.startswith("unfinished")],
        "files": sorted(path.name for path in folder.iterdir()),
    }


def run_team(folder: Path, otherwise: dict[str, Any]) -> list[dict[str, Any]]:
    """What the two workers came to: their results, errors, or the signal one died of."""
    raise_loopback()
    folder.mkdir(exist_ok=True)
    addresses = ",".join(f"127.0.0.1:{port}" for port in free_ports(2))
    program = [sys.executable, __file__, "worker", str(folder)]
    started = [
        subprocess.Popen([*program, str(index), addresses, json.dumps(otherwise)], stdout=subprocess.PIPE)
        for index in range(2)
        if index != otherwise.get("absent")
    ]
    outcomes = [worker.communicate()[0] for worker in started]
    return [
        json.loads(text.splitlines()[-1]) if worker.returncode == 0 else {"exit": worker.returncode}
        for worker, text in zip(started, outcomes, strict=True)
    ]


def raise_loopback() -> None:
    """In a new network even 127.0.0.1 is down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        up, set_flags = 0x1 | 0x40, 0x8914
        try:
            fcntl.ioctl(any_socket, set_flags, struct.pack("16sH22x", b"lo", up))
        except PermissionError:
            # It is not a new one, where this would be allowed.
            return


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nobody listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def main() -> None:
    """Runs what the command line says."""
    kind, *rest = sys.argv[1:]
    if kind == "alone":
        result: Any = train_alone()
    elif kind == "team":
        result = run_team(Path(rest[0]), json.loads(rest[1]) if rest[1:] else {})
    else:
        try:
            result = work(Path(rest[0]), int(rest[1]), tuple(rest[2].split(",")), json.loads(rest[3]))
        except ToolchainError as error:
            result = {"error": type(error).__name__, "message": str(error)}
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()
    # TensorFlow's threads may still wait for a worker that never comes.
    os._exit(0)


if __name__ == "__main__":
    main()
