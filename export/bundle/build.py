"""`build_bundle`: a proven export as one folder and one ZIP that an app developer needs no question for."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from export.artifact import LABELS_FILE, Artifact, Manifest
from export.bundle.archive import write_archive
from export.bundle.card import render_card, render_readme
from export.bundle.contract import Contract, read_contract
from export.bundle.golden import Golden, Subject, golden_stage
from export.bundle.latency import read_latencies
from export.bundle.literals import file_name
from export.bundle.manifest import describe_bundle
from export.bundle.sbom import SBOM_FILE, describe_materials
from export.bundle.shipped import verify_bundle as shipped
from export.bundle.snippets import render_snippets
from export.bundle.source import find_artifact, obtain_export
from export.bundle.verify import verify_stage
from export.metadata.labels import parse_labels
from export.request import ExportRequest
from models.checkpoint import TrainedModel
from models.errors import OutputError
from models.files import format_json, output_errors, replace_file, sha256_file, work_folder
from models.worker import Report, run_in_worker

BUNDLE_FOLDER = "bundle"


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleRequest:
    """What to bundle."""

    export: ExportRequest
    """Its precisions are those of the bundle."""
    purpose: str | None = None
    """What the classifier is for, in the words of whoever ships it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundled:
    """What came out."""

    folder: Path
    archive: Path
    models: tuple[str, ...]
    """Paths in the bundle."""
    checks: tuple[str, ...]
    """What was found in order, before it was published."""
    problems: tuple[str, ...]
    """Benchmark records that could not be read, with the reason."""


def build_bundle(request: BundleRequest, report: Report) -> Bundled:
    """Makes, verifies and publishes a bundle; until all is verified, an earlier one stays as it is.

    Raises:
        ToolchainError: of the kinds listed in `models.errors`.
    """
    source, manifest, weights = obtain_export(request.export, report)
    name = file_name(f"{manifest.model['name']}-{manifest.weights['source']}")
    place = source / BUNDLE_FOLDER
    with work_folder(place) as private, output_errors(place):
        made = private / name
        made.mkdir()
        artifacts = _artifacts(request.export, manifest)
        contracts = _copy_models(source, made, manifest, artifacts)
        labels = (source / LABELS_FILE).read_bytes()
        names = parse_labels(labels, manifest.labels["count"])
        _put(made / LABELS_FILE, labels)
        subjects = tuple(Subject(path=made / "models" / c.file, contract=c) for _, c in contracts)
        digest = manifest.weights["dataset_sha256"]
        golden: Golden = run_in_worker(
            golden_stage, request.export.dataset, digest, names, subjects, made, report=report
        )  # fmt: skip
        problems = _write_pages(request, made, manifest, contracts, names, golden, weights, source)
        described = describe_bundle(name, manifest, contracts, names, golden, made)
        _put(made / shipped.MANIFEST, format_json(described).encode())
        checks: tuple[str, ...] = run_in_worker(verify_stage, made, report=report)
        archive = private / f"{name}.zip"
        write_archive(made, archive)
        _publish(made, archive, place)
    return Bundled(
        folder=place / name,
        archive=place / f"{name}.zip",
        models=tuple(f"models/{c.file}" for _, c in contracts),
        checks=checks,
        problems=problems,
    )


def _artifacts(request: ExportRequest, manifest: Manifest) -> list[Artifact]:
    found = (find_artifact(manifest, precision.name) for precision in request.precisions)
    return [artifact for artifact in found if artifact is not None]


def _copy_models(
    source: Path, made: Path, manifest: Manifest, artifacts: Sequence[Artifact]
) -> list[tuple[Artifact, Contract]]:
    """The very files that were verified, under names that are safe everywhere."""
    contracts = []
    for artifact in artifacts:
        file = f"{file_name(manifest.model['name'])}-{artifact.precision}.tflite"
        target = made / "models" / file
        _put(target, (source / artifact.file).read_bytes())
        if sha256_file(target) != artifact.sha256:
            raise OutputError(f"{source / artifact.file} changed while it was bundled; run the same command again")
        contracts.append((artifact, read_contract(manifest, artifact, file)))
    return contracts


def _write_pages(
    request: BundleRequest,
    made: Path,
    manifest: Manifest,
    contracts: Sequence[tuple[Artifact, Contract]],
    names: Sequence[str],
    golden: Golden,
    weights: TrainedModel,
    source: Path,
) -> tuple[str, ...]:
    """Snippets, pages, bill of materials and the program that verifies; returns what could not be read."""
    name = made.name
    for artifact, contract in contracts:
        for file, text in render_snippets(contract).items():
            _put(made / "snippets" / artifact.precision / file, text.encode())
    latencies, problems = read_latencies(source, {artifact.sha256 for artifact, _ in contracts})
    card = render_card(
        name,
        manifest,
        contracts,
        names,
        latencies,
        data=golden.source,
        training=weights.record,
        purpose=request.purpose,
    )
    _put(made / "README.md", render_readme(manifest, contracts, names).encode())
    _put(made / "model_card.md", card.encode())
    listed = [{"file": f"models/{c.file}", "sha256": artifact.sha256} for artifact, c in contracts]
    bill = describe_materials(name, manifest.model["version"], listed, manifest.tools)
    _put(made / SBOM_FILE, json.dumps(bill, indent=2, ensure_ascii=True).encode() + b"\n")
    _put(made / "verify_bundle.py", Path(shipped.__file__).read_bytes())
    return problems


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _publish(made: Path, archive: Path, place: Path) -> None:
    """Moves folder and archive to their final names, on disk before they are seen.

    Between the moves there is no archive, or none and no folder, but never half of one, nor two that do not agree.
    """
    for path in (*made.rglob("*"), made):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    folder, final = place / made.name, place / archive.name
    final.unlink(missing_ok=True)
    if folder.is_dir() and not folder.is_symlink():
        # Into the private folder, which goes away.
        folder.rename(made.parent / "before")
    made.rename(folder)
    shutil.copymode(folder / shipped.MANIFEST, archive)
    replace_file(archive, final)
