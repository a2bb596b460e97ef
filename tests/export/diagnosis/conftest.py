"""A healthy export, and what was found out about it and about harmed copies."""

from pathlib import Path

import pytest

from export.diagnosis.examine import Sizes, diagnose
from export.diagnosis.subject import open_subject
from export.diagnosis.values import Diagnosis
from tests.export.conftest import Exported
from tests.export.diagnosis.plants import Patient, recalibrate

SIZES = Sizes(test=120, layers=8)


def examine(folder: Path, sizes: Sizes = SIZES) -> Diagnosis:
    """The diagnosis of an export."""
    return diagnose(lambda _: None, open_subject(folder, "int8", None), sizes)


@pytest.fixture(scope="session")
def healthy(full: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the full export published, calibrated with fewer pictures."""
    patient = Patient(full.folder, tmp_path_factory.mktemp("healthy") / full.folder.name)
    recalibrate(patient)
    return patient.folder


@pytest.fixture(scope="session")
def healthy_diagnosis(healthy: Path) -> Diagnosis:
    """Of all its test pictures."""
    return examine(healthy, Sizes(test=1000, layers=16))
