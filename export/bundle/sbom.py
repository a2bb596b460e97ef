"""The bill of materials: the programs that made a bundle, as CycloneDX 1.6 JSON."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

SBOM_FILE = "sbom.cdx.json"
OWN = "this program"
"""Under which an export's manifest has the digest of this toolchain's own text."""


def describe_materials(
    name: str, version: str, models: Sequence[Mapping[str, Any]], tools: Mapping[str, str]
) -> dict[str, Any]:
    """The bill of one bundle; equal arguments give an equal one, so it bears no time.

    Args:
        name: Of the bundle.
        version: Of its weights.
        models: Files with their `file` and `sha256`.
        tools: Version of each program by its name on PyPI, as the export's manifest has them.
    """
    packages = [
        {
            "type": "library",
            "bom-ref": f"pkg:pypi/{quote(tool)}@{quote(number)}",
            "name": tool,
            "version": number,
            "purl": f"pkg:pypi/{quote(tool)}@{quote(number)}",
        }
        for tool, number in sorted(tools.items())
        if tool != OWN
    ]
    toolchain = {
        "type": "application",
        "bom-ref": "mobile-deploy-toolchain",
        "name": "mobile-deploy-toolchain",
        "description": f"The text of its programs has {tools.get(OWN, 'no known digest')}",
    }
    files = [
        {
            "type": "machine-learning-model",
            "bom-ref": model["file"],
            "name": model["file"],
            "version": version,
            "hashes": [{"alg": "SHA-256", "content": model["sha256"]}],
        }
        for model in models
    ]
    bill = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {"type": "data", "bom-ref": "bundle", "name": name, "version": version},
            "tools": {"components": [toolchain, *packages]},
        },
        "components": files,
    }
    # Named after its content, as the field must be, and not by chance.
    digest = hashlib.sha256(json.dumps(bill, sort_keys=True).encode()).hexdigest()
    return {**bill, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_OID, digest)}"}
