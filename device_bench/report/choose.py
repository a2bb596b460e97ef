"""Which should I ship? The rule of `pick` and of the page, which has it once more in JavaScript (`chooseArtifact`)."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import asdict, dataclass
from typing import Any

from device_bench.report.problems import why_unknown
from device_bench.report.values import ArtifactRow, Device, Report, Result
from models.errors import UnknownNameError, UsageError

NEAREST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A result that may be chosen, or why it may not."""

    result: Result
    artifact: ArtifactRow | None
    misses: tuple[str, ...]
    """Of `accuracy`, `p95`; empty if it fits."""
    unfit: str | None
    """Why it cannot be judged at all."""
    distance: float
    """How far it is from fitting: the shares by which it misses, added up. 0 if it fits."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, without what led to the result's numbers."""
        value = asdict(self)
        for long in ("processes", "operators"):
            del value["result"][long]
        return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The answer."""

    device: Device
    min_accuracy: float
    max_p95_us: float
    chosen: Candidate | None
    fitting: int
    nearest: tuple[Candidate, ...]
    """If none fits: those that miss by least."""
    unfit: tuple[Candidate, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {
            "device": asdict(self.device),
            "min_accuracy": self.min_accuracy,
            "max_p95_us": self.max_p95_us,
            "chosen": None if self.chosen is None else self.chosen.to_json(),
            "fitting": self.fitting,
            "nearest": [candidate.to_json() for candidate in self.nearest],
            "unfit": [candidate.to_json() for candidate in self.unfit],
        }


def choose_artifact(
    report: Report, device: Device, min_accuracy: float, max_p95_us: float, model: str | None
) -> Choice:
    """The cheapest artifact that is accurate and fast enough on a device.

    Cheapest is the smallest file: it is what every user downloads and stores. Between equals the one with the lower
    p95 wins, then the one with fewer threads. Both limits are held against the estimates themselves, top-1 on the test
    split and p95 of a typical process, not against the ends of their intervals, which stand beside the answer.

    Args:
        report: Everything found.
        device: Where it is to run.
        min_accuracy: Least top-1, 0..1.
        max_p95_us: Highest p95.
        model: Of this model only; None for all.
    """
    rows = [r for r in report.results if r.device == device.identity and (model is None or r.model == model)]
    candidates = [_candidate(report, r, min_accuracy, max_p95_us) for r in rows]
    judged = [c for c in candidates if c.unfit is None]
    fitting = sorted((c for c in judged if not c.misses), key=_cost)
    missing = sorted((c for c in judged if c.misses), key=lambda c: (c.distance, *_cost(c)))
    return Choice(
        device=device,
        min_accuracy=min_accuracy,
        max_p95_us=max_p95_us,
        chosen=fitting[0] if fitting else None,
        fitting=len(fitting),
        nearest=() if fitting else tuple(missing[:NEAREST]),
        unfit=tuple(c for c in candidates if c.unfit is not None),
    )


def _candidate(report: Report, result: Result, min_accuracy: float, max_p95_us: float) -> Candidate:
    artifact = report.artifact(result)
    unfit = unfit_reason(report, result)
    top1, p95 = None if artifact is None else artifact.top1, result.p95_us
    if unfit is not None or top1 is None or p95 is None:
        return Candidate(result=result, artifact=artifact, misses=(), unfit=unfit, distance=0.0)
    short, over = max(0.0, min_accuracy - top1), max(0.0, p95 / max_p95_us - 1)
    misses = tuple(name for name, by in (("accuracy", short), ("p95", over)) if by > 0)
    distance = (short / min_accuracy if short else 0.0) + over
    return Candidate(result=result, artifact=artifact, misses=misses, unfit=None, distance=distance)


def unfit_reason(report: Report, result: Result) -> str | None:
    """Why a result cannot be judged; None if it can."""
    artifact = report.artifact(result)
    if result.failure is not None:
        return result.failure
    if artifact is None:
        return why_unknown(report, result)
    if artifact.failure is not None:
        return artifact.failure
    if artifact.top1 is None:
        return "its accuracy is not known"
    if result.p95_us is None:
        return f"its p95 is not known: {result.missing.get('p95_us', 'not told')}"
    return None


def _cost(candidate: Candidate) -> tuple[float, float, int, str]:
    result = candidate.result
    return result.size_bytes, result.p95_us or 0.0, result.threads, result.id


def find_device(report: Report, text: str) -> Device:
    """The device of a name as the report shows it, or of the start of an identity.

    Raises:
        UnknownNameError: there is no such device in the report.
        UsageError: there are several, or none at all.
    """
    wanted = _slug(text)
    same = [d for d in report.devices if d.name == text]
    # A text of signs only is like no name, not even like another of signs only.
    alike = [d for d in report.devices if wanted and wanted in (_slug(d.name), "local" if d.kind == "desktop" else "")]
    found = same or alike or [d for d in report.devices if len(text) >= 4 and d.identity.startswith(text.lower())]
    if len(found) == 1:
        return found[0]
    if found:
        names = " or ".join(f"{device.identity[:8]} ({device.system})" for device in found)
        raise UsageError(f"{len(found)} devices are named {text!r}; say which: {names}")
    if not report.devices:
        raise UsageError(f"unknown device {text!r}; nothing is measured yet: make bench MODEL=...")
    raise UnknownNameError("device", text, {device.name for device in report.devices})


def _slug(text: str) -> str:
    """Letters and digits of any script, in lower case; what is between them is one underscore."""
    return "_".join(re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).casefold()))
