"""One bundle of a trained network for all tests of bundles, and copies of it to be tampered with."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from export.bundle.build import Bundled, BundleRequest, build_bundle
from export.bundle.shipped.verify_bundle import MANIFEST
from export.precision import select_precisions
from export.request import ExportRequest
from models.zoo import lookup
from tests.export.conftest import CALIBRATION_IMAGES, Exported, silent

PRECISIONS = ("int8", "float16", "int8_npu")


def request_for(full: Exported, build_dir: Path, **changes: Any) -> BundleRequest:
    """A bundle of the full export's files, or of a copy of them elsewhere."""
    rows = {row.name: row for row in select_precisions(None, ("tflite",))}
    value: dict[str, Any] = {
        "spec": lookup(full.folder.name.removesuffix("-digits")),
        "dataset": "digits",
        "weights": "auto",
        "precisions": tuple(rows[name] for name in PRECISIONS),
        "calibration_images": CALIBRATION_IMAGES,
        "seed": 0,
        "output": "probabilities",
        "build_dir": build_dir,
    }
    return BundleRequest(export=ExportRequest(**value | changes), purpose="Reads *digits* <from> forms")


@pytest.fixture(scope="session")
def bundled(full: Exported, tmp_path_factory: pytest.TempPathFactory) -> Bundled:
    """A bundle of int8, float16 and int8_npu; do not change it."""
    build = tmp_path_factory.mktemp("bundled") / "build"
    shutil.copytree(full.folder, build / full.folder.name)
    return build_bundle(request_for(full, build), silent)


@pytest.fixture
def bundle(bundled: Bundled, tmp_path: Path) -> Path:
    """A copy of the bundle's folder."""
    return Path(shutil.copytree(bundled.folder, tmp_path / bundled.folder.name))


Edit = Callable[[dict[str, Any]], object]


def edit_manifest(bundle: Path, edit: Edit = lambda _: None) -> None:
    """Changes the manifest as somebody would who also forges the hashes of all files."""
    manifest = json.loads((bundle / MANIFEST).read_text("utf-8"))
    manifest["files"] = [
        {
            "file": path.relative_to(bundle).as_posix(),
            "size_bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    ]
    listed = {entry["file"]: entry for entry in manifest["files"]}
    for model in manifest["models"]:
        model |= {name: listed[model["file"]][name] for name in ("sha256", "size_bytes")}
    edit(manifest)
    (bundle / MANIFEST).write_text(json.dumps(manifest), "utf-8")
