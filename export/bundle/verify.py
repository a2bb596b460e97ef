"""`verify_bundle`: a folder or ZIP from anywhere, proven to be whole, to load, and to compute what it should."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from export.bundle.archive import unpacked
from export.bundle.pictures import check_pictures
from export.bundle.shipped.verify_bundle import BadBundle, Difference, check_bundle, list_files, read_manifest, shown
from export.bundle.tolerances import TOLERANCES
from models.errors import BrokenFileError, UsageError, VerificationError
from models.worker import Progress, Report, run_in_worker

STAGE = "verify bundle"


def verify_bundle(path: Path, report: Report) -> tuple[str, ...]:
    """A line for everything found in order.

    Nothing of the bundle is trusted: an archive is unpacked within bounds in a private place, the bundle's own programs
    are not run, and its models are run in a process of their own, which may crash and take nothing along.

    Raises:
        VerificationError: something is not as the manifest says; the message names the first such thing.
        BrokenFileError: it is no bundle, or one that nobody should open.
        UsageError: it cannot be read.
        WorkerError: a model crashed the runtime.
    """
    with _opened(path) as folder:
        lines: tuple[str, ...] = run_in_worker(verify_stage, folder, report=report)
    return lines


@contextmanager
def _opened(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield path
    elif path.is_file():
        try:
            with unpacked(path) as folder:
                yield folder
        except PermissionError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    else:
        what = "is no file or folder" if path.exists() else "does not exist"
        raise UsageError(f"{path} {what}; give the folder or the .zip that `make bundle` made")


def verify_stage(report: Report, folder: Path) -> tuple[str, ...]:
    """All checks of the folder of a bundle, in a worker."""
    lines = []
    try:
        for line in _checks(folder):
            lines.append(line)
            report(Progress(stage=STAGE, done=len(lines), total=len(lines) + 1, detail=line))
    except Difference as difference:
        raise VerificationError(f"{difference}; ask for the bundle once more") from difference
    except BadBundle as reason:
        raise BrokenFileError(f"no bundle to be believed: {reason}; give what `make bundle` made") from reason
    report(Progress(stage=STAGE, done=len(lines), total=len(lines), detail=f"{len(lines)} checks passed"))
    return tuple(lines)


def _checks(folder: Path) -> Iterator[str]:
    """Those that a bundle brings along; between them, before anything is run, those that only this toolchain can do."""
    checks = check_bundle(folder)
    # Hashes and class names.
    yield next(checks)
    yield next(checks)
    manifest = read_manifest(folder, list_files(folder))
    try:
        for model in manifest["models"]:
            yield check_contents(folder, manifest, model)
        yield from checks
        # Now that pictures and tensors are known to be there, and of the right shape.
        for model in manifest["models"]:
            yield check_pictures(folder, manifest, model)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BadBundle(f"the manifest lacks something or has it in another form: {shown(repr(error))}") from error


def check_contents(folder: Path, manifest: Mapping[str, Any], model: Mapping[str, Any]) -> str:
    """The model file is what the manifest says of it: its operators, its tensors, and the metadata inside.

    Raises:
        Difference: it is not.
    """
    from export.contents import read_contents
    from export.metadata.read import read_metadata
    from export.precision import PRECISIONS

    path = str(model["file"])
    content = (folder / path).read_bytes()
    precision = PRECISIONS.get(("tflite", model["precision"]))
    if precision is None:
        raise Difference(f"{path} has the precision {shown(model['precision'])}, which does not exist")
    allowed, tolerance = TOLERANCES[precision.name].max_abs_error, model["golden"]["tolerance"]["max_abs_error"]
    if not 0 < tolerance <= allowed:
        raise Difference(
            f"{path} has the tolerance {shown(tolerance)}, for {precision.name} at most {allowed:g} is known"
        )
    try:
        metadata = read_metadata(content)
        contents = read_contents(content, precision)
    except Exception as error:  # whatever a hostile file makes the flatbuffer's generated reader raise
        raise Difference(f"{path} is no whole TFLite file: {shown(error)}") from error
    if metadata is None:
        raise Difference(f"{path} has no metadata inside")
    said, taken = manifest["model"], manifest["preprocessing"]
    side = int(said["resolution_px"])
    notes = metadata.inputs[0] if metadata.inputs else None
    pairs = {
        "operators": (dict(contents.operators), model["operators"]),
        "input": (contents.input.to_json(), {key: model["input"][key] for key in contents.input.to_json()}),
        "output": (contents.output.to_json(), {key: model["output"][key] for key in contents.output.to_json()}),
        "metadata's name": (metadata.name, _one_line(said["name"])),
        "metadata's version": (metadata.version, _one_line(said["version"])),
        "metadata's author": (metadata.author, _one_line(said["author"])),
        "metadata's licence": (metadata.license, _one_line(said["license"])),
        "metadata's picture": (notes and notes.content, f"image RGB {side} x {side}"),
        "metadata's mean": (notes and 3 * notes.mean, _floats(taken["mean"])),
        "metadata's std": (notes and 3 * notes.std, _floats(taken["std"])),
        "metadata's class names": (metadata.labels, (folder / manifest["labels"]["file"]).read_bytes()),
    }
    for what, (found, wanted) in pairs.items():
        if found != wanted:
            raise Difference(f"{path}: {what} is {shown(found)}, the manifest says {shown(wanted)}")
    return f"{path}: metadata, operators and tensors agree with the manifest"


def _one_line(text: str | None) -> str | None:
    from models.cli import one_line

    return None if text is None else one_line(text)


def _floats(values: list[float]) -> tuple[float, ...]:
    # As 32 bits keep them.
    import numpy as np

    return tuple(float(np.float32(value)) for value in values)
