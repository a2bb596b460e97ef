"""An export's manifest as rows."""

from __future__ import annotations

from device_bench.report.collect import ManifestFile
from device_bench.report.values import ArtifactRow, Export
from device_bench.stats import wilson_interval
from export.artifact import Artifact, Manifest


def make_export(file: ManifestFile) -> Export:
    """The rows of one manifest.

    Raises:
        KeyError, TypeError, ValueError, AttributeError: the manifest lacks what this program writes.
    """
    manifest = file.manifest
    return Export(
        model=str(manifest.model["name"]),
        weights=str(manifest.weights["source"]),
        folder=file.folder,
        resolution_px=int(manifest.model["resolution_px"]),
        parameters=int(manifest.model["parameters"]),
        mult_adds=int(manifest.model["mult_adds"]),
        weights_sha256=str(manifest.weights["sha256"]),
        artifacts=tuple(_artifact(manifest, row, row.file in file.changed) for row in manifest.artifacts),
    )


def _artifact(manifest: Manifest, row: Artifact, changed: bool) -> ArtifactRow:
    proof = row.verification
    return ArtifactRow(
        model=str(manifest.model["name"]),
        weights=str(manifest.weights["source"]),
        file=row.file,
        format=row.format,
        precision=row.precision,
        size_bytes=int(row.size_bytes),
        sha256=row.sha256,
        images=None if proof is None else int(proof.images),
        top1=None if proof is None else float(proof.top1),
        top1_ci95=None if proof is None else wilson_interval(round(proof.top1 * proof.images), proof.images),
        top1_drop=None if proof is None else float(proof.top1_drop),
        top1_drop_ci95=None if proof is None else proof.top1_drop_ci95,
        operators={str(name): int(count) for name, count in row.operators.items()},
        failure=_failure(row, changed),
    )


def _failure(row: Artifact, changed: bool) -> str | None:
    if changed:
        return "the file is missing, or has changed since it was exported; export again"
    if row.verification is None:
        return row.failure or "not verified"
    wrong = [check for check in row.verification.checks if not check.passed]
    if not wrong:
        return None
    return "; ".join(f"{check.name}: {check.detail or f'{check.value} against {check.limit}'}" for check in wrong)
