"""Frozen values of an operator profile. Profiling slows a run down: its latency is never that of the network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Phase = Literal["initialization", "inference"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledNode:
    """One node, in the order of execution."""

    node_type: str
    """Operator or kernel, such as `CONV_2D` or `Convolution (NHWC, F32) IGEMM`."""
    name: str
    first_us: float
    mean_us: float
    share: float
    """Of the profiled time, 0..1."""
    peak_rss_growth_bytes: int
    """By how much the node raised the process's peak RSS; 0 is a measured 0."""
    calls: float
    """Per run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfiledType:
    """All nodes of one type together."""

    node_type: str
    nodes: int
    mean_us: float
    """Per run, all nodes together."""
    share: float
    peak_rss_growth_bytes: int
    calls: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OpProfile:
    """One report of the profiler."""

    phase: Phase | None
    """None: an old build, which prints no heading."""
    graph: str | None
    """The heading of a subgraph or of a delegate's own report; None for the only graph."""
    nodes: tuple[ProfiledNode, ...]
    types: tuple[ProfiledType, ...]
    runs: int
    mean_us: float | None
    """Of all nodes together; None without runs."""
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        unknown = {name for name in ("phase", "graph", "mean_us") if getattr(self, name) is None}
        if unknown != set(self.missing):
            raise ValueError(f"unknown are {sorted(unknown)}, reasons are given for {sorted(self.missing)}")

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> OpProfile:
        """Value from its JSON form."""
        nodes = tuple(ProfiledNode(**node) for node in value["nodes"])
        types = tuple(ProfiledType(**row) for row in value["types"])
        return cls(**{**value, "nodes": nodes, "types": types})
