"""Frozen values of one benchmark run. Latency is in microseconds, memory in bytes, shares are 0..1.

What a runner did not say is None, and `missing` has the reason under the field's name. Nothing unknown is ever 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from device_bench.op_profile import OpProfile

Flavour = Literal["classic", "litert", "litert_python", "loop"]
"""Which program ran: TFLite's benchmark_model, LiteRT's, litert-benchmark of the Python package, or our timed loop."""

ONLY_SUMMARY = "the runner prints statistics, not the latency of each run"

Verdict = Literal["full", "partial", "none", "implicit_xnnpack", "builtin", "unknown"]
"""Where the network ran. "none": the delegate was asked for and runs nothing, so the numbers are those of the CPU."""

SCHEMA = 1


def check_reasons(value: Any) -> None:
    """Raises ValueError unless exactly the fields that are None have a reason in `value.missing`."""
    unknown = {field.name for field in fields(value) if getattr(value, field.name) is None}
    if unknown != set(value.missing):
        raise ValueError(f"unknown are {sorted(unknown)}, reasons are given for {sorted(value.missing)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Statistics as a runner printed them, or as `parse.loop` computes them from the timed loop's samples.

    The native runners compute a population standard deviation and nearest-rank percentiles (the median of an even
    number is the upper one), and so do we; litert-benchmark computes a sample standard deviation and interpolated
    percentiles.
    """

    runs: int
    mean_us: float
    min_us: float | None
    max_us: float | None
    std_us: float | None
    p5_us: float | None
    median_us: float | None
    p95_us: float | None
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryUse:
    """Resident memory (RSS). Growth and absolute peak are different quantities: neither follows from the other."""

    init_peak_rss_growth_bytes: int | None
    """By how much loading the model raised the process's peak RSS."""
    peak_rss_growth_bytes: int | None
    """By how much the whole run raised it."""
    peak_rss_bytes: int | None
    """Highest RSS, the runner itself included: as periodic looks saw it; of the timed loop, as the kernel counted."""
    end_rss_bytes: int | None
    """RSS at the end, cut to whole MiB by the native runners."""
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """All numbers of one run."""

    init_us: float
    """Model load, interpreter, delegates, allocation."""
    first_us: float | None
    """The first inference, which is the first warm-up run."""
    warmup: LatencySummary | None
    latency: LatencySummary
    samples_us: tuple[float, ...] | None
    """Latency of each timed run in order, of which `latency` is the summary."""
    memory: MemoryUse
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Measured:
        """Value from its JSON form."""
        warmup, samples = value["warmup"], value["samples_us"]
        return cls(
            init_us=value["init_us"],
            first_us=value["first_us"],
            warmup=None if warmup is None else LatencySummary(**warmup),
            latency=LatencySummary(**value["latency"]),
            samples_us=None if samples is None else tuple(samples),
            memory=MemoryUse(**value["memory"]),
            missing=value["missing"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Delegation:
    """What one delegate did, as the log proves it."""

    delegate: str
    """As flags name it: gpu, nnapi, xnnpack, npu, …; cpu if none is named."""
    verdict: Verdict
    nodes: int | None
    """Nodes of the graph that the delegate took, …"""
    nodes_total: int | None
    """… of so many."""
    kernels: int | None
    """Pieces the delegate cut its nodes into."""
    backend: str | None
    """OpenCL or OpenGL for the GPU, the accelerators' names for NNAPI."""
    evidence: tuple[str, ...]
    """Lines of the log."""
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Delegation:
        """Value from its JSON form."""
        return cls(**{**value, "evidence": tuple(value["evidence"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerOutput:
    """Everything one run of a benchmark runner said."""

    flavour: Flavour
    version: str | None
    parameters: tuple[tuple[str, str], ...]
    """Settings the runner echoed, in its own words; a name may come twice."""
    measured: Measured
    delegations: tuple[Delegation, ...]
    """At least one."""
    profiles: tuple[OpProfile, ...] | None
    warnings: tuple[str, ...]
    """WARN and ERROR lines of this successful run, each once."""
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)
        if not self.delegations:
            raise ValueError("a run without a statement of where it ran")

    @property
    def fell_back(self) -> bool:
        """Whether a delegate that was asked for ran nothing, so that the numbers must not bear its name.

        XNNPACK is none of these: when it takes nothing, because the GPU took all or it knows no operator, the rest ran
        on the CPU just as well.
        """
        return any(row.verdict == "none" and row.delegate != "xnnpack" for row in self.delegations)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {"schema": SCHEMA, **_lists(asdict(self))}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunnerOutput:
        """Value from `to_json`'s form.

        Raises:
            KeyError, TypeError, ValueError: it is no output of this schema.
        """
        if value["schema"] != SCHEMA:
            raise ValueError(f"runner output schema {value['schema']}, known is {SCHEMA}")
        profiles = value["profiles"]
        return cls(
            flavour=value["flavour"],
            version=value["version"],
            parameters=tuple((name, text) for name, text in value["parameters"]),
            measured=Measured.from_json(value["measured"]),
            delegations=tuple(Delegation.from_json(row) for row in value["delegations"]),
            profiles=None if profiles is None else tuple(OpProfile.from_json(profile) for profile in profiles),
            warnings=tuple(value["warnings"]),
            missing=value["missing"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerHelp:
    """What a runner's usage text tells: a flag that is not in it would be ignored without failing."""

    flavour: Flavour
    flags: tuple[str, ...]
    """Names without the leading dashes, each once, sorted."""
    defaults: Mapping[str, str]
    """Of those flags whose default is printed."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {"schema": SCHEMA, **_lists(asdict(self))}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> RunnerHelp:
        """Value from `to_json`'s form.

        Raises:
            KeyError, TypeError, ValueError: it is no usage of this schema.
        """
        if value["schema"] != SCHEMA:
            raise ValueError(f"runner help schema {value['schema']}, known is {SCHEMA}")
        return cls(flavour=value["flavour"], flags=tuple(value["flags"]), defaults=value["defaults"])


def _lists(value: Any) -> Any:
    """`value` with lists for tuples, as JSON would give it back."""
    if isinstance(value, dict):
        return {key: _lists(item) for key, item in value.items()}
    return [_lists(item) for item in value] if isinstance(value, (list, tuple)) else value
