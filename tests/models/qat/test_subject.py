"""What a quantization-aware training may start from."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.data import load_dataset
from models.errors import DataError, WeightsError
from models.qat.subject import quantized_subject
from models.training.settings import TrainSettings
from models.zoo import lookup


def silent(_: object) -> None:
    """Takes progress and shows none."""


@pytest.mark.parametrize(("digest", "name"), [("0" * 64, "digits"), (None, "digits"), ("0" * 64, "other")])
def test_a_network_that_may_have_learned_todays_test_pictures_is_refused(
    digest: str | None, name: str, tmp_path: Path
) -> None:
    data = load_dataset("digits", silent)
    path = tmp_path / "trained.keras"
    path.write_bytes(b"no checkpoint")
    record = {
        "schema": 1, "model": "mobilenet_v1_0.25_128", "dataset": {"name": name, "sha256": digest or data.digest},
        "settings": {"seed": 0, "phases": [{}]},
        "weights": {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()},
    }  # fmt: skip
    (tmp_path / "trained.json").write_text(json.dumps(record))
    spec = replace(lookup("mobilenet_v1_0.25_128"), num_classes=10)
    settings = TrainSettings(seed=0, phases=(), fine_tune=str(path), quantization_aware=True)
    # Weights of this edition, or of another data set, are only refused for what they are.
    refusal = DataError if digest and name == "digits" else WeightsError
    with pytest.raises(refusal) as raised:
        quantized_subject(spec, data, settings, silent)
    assert ("was trained on another edition of the data set" in str(raised.value)) == (refusal is DataError)
