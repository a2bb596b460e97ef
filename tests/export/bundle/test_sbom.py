"""The bill of materials keeps the specification's own schema, and is the same for the same bundle."""

import json
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from export.bundle.sbom import SBOM_FILE, describe_materials
from export.describe import tool_versions

MODELS = [{"file": "models/a-int8.tflite", "sha256": "0" * 64}]
TOOLS = {"this program": "sha256 abc", "numpy": "2.4.6", "odd name": "1.0+local"}


def faults(bill: object) -> object:
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill))


# The validator's own dependency, of a format that no bill of ours uses.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_bill_keeps_the_schema_of_cyclonedx() -> None:
    assert faults(describe_materials("bundle", "1", MODELS, TOOLS)) is None
    assert faults(describe_materials("bundle", "1", MODELS, tool_versions())) is None
    assert faults({**describe_materials("bundle", "1", MODELS, TOOLS), "bomFormat": "other"}) is not None


def test_equal_bundles_have_equal_bills_and_others_other_numbers() -> None:
    first, again = (describe_materials("bundle", "1", MODELS, TOOLS) for _ in range(2))
    assert first == again
    other = describe_materials("bundle", "1", MODELS, TOOLS | {"numpy": "2.5"})
    assert first["serialNumber"] != other["serialNumber"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_bill_of_a_real_bundle_names_its_models_and_the_programs_that_made_them(bundle: Path) -> None:
    bill = json.loads((bundle / SBOM_FILE).read_text("utf-8"))
    assert faults(bill) is None
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    hashes = {c["name"]: c["hashes"][0]["content"] for c in bill["components"]}
    assert hashes == {model["file"]: model["sha256"] for model in manifest["models"]}
    named = {c["name"]: c["version"] for c in bill["metadata"]["tools"]["components"] if "version" in c}
    assert named == {name: version for name, version in manifest["tools"].items() if name != "this program"}
