"""What was made becomes what is there: files under their final names, and the manifest that lists them all."""

from __future__ import annotations

from pathlib import Path

from export.artifact import LABELS_FILE, MANIFEST_FILE, Manifest, artifact_path, load_manifest, save_manifest
from export.precision import PRECISIONS, Precision
from export.work import WorkFiles
from models.files import output_errors, replace_file, write_file


def publish(
    folder: Path, manifest: Manifest, made: tuple[Precision, ...], labels: bytes, work: WorkFiles
) -> tuple[Manifest, tuple[str, ...]]:
    """Moves the made files to their final names and writes the manifest that lists all that now stands there.

    Returns that manifest, and the names of earlier files that had to go.
    """
    name = manifest.model["name"]
    before = load_manifest(folder)
    kept = before.of_same_origin(manifest) if before else ()
    complete = manifest.with_artifacts(kept)
    staying, removed = {artifact.file for artifact in kept}, []
    with output_errors(folder):
        # From here to the end there is no manifest, so that none can lie, wherever this is interrupted.
        (folder / MANIFEST_FILE).unlink(missing_ok=True)
        for precision in PRECISIONS.values():
            final = artifact_path(folder, name, precision)
            if precision in made:
                replace_file(work.made(precision), final)
            elif final.name not in staying and final.exists():
                final.unlink()
                removed.append(final.name)
    write_file(folder / LABELS_FILE, labels)
    save_manifest(folder, complete)
    return complete, tuple(removed)
