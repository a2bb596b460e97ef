"""Checks that this bundle arrived whole and computes here what it computed where it was made.

    python verify_bundle.py [FOLDER]

needs NumPy and one of ai-edge-litert, tflite-runtime and tensorflow. Exit codes: 0 all passed, 1 something differs (the
first difference is named), 2 no bundle. Nothing is written, and nothing outside the folder is read.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import stat
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

SCHEMA = 1
MANIFEST = "manifest.json"

MAX_FILES = 2_000
MAX_FILE_BYTES = 512 * 2**20
"""Of one file. The largest network of the zoo has 25 MB."""
MAX_TOTAL_BYTES = 2**30
MAX_MANIFEST_BYTES = 10 * 2**20
MAX_LABELS_BYTES = 10 * 2**20
MAX_LABEL_CHARACTERS = 1_000
MIN_VECTORS = 8
"""Of each model: fewer prove nothing of it."""

SAFE_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,99}[A-Za-z0-9_-])?")
"""One part of a path. Nothing else is in a bundle, so nothing else is looked at: no `..`, no drive, no `:`."""
DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
"""What Windows opens as a device, with any ending."""
MAX_PARTS = 8

RUNTIMES = ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite")
"""Modules that have the class `Interpreter`, the maintained one first."""


class BadBundle(Exception):  # noqa: N818 - both names are said to people
    """This is no bundle, or one that nobody should open; the message says why."""


class Difference(Exception):  # noqa: N818
    """Something is not as the manifest says; the message says what."""


def is_safe(path: str) -> bool:
    """Whether a path stays inside of the bundle and means the same on every system."""
    parts = path.split("/")
    return len(parts) <= MAX_PARTS and all(SAFE_NAME.fullmatch(part) and not DEVICES.fullmatch(part) for part in parts)


def shown(value: object) -> str:
    """Text from the bundle for a terminal: one line, short, nothing that steers it."""
    text = str(value)
    return "".join(c if c.isprintable() else "?" for c in text[:200]) + ("…" if len(text) > 200 else "")


def list_files(folder: Path) -> dict[str, int]:
    """Size of every file by its path; links, devices and too much of anything are refused unopened.

    Raises:
        BadBundle: such a thing is in the folder, or it cannot be read.
    """
    sizes: dict[str, int] = {}
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        try:
            entries = sorted(os.scandir(folder / inside), key=lambda entry: entry.name)
            found = [(f"{inside}{entry.name}", entry.stat(follow_symlinks=False)) for entry in entries]
        except OSError as error:
            raise BadBundle(f"{shown(folder / inside)} cannot be read: {error.strerror}") from error
        for path, status in found:
            if not is_safe(path):
                raise BadBundle(f"{shown(repr(path))} is no name for a file in a bundle")
            if stat.S_ISDIR(status.st_mode):
                waiting.append(f"{path}/")
                continue
            if not stat.S_ISREG(status.st_mode):
                raise BadBundle(f"{path} is a link or a device; a bundle has files only")
            if status.st_size > MAX_FILE_BYTES:
                raise BadBundle(f"{path} has {status.st_size} bytes, allowed are {MAX_FILE_BYTES}")
            sizes[path] = status.st_size
            if len(sizes) > MAX_FILES or sum(sizes.values()) > MAX_TOTAL_BYTES:
                raise BadBundle(f"it has more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes")
    return sizes


def read_manifest(folder: Path, sizes: Mapping[str, int]) -> dict[str, Any]:
    """The manifest.

    Raises:
        BadBundle: there is none, or none of this schema.
    """
    if MANIFEST not in sizes:
        raise BadBundle(f"there is no {MANIFEST} in {shown(folder)}")
    if sizes[MANIFEST] > MAX_MANIFEST_BYTES:
        raise BadBundle(f"{MANIFEST} has {sizes[MANIFEST]} bytes, allowed are {MAX_MANIFEST_BYTES}")
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes().decode())
        schema = manifest["schema"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadBundle(f"{MANIFEST} cannot be read: {shown(error)}") from error
    if schema != SCHEMA:
        raise BadBundle(f"{MANIFEST} has schema {shown(schema)}, known is {SCHEMA}; use the verify_bundle.py beside it")
    return manifest  # type: ignore[no-any-return]


def check_files(folder: Path, manifest: Mapping[str, Any], sizes: Mapping[str, int]) -> str:
    """Every file listed is there with its content, and no other."""
    listed = {str(entry["file"]): entry for entry in manifest["files"]}
    if len(listed) != len(manifest["files"]):
        raise Difference(f"{MANIFEST} lists a file twice")
    for path in sorted(listed.keys() | (sizes.keys() - {MANIFEST})):
        if path not in sizes:
            raise Difference(f"{shown(path)} is missing")
        if path not in listed:
            raise Difference(f"{path} is not in {MANIFEST}: somebody added it")
        if sizes[path] != listed[path]["size_bytes"]:
            raise Difference(f"{path} has {sizes[path]} bytes, {MANIFEST} says {shown(listed[path]['size_bytes'])}")
        digest = _sha256(folder / path)
        if digest != listed[path]["sha256"]:
            raise Difference(f"{path} has sha256 {digest[:16]}…, {MANIFEST} says {shown(listed[path]['sha256'])[:16]}…")
    return f"{len(listed)} files are those of {MANIFEST}, no other is there"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def check_labels(folder: Path, manifest: Mapping[str, Any], sizes: Mapping[str, int]) -> tuple[str, list[str]]:
    """One printable, distinct name per output, in UTF-8; a background class stands where the manifest says."""
    entry = manifest["labels"]
    path = _known(entry["file"], sizes)
    if sizes[path] > MAX_LABELS_BYTES:
        raise Difference(f"{path} has {sizes[path]} bytes, allowed are {MAX_LABELS_BYTES}")
    try:
        text = (folder / path).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise Difference(f"{path} is not UTF-8 (byte {error.start})") from error
    names = text[:-1].split("\n") if text.endswith("\n") else text.split("\n")
    seen = set()
    for number, name in enumerate(names, start=1):
        if not name.strip():
            raise Difference(f"{path} line {number} is empty")
        if len(name) > MAX_LABEL_CHARACTERS or not name.isprintable():
            raise Difference(
                f"{path} line {number} is longer than {MAX_LABEL_CHARACTERS} or not printable: {shown(name)}"
            )
        if name in seen:
            raise Difference(f"{path} line {number} repeats {shown(name)}")
        seen.add(name)
    outputs = {model["output"]["shape"][-1] for model in manifest["models"]} | {entry["count"]}
    if outputs != {len(names)}:
        hint = "; one has a background class that the other lacks" if {len(names) - 1, len(names) + 1} & outputs else ""
        raise Difference(f"{path} has {len(names)} names, the networks have {sorted(outputs)} outputs{hint}")
    background = next((i for i, name in enumerate(names) if name.lower() == "background"), None)
    if entry["background_index"] != background:
        raise Difference(f"{path} has background at {background}, {MANIFEST} says {shown(entry['background_index'])}")
    return f"{path}: {len(names)} distinct names, one per output", names


def _known(path: object, sizes: Mapping[str, int]) -> str:
    # Never opened before it is known to be a file of this folder.
    if not isinstance(path, str) or path not in sizes:
        raise Difference(f"{MANIFEST} names {shown(path)}, which is not there")
    return path


def check_tail(folder: Path, model: Mapping[str, Any], labels: str, sizes: Mapping[str, int]) -> str:
    """The names inside the model file, which MediaPipe shows, are those of the label file."""
    path = _known(model["file"], sizes)
    try:
        with zipfile.ZipFile(folder / path) as archive, archive.open(Path(labels).name) as member:
            inside = member.read(MAX_LABELS_BYTES + 1)
    except (OSError, KeyError, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise Difference(f"{path} has no class names inside: {shown(error)}") from error
    if inside != (folder / labels).read_bytes():
        raise Difference(f"{path} has other class names inside than {labels}")
    return f"{path}: the class names inside are those of {labels}"


def load_runtime() -> tuple[str, Callable[..., Any]]:
    """Name and Interpreter of the first runtime that is installed.

    Raises:
        BadBundle: none is.
    """
    for module in RUNTIMES:
        try:
            return module.split(".")[0], importlib.import_module(module).Interpreter
        except ImportError:
            continue
    raise BadBundle("no TFLite runtime is installed; python -m pip install ai-edge-litert")


def check_model(
    folder: Path, manifest: Mapping[str, Any], model: Mapping[str, Any], names: list[str], sizes: Mapping[str, int]
) -> str:
    """The model loads, takes and gives what the manifest says, and computes the golden outputs."""
    path = _known(model["file"], sizes)
    entry = next(entry for entry in manifest["files"] if entry["file"] == path)
    if (model["sha256"], model["size_bytes"]) != (entry["sha256"], entry["size_bytes"]):
        raise Difference(f"{path} has one sha256 or size among the models of {MANIFEST}, another among its files")
    count = len(model["golden"]["vectors"])
    if count < MIN_VECTORS:
        raise Difference(f"{path} has {count} golden vectors, at least {MIN_VECTORS} are needed")
    runtime, interpreter_class = load_runtime()
    try:
        interpreter = interpreter_class(model_path=str(folder / path), num_threads=1)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise Difference(f"{runtime} refuses {path}: {shown(error)}") from error
    ends = (("input", interpreter.get_input_details()), ("output", interpreter.get_output_details()))
    for side, details in ends:
        _check_edge(path, side, details, model[side])
    largest = 0.0
    for vector in model["golden"]["vectors"]:
        given, expected = (_load(folder, _known(vector[s], sizes), model[s]) for s in ("input", "output"))
        interpreter.set_tensor(ends[0][1][0]["index"], np.array(given))
        interpreter.invoke()
        got = interpreter.get_tensor(ends[1][1][0]["index"])
        difference = compare(got, np.array(expected), model, vector, names)
        largest = max(largest, difference)
        _check_image(manifest, vector, names, sizes)
    limit = model["golden"]["tolerance"]["max_abs_error"]
    return f"{path}: {count} golden vectors in {runtime}, largest difference {largest:.2g} (allowed {limit:g})"


def _check_edge(path: str, side: str, details: Any, said: Mapping[str, Any]) -> None:
    if len(details) != 1:
        raise Difference(f"{path} has {len(details)} {side}s, a classifier has one")
    dtype, shape = np.dtype(details[0]["dtype"]).name, [int(n) for n in details[0]["shape"]]
    if (dtype, shape) != (said["dtype"], said["shape"]):
        raise Difference(
            f"{path} has {side} {dtype} {shape}, {MANIFEST} says {shown(said['dtype'])} {shown(said['shape'])}"
        )
    if said["scale"] is not None:
        scale, zero_point = details[0]["quantization"]
        if (np.float32(scale), zero_point) != (np.float32(said["scale"]), said["zero_point"]):
            raise Difference(
                f"{path} has {side} scale {scale}, zero point {zero_point}; {MANIFEST} says {shown(said['scale'])}, "
                f"{shown(said['zero_point'])}"
            )


def _load(folder: Path, path: str, said: Mapping[str, Any]) -> Any:
    """A tensor, mapped and not read, so that a header that claims terabytes costs nothing; never a pickle."""
    try:
        tensor = np.load(folder / path, mmap_mode="r", allow_pickle=False)
        dtype, shape = tensor.dtype.name, list(tensor.shape)
    except (OSError, ValueError, EOFError, SyntaxError, AttributeError, OverflowError, MemoryError) as error:
        raise Difference(f"{path} is no tensor: {shown(error)}") from error
    if (dtype, shape) != (said["dtype"], said["shape"]):
        raise Difference(f"{path} is {dtype} {shape}, the model's is {shown(said['dtype'])} {shown(said['shape'])}")
    return tensor


def probabilities(stored: Any, output: Mapping[str, Any]) -> Any:
    """An output tensor as probabilities, float64 `[classes]`."""
    values = np.asarray(stored, np.float64).reshape(-1)
    if output["scale"] is not None:
        values = (values - output["zero_point"]) * output["scale"]
    if output["meaning"] == "logits":
        values = np.exp(values - values.max())
        values = values / values.sum()
    return values


def compare(got: Any, expected: Any, model: Mapping[str, Any], vector: Mapping[str, Any], names: list[str]) -> float:
    """Largest difference of any probability.

    Where the best class leads by more than twice the tolerance, no other can be best within it.

    Raises:
        Difference: it is above the tolerance, or the expected five are not those of the golden tensor.
    """
    path, limit = (
        f"{shown(model['file'])} on {shown(vector['image'])}",
        float(model["golden"]["tolerance"]["max_abs_error"]),
    )
    here, there = (probabilities(tensor, model["output"]) for tensor in (got, expected))
    best = sorted(range(len(there)), key=lambda i: (-there[i], i))[: len(vector["top5"])]
    for place, said in enumerate(vector["top5"]):
        index = best[place]
        if (index, names[index]) != (said["index"], said["label"]) or abs(there[index] - said["probability"]) > 1e-6:
            raise Difference(
                f"{path}: place {place + 1} of the golden output is class {index} ({shown(names[index])}, "
                f"{there[index]:.4f}), {MANIFEST} says {shown(said['index'])} ({shown(said['label'])}, "
                f"{shown(said['probability'])})"
            )
    difference = float(np.abs(here - there).max())
    if not difference <= limit:
        raise Difference(f"{path}: a probability differs by {difference:.3g} from the golden one, allowed is {limit:g}")
    return difference


def _check_image(
    manifest: Mapping[str, Any], vector: Mapping[str, Any], names: list[str], sizes: Mapping[str, int]
) -> None:
    """The picture shows the class that the golden output names: the proof that the names are in order."""
    image = next((i for i in manifest["golden_images"] if i["file"] == _known(vector["image"], sizes)), None)
    if image is None:
        raise Difference(f"{shown(vector['image'])} is not among the golden images of {MANIFEST}")
    top = vector["top5"][0]
    if (image["class_index"], image["label"]) != (top["index"], names[top["index"]]):
        raise Difference(
            f"{shown(image['file'])} shows class {shown(image['class_index'])} ({shown(image['label'])}), the golden "
            f"output names {shown(top['index'])} ({shown(top['label'])}): the class names are out of order"
        )


def check_bundle(folder: Path) -> Iterator[str]:
    """A line for everything that was found in order, in the order of looking.

    Raises:
        BadBundle: it is no bundle.
        Difference: the first thing that is not in order.
    """
    sizes = list_files(folder)
    manifest = read_manifest(folder, sizes)
    try:
        yield check_files(folder, manifest, sizes)
        line, names = check_labels(folder, manifest, sizes)
        yield line
        if not manifest["models"]:
            raise Difference(f"{MANIFEST} lists no model")
        for model in manifest["models"]:
            yield check_tail(folder, model, manifest["labels"]["file"], sizes)
            yield check_model(folder, manifest, model, names, sizes)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise BadBundle(f"{MANIFEST} lacks something or has it in another form: {shown(repr(error))}") from error


def main() -> int:
    """Runs the checks and says what they found."""
    if len(sys.argv) > 2 or sys.argv[1:2] in (["-h"], ["--help"]):
        print(__doc__)
        return 0 if len(sys.argv) == 2 else 2
    for stream in (sys.stdout, sys.stderr):
        # Windows' consoles cannot show every name.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    folder = Path(sys.argv[1]) if sys.argv[1:] else Path(__file__).resolve().parent
    try:
        for line in check_bundle(folder):
            print(f"ok  {line}")
    except Difference as difference:
        print(f"DIFFERS  {difference}", file=sys.stderr)
        return 1
    except BadBundle as reason:
        print(f"error: {reason}", file=sys.stderr)
        return 2
    print("passed: this bundle is whole and computes here what it should")
    return 0


if __name__ == "__main__":
    sys.exit(main())
