"""A bundle's `manifest.json`: what is in it, what goes in and out of its models, and the sha256 of everything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.artifact import LABELS_FILE, Artifact, Manifest
from export.bundle.contract import Contract
from export.bundle.golden import Golden
from export.bundle.labels import background_index
from export.bundle.shipped.verify_bundle import MANIFEST, SCHEMA
from export.bundle.snippets import describe_feed, describe_fit
from export.bundle.tolerances import TOLERANCES
from export.contents import TensorInfo
from models.files import sha256_file


def describe_bundle(
    name: str,
    exported: Manifest,
    contracts: Sequence[tuple[Artifact, Contract]],
    names: Sequence[str],
    golden: Golden,
    folder: Path,
) -> dict[str, Any]:
    """The manifest of the bundle in `folder`, where every other file stands already."""
    weights, labels = exported.weights, exported.labels
    preprocessing = dict(exported.preprocessing)
    return {
        "schema": SCHEMA,
        "name": name,
        "model": dict(exported.model),
        "weights": dict(weights),
        "preprocessing": {
            **preprocessing,
            "size_px": exported.model["resolution_px"],
            "steps": [
                "decode; undo the EXIF rotation; lay transparent pictures over white; RGB bytes 0..255",
                describe_fit(contracts[0][1]),
                "make of each byte what the model's input feeds says",
            ],
        },
        "labels": {**labels, "file": LABELS_FILE, "background_index": background_index(names)},
        "models": [_describe_model(artifact, contract, golden) for artifact, contract in contracts],
        "golden_images": list(golden.images),
        "tools": dict(exported.tools),
        "files": list_files(folder),
    }


def list_files(folder: Path) -> list[dict[str, Any]]:
    """Path, size and sha256 of every file but the manifest, by path."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [
        {"file": path, "size_bytes": (folder / path).stat().st_size, "sha256": sha256_file(folder / path)}
        for path in paths
        if path != MANIFEST
    ]


def _describe_model(artifact: Artifact, contract: Contract, golden: Golden) -> dict[str, Any]:
    tolerance = TOLERANCES[artifact.precision]
    return {
        "file": f"models/{contract.file}",
        "precision": artifact.precision,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "input": {**_edge(contract.input), "feed": describe_feed(contract)},
        "output": {**_edge(contract.output), "meaning": "logits" if contract.gives_logits else "probabilities"},
        "mediapipe": contract.fits_mediapipe,
        "operators": dict(artifact.operators),
        "verification": artifact.verification.to_json() if artifact.verification else None,
        "golden": {
            "tolerance": {"max_abs_error": tolerance.max_abs_error, "reason": tolerance.reason},
            "vectors": list(golden.vectors[artifact.precision]),
        },
    }


def _edge(info: TensorInfo) -> Mapping[str, Any]:
    return info.to_json()
