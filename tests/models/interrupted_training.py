"""A training that kills itself with SIGKILL where it is told to; run by `test_train.py` in a process of its own.

    python interrupted_training.py FOLDER (epoch|write) COUNT

`epoch`: in the middle of the epoch of that number; `write`: in the middle of writing what is kept after it.
"""

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.spec import MINUS_ONE_TO_ONE, ModelSpec, Stage
from models.training.settings import Method, Phase, TrainSettings
from models.worker import Progress

SPEC = ModelSpec(
    name="tiny_1.0_32",
    family="tiny",
    width=1.0,
    resolution_px=32,
    stages=(Stage(block="conv", channels=8, stride=4), Stage(block="separable", channels=8, stride=2)),
    preprocessing=MINUS_ONE_TO_ONE,
    dropout=0.2,
    num_classes=10,
)
"""With dropout, so that its random numbers have to go on too."""

SETTINGS = TrainSettings(
    seed=3,
    phases=(
        Phase(resolution_px=16, epochs=1, learning_rate=1e-2, batch=128, shift=1 / 8, frozen=True),
        Phase(resolution_px=16, epochs=1, learning_rate=1e-2, batch=128, shift=1 / 8),
        Phase(resolution_px=32, epochs=2, learning_rate=1e-2, batch=128, shift=1 / 8, warmup_epochs=0.5),
    ),
    method=Method(
        optimizer="rmsprop", weight_decay=1e-4, label_smoothing=0.1, ema_momentum=0.9, colour=0.2, mixup=0.2,
        class_weights="balanced",
    ),
)  # fmt: skip
"""Everything that has a state."""


def ignore(_: Progress) -> None:
    """Takes progress and shows none."""


def train_in(folder: Path, report: Callable[[Progress], None] = ignore, **changes: Any) -> dict[str, Any]:
    """Trains in this process, and goes on with what is in the folder."""
    from models.train import Places, train

    folder.mkdir(exist_ok=True)
    places = Places(made=folder / "trained.keras", curves=folder, unfinished=folder / "training")
    return train(report, SPEC, "digits", replace(SETTINGS, **changes), places)


def die() -> None:
    """Ends this process as the system does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, where: str, count: int) -> None:
    """Trains until it dies."""
    epochs = 0

    def watch(progress: Progress) -> None:
        nonlocal epochs
        epochs += progress.stage == "validation accuracy" and progress.done == 0
        if (
            where == "epoch"
            and epochs == count - 1
            and progress.stage.startswith("train at")
            and progress.done % 10 == 5
        ):
            die()

    if where == "write":
        write_array, arrays = np.lib.format.write_array, 0

        def write(*args: Any, **options: Any) -> None:
            nonlocal arrays
            arrays += 1
            write_array(*args, **options)
            if epochs == count and arrays % 7 == 0:
                args[0].flush()
                die()

        np.lib.format.write_array = write
    train_in(folder, watch)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
