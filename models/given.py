"""Networks given on the command line: a name of the zoo, or the path of a user's own `.keras` file. No Keras here."""

from __future__ import annotations

from pathlib import Path

from models.checkpoint import TrainedModel, check_keras_file
from models.errors import UsageError
from models.files import sha256_file
from models.presets import PRESETS, parse_preprocessing
from models.spec import OWN, ModelSpec, OwnNetwork, Preprocessing
from models.weights import AUTO
from models.worker import STARTING, Progress, Report, run_in_worker
from models.zoo import is_name, lookup

SUFFIX = ".keras"


def find_model(given: str, preprocessing: str | None, weights: str, report: Report) -> ModelSpec:
    """The network that `--model` means.

    Args:
        given: A name of the zoo, or a path ending with `.keras`.
        preprocessing: Of a user's own network: a preset or the path of a JSON file; None if not given.
        weights: The choice of weights, which a user's own network leaves open.
        report: Receives the progress of looking into the file.

    Raises:
        UnknownNameError: no such network, no such preprocessing.
        UsageError: options that do not go together, or a file that holds no classifier of pictures.
        WeightsError: a file that is missing, damaged, or holds code or NaNs.
    """
    if not given.endswith(SUFFIX):
        row = lookup(given)
        if preprocessing is not None:
            raise UsageError(
                f"--preprocessing {preprocessing}: {given} has its own; the option is for --model path/to/model.keras"
            )
        return row
    path = Path(given)
    check_keras_file(path)
    if preprocessing is None:
        raise UsageError(
            f"--model {given} needs --preprocessing, what it was trained with: {', '.join(PRESETS)}, or the path of a "
            ".json file"
        )
    if weights != AUTO:
        raise UsageError(f"--weights {weights}: {given} brings its own weights; leave the option out")
    if is_name(path.stem):
        raise UsageError(
            f"{path} is called as a network of the zoo; rename it, or give it with --model {path.stem} --weights {path}"
        )
    spec: ModelSpec = run_in_worker(_inspect, path, parse_preprocessing(preprocessing), report=report)
    return spec


def own_weights(own: OwnNetwork) -> TrainedModel:
    """The weights in a user's own file.

    Raises:
        WeightsError: the file is gone or damaged by now.
    """
    path = Path(own.path)
    check_keras_file(path)
    return TrainedModel(model=path.stem, source=OWN, path=path, sha256=sha256_file(path), seed=None, record={})


def _inspect(report: Report, path: Path, preprocessing: Preprocessing) -> ModelSpec:
    # Here, in the worker, TensorFlow may be imported.
    report(Progress(stage=STARTING, done=0, total=1))
    from models.load import read_checkpoint
    from models.own import describe_own

    report(Progress(stage=STARTING, done=1, total=1))
    return describe_own(path, read_checkpoint(path), preprocessing)
