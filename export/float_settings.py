"""Whether the float files of a run are equalized: as asked, as the folder's other files are, or to be measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from export.artifact import Manifest, load_manifest
from export.quantization.decision import Decision, recorded_decision
from export.quantization.settings import QuantizationSettings
from export.request import ExportRequest
from export.stages import Prepared
from models.checkpoint import TrainedModel


def float_settings(
    request: ExportRequest, folder: Path, weights: TrainedModel, prepared: Prepared
) -> tuple[QuantizationSettings, Decision | None]:
    """The settings to convert with, and the decision on equalization if it is known already.

    Nothing is measured where no 8-bit file is asked for; float files then follow what was decided for the 8-bit files
    that are in the folder, so that both stay of one network.
    """
    settings = request.quantization
    if request.max_drop is not None:
        # The ladder begins with the network as it is, and tries equalization by itself.
        return replace(settings, equalize=False), None
    if settings.equalize != "auto" or any(precision.calibrated for precision in request.precisions):
        return settings, None
    manifest = load_manifest(folder)
    known = _decided(manifest, request, weights, prepared) if manifest else None
    return replace(settings, equalize=known is not None and known.taken), known


def _decided(manifest: Manifest, request: ExportRequest, weights: TrainedModel, prepared: Prepared) -> Decision | None:
    """The decision of an earlier export, if one now would come to the same."""
    # Here, because it imports onnx.
    from export.describe import tool_versions

    record = manifest.calibration
    wanted = {
        "images": prepared.calibration_images,
        "seed": request.seed,
        "sha256": prepared.calibration_sha256,
        **request.quantization.to_json(),
    }
    alike = (
        manifest.weights.get("sha256") == weights.sha256
        and dict(manifest.tools) == tool_versions()
        and {key: record.get(key) for key in wanted} == wanted
    )
    try:
        return recorded_decision(record) if alike else None
    except ValueError:
        # A record that no export writes; its files are made anew.
        return None
