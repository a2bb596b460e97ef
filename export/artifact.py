"""`Artifact` and `Manifest`: what was made, and their form on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from export.contents import TensorInfo
from export.precision import PRECISIONS, Format, Precision
from export.quantization.decision import is_equalized
from models.files import format_json, sha256_file, write_file

MANIFEST_FILE = "manifest.json"
LABELS_FILE = "labels.txt"
SCHEMA = 1


def artifact_path(folder: Path, model: str, precision: Precision) -> Path:
    """`<folder>/<model>-<precision>.<format>`: the one place where an artifact's name is made.

    Model names have dots in them (`mobilenet_v2_1.4`), so `with_suffix` would cut them.
    """
    return folder / f"{model}-{precision.name}.{precision.format}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing verification looked at."""

    name: str
    value: float | None
    limit: float | None
    passed: bool
    detail: str
    """What is wrong, if words are needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What an artifact achieved on the test split. Accuracies and shares are 0..1."""

    images: int
    top1: float
    top1_drop: float
    """Accuracy of the Keras float model less that of the artifact."""
    top1_drop_ci95: tuple[float, float]
    """Paired 95 % interval."""
    top1_agreement: float
    """Share of images with the Keras model's top-1 class."""
    max_abs_error: float | None
    """Largest difference of any probability to the Keras model's; None if not finite."""
    builtin_error: float | None
    """Largest difference of any probability between XNNPACK and the builtin kernels; None for ONNX, or not finite."""
    checks: tuple[Check, ...]
    reason: str
    """Why the limits are what they are."""

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        value = asdict(self)
        value["top1_drop_ci95"] = list(self.top1_drop_ci95)
        value["checks"] = [asdict(check) for check in self.checks]
        value["limits"] = {check.name: check.limit for check in self.checks if check.limit is not None}
        return {**value, "passed": self.passed}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Verification:
        """Value from `to_json`'s form."""
        known = {key: value[key] for key in cls.__slots__}
        known["top1_drop_ci95"] = tuple(known["top1_drop_ci95"])
        known["checks"] = tuple(Check(**check) for check in known["checks"])
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One exported file, or the attempt at it."""

    file: str
    format: Format
    precision: str
    size_bytes: int
    sha256: str
    source_sha256: str
    """Of the float32 TFLite file all others are made from."""
    input: TensorInfo
    output: TensorInfo
    operators: Mapping[str, int]
    """How often each operator occurs."""
    weights: Mapping[str, int]
    """Number of constants per type."""
    verification: Verification | None
    float_blocks: tuple[Mapping[str, Any], ...] = ()
    """Of a mixed file: the blocks that compute in float, with what each gains; see `export.quantization.blocks`."""
    failure: str | None
    """Why there is no verification: the file's runtime refused it or died."""

    @property
    def passed(self) -> bool:
        """Whether the file is proven to be what its name says."""
        return self.verification is not None and self.verification.passed

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        verification = self.verification.to_json() if self.verification else {"passed": False, "failure": self.failure}
        return {
            "file": self.file,
            "format": self.format,
            "precision": self.precision,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "source_sha256": self.source_sha256,
            "input": self.input.to_json(),
            "output": self.output.to_json(),
            "operators": dict(self.operators),
            "weights": dict(self.weights),
            **({"float_blocks": [dict(block) for block in self.float_blocks]} if self.float_blocks else {}),
            "verification": verification,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Artifact:
        """Value from `to_json`'s form.

        Raises:
            KeyError, TypeError, AttributeError: it is none.
        """
        verification = value["verification"]
        failure = verification.get("failure")
        known = {key: value[key] for key in ("file", "format", "precision", "size_bytes", "sha256", "source_sha256")}
        if wrong := [key for key, given in known.items() if not isinstance(given, int if key == "size_bytes" else str)]:
            raise TypeError(f"artifact with {wrong[0]} {known[wrong[0]]!r}")
        return cls(
            **known,
            input=TensorInfo.from_json(value["input"]),
            output=TensorInfo.from_json(value["output"]),
            operators=value["operators"],
            weights=value["weights"],
            float_blocks=tuple(value.get("float_blocks", ())),
            verification=None if failure is not None else Verification.from_json(verification),
            failure=failure,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Everything known of one export. The values of the first group are plain JSON objects."""

    model: Mapping[str, Any]
    weights: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    labels: Mapping[str, Any]
    calibration: Mapping[str, Any]
    tools: Mapping[str, str]
    artifacts: tuple[Artifact, ...]
    failures: Mapping[str, str]
    """Precisions that could not even be converted, by `<format> <precision>`, with the reason."""
    budget: Mapping[str, Any] | None = None
    """The ladder that led to the settings of `calibration`, where a budget of lost accuracy was given."""

    @property
    def passed(self) -> bool:
        """Whether everything asked for exists and is proven, and keeps the budget, if there is one."""
        met = self.budget is None or self.budget.get("met") is True
        return met and not self.failures and all(artifact.passed for artifact in self.artifacts)

    def of_same_origin(self, other: Manifest) -> tuple[Artifact, ...]:
        """Own proven artifacts that `other` did not try to remake and that its weights and settings would give too."""
        origin = ("model", "weights", "preprocessing", "labels", "tools")
        # As JSON: one of the two was read from disk, where tuples have become lists.
        if any(format_json(dict(getattr(self, part))) != format_json(dict(getattr(other, part))) for part in origin):
            return ()
        # What was proven for a wider budget is not for a narrower one.
        budgets = [(manifest.budget or {}).get("max_drop") for manifest in (self, other)]
        calibrated_alike = dict(self.calibration) == dict(other.calibration) and budgets[0] == budgets[1]
        # Equalized by its calibration, even a float file is another with each.
        equalized = is_equalized(self.calibration) or is_equalized(other.calibration)
        tried = {f"{a.format} {a.precision}" for a in other.artifacts} | set(other.failures)
        return tuple(
            a
            for a in self.artifacts
            if a.passed
            and f"{a.format} {a.precision}" not in tried
            and (calibrated_alike or not (equalized or PRECISIONS[a.format, a.precision].calibrated))
        )

    def with_artifacts(self, more: tuple[Artifact, ...]) -> Manifest:
        """This manifest with further artifacts, in the order of the precision table."""
        order = list(PRECISIONS)
        merged = sorted((*self.artifacts, *more), key=lambda a: order.index((a.format, a.precision)))
        return replace(self, artifacts=tuple(merged))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {
            "schema": SCHEMA,
            "model": dict(self.model),
            "weights": dict(self.weights),
            "preprocessing": dict(self.preprocessing),
            "labels": dict(self.labels),
            "calibration": dict(self.calibration),
            "tools": dict(self.tools),
            "artifacts": [artifact.to_json() for artifact in self.artifacts],
            "failures": dict(self.failures),
            **({} if self.budget is None else {"budget": dict(self.budget)}),
            "passed": self.passed,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Manifest:
        """Value from `to_json`'s form.

        Raises:
            KeyError, TypeError, ValueError: it is no manifest of this schema.
        """
        if value["schema"] != SCHEMA:
            raise ValueError(f"manifest schema {value['schema']}, known is {SCHEMA}")
        plain = ("model", "weights", "preprocessing", "labels", "calibration", "tools", "failures")
        if wrong := [key for key in plain if not isinstance(value[key], dict)]:
            raise TypeError(f"manifest whose {wrong[0]} is {value[wrong[0]]!r}")
        if not isinstance(value.get("budget", {}), dict):
            raise TypeError(f"manifest whose budget is {value['budget']!r}")
        artifacts = tuple(Artifact.from_json(artifact) for artifact in value["artifacts"])
        return cls(**{key: value[key] for key in plain}, artifacts=artifacts, budget=value.get("budget"))


def load_manifest(folder: Path) -> Manifest | None:
    """The manifest in `folder`; None when there is none that can be read.

    Artifacts whose file is missing or has changed are left out: a manifest speaks only of what is there.
    """
    try:
        manifest = Manifest.from_json(json.loads((folder / MANIFEST_FILE).read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    present = (
        a
        for a in manifest.artifacts
        if (a.format, a.precision) in PRECISIONS
        and (folder / a.file).is_file()
        and sha256_file(folder / a.file) == a.sha256
    )
    return replace(manifest, artifacts=tuple(present))


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes `manifest.json`, whole.

    Raises:
        OutputError: the folder cannot be written.
    """
    write_file(folder / MANIFEST_FILE, format_json(manifest.to_json()).encode())
