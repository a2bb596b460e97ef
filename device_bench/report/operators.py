"""The operator profile of a result as rows."""

from __future__ import annotations

import re

from device_bench.case import Case
from device_bench.measuring.record import BenchRecord
from device_bench.op_profile import OpProfile, ProfiledType
from device_bench.report.values import Operator

_BUILTIN = re.compile(r"[A-Z][A-Z0-9_]*(/.*)?")
"""Operators of TFLite are in capitals; kernels of a delegate are not."""
_DELEGATES = {"gpu", "nnapi", "npu", "xnnpack"}


def operator_rows(record: BenchRecord, case: Case) -> tuple[Operator, ...] | None:
    """Of the inference, the longest first; None without a profile."""
    outputs = [a.output for a in record.attempts_of(case.name, "profile") if a.valid and a.output]
    profiles = [p for o in outputs for p in o.profiles or () if p.phase != "initialization" and p.types]
    if not profiles:
        return None
    delegated = any(d.delegate in _DELEGATES and d.verdict != "unknown" for o in outputs for d in o.delegations)
    rows = [_operator(row, profile, delegated) for profile in profiles for row in profile.types]
    return tuple(sorted(rows, key=lambda row: -row.mean_us))


def _operator(row: ProfiledType, profile: OpProfile, delegated: bool) -> Operator:
    outside = profile.graph is None or "elegate" not in profile.graph
    return Operator(
        name=row.node_type,
        nodes=row.nodes,
        mean_us=row.mean_us,
        share=row.share,
        fallback=delegated and outside and _BUILTIN.fullmatch(row.node_type) is not None,
    )
