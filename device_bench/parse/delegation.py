"""Where the network ran: the native runners' lines on delegates -> verdicts.

A delegate that cannot be made ends no run: the runner goes on with the CPU and exits with 0. So only a line that says
so proves that a delegate ran, and its absence is "unknown".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from device_bench.op_profile import OpProfile
from device_bench.parse.lines import Log, whole
from device_bench.result import Delegation, Verdict
from models.errors import RunnerOutputError

_NAMES = {"gpu", "nnapi", "xnnpack", "hexagon", "coreml", "npu", "external"}
_APPLIED = (
    r"Explicitly applied (?P<name>.+) delegate, and the model graph will be (?P<how>completely|partially) executed by "
    r"the delegate(?: w/ (?P<kernels>[0-9]+) delegate kernels)?\."
)
_NOT_APPLIED = (
    r"Though (?P<name>.+) delegate is explicitly applied, the model graph will not be executed by the delegate\."
)
_UNSUPPORTED = r"(?P<name>\w+) acceleration is unsupported on this platform\."
_NODES = (
    r"Replacing (?P<nodes>[0-9]+) out of (?P<total>[0-9]+) node\(s\) with delegate \((?P<name>[^)]*)\) node, "
    r"yielding (?P<kernels>[0-9]+) partitions (?P<graph>for .*)\."
)
_GPU_SPLIT = (
    r"(?P<nodes>[0-9]+) operations will run on the GPU, "
    r"and the remaining (?P<rest>[0-9]+) operations will run on the CPU\."
)
_GPU_NOTHING = r"No operations will run on the GPU, and all (?P<rest>[0-9]+) operations will run on the CPU\."
_GPU_KERNELS = r"Created (?P<kernels>[0-9]+) GPU delegate kernels\."
_GPU_BACKEND = r"Initialized (OpenCL|OpenGL)-based API(?: from serialized data)?\."
_NNAPI_BACKEND = r"NNAPI accelerators available: \[(.*)\]"
_XNNPACK = r"Created TensorFlow Lite XNNPACK delegate for CPU\."
# `CONV_2D`, or with its kernel `CONV_2D/…`; delegates have `TfLiteXNNPackDelegate`, `Convolution (NHWC, F32) IGEMM`.
_BUILTIN = re.compile(r"[A-Z][A-Z0-9_]*(?:/.*)?")
_NOT_NAMED = "no line of the log states it"
_SILENT = "the log names no delegate: builtin kernels, or a build that applies XNNPACK without a word"


@dataclass(frozen=True, slots=True)
class _Nodes:
    taken: int | None = None
    total: int | None = None
    kernels: int | None = None
    evidence: tuple[str, ...] = ()


def requested_delegates(parameters: tuple[tuple[str, str], ...], command: str | None) -> dict[str, bool]:
    """Delegates that the echoed settings or the command line switch on or off."""
    asked: dict[str, bool] = {}
    for name, text in parameters:
        if (found := re.fullmatch(r"Use (\w+)", name)) and found[1].lower() in _NAMES:
            asked[found[1].lower()] = text == "1"
        elif name == "External delegate path" and text:
            asked["external"] = True
    for name, text in re.findall(r"--use_(\w+)=(\w+)", command or ""):
        if name in _NAMES:
            asked[name] = text in ("1", "true")
    return asked


def parse_delegations(log: Log, asked: dict[str, bool]) -> tuple[Delegation, ...]:
    """One row per delegate asked for or at work, at least one.

    Raises:
        RunnerOutputError: the log says two different things of one delegate.
    """
    stated = [found["name"].lower() for found in log.matches(f"{_APPLIED}") + log.matches(_NOT_APPLIED)]
    refused = [found["name"].lower() for found in log.matches(_UNSUPPORTED)]
    # `use_cpu` is no delegate; an asked one is listed even when the log is silent about it.
    names = list(dict.fromkeys([*(name for name, on in asked.items() if on), *stated, *refused]))
    rows = [_explicit(log, name) for name in names]
    implicit = [found[0] for found in log.matches(_XNNPACK)]
    if "xnnpack" not in names and (implicit or _nodes(log, "xnnpack").evidence):
        rows.append(_row(log, "xnnpack", "implicit_xnnpack", tuple(implicit[:1])))
    if not rows and asked.get("xnnpack") is False:
        rows.append(_row(log, "cpu", "builtin", ("--use_xnnpack=false",)))
    return tuple(rows) or (_row(log, "cpu", "unknown", (), reason=_SILENT),)


def settle_by_profile(rows: tuple[Delegation, ...], profiles: tuple[OpProfile, ...]) -> tuple[Delegation, ...]:
    """`rows`, or "builtin" for a silent log whose profile shows builtin kernels and nothing else."""
    nodes = [node for profile in profiles if profile.phase == "inference" for node in profile.nodes]
    if [row.verdict for row in rows] != ["unknown"] or rows[0].delegate != "cpu" or not nodes:
        return rows
    if not all(_BUILTIN.fullmatch(node.node_type) for node in nodes):
        return rows
    return (replace(rows[0], verdict="builtin", evidence=(f"{len(nodes)} profiled nodes, all of builtin operators",)),)


def _explicit(log: Log, name: str) -> Delegation:
    """The verdict on a delegate that was asked for."""
    applied = {found[0]: found for found in log.matches(_APPLIED) if found["name"].lower() == name}
    refusals = log.matches(_NOT_APPLIED) + log.matches(_UNSUPPORTED)
    denied = [found[0] for found in refusals if found["name"].lower() == name]
    if name == "gpu":
        denied += [found[0] for found in log.matches(_GPU_NOTHING)]
    nodes = _nodes(log, name)
    if len(applied) > 1 or (applied and denied):
        raise RunnerOutputError(f"the log says two things of the {name} delegate: {[*applied, *denied]}")
    verdict: Verdict = "unknown"
    if denied or nodes.taken == 0:
        verdict = "none"
    elif applied:
        verdict = "full" if next(iter(applied.values()))["how"] == "completely" else "partial"
    elif nodes.taken is not None and nodes.total is not None:
        verdict = "full" if nodes.taken == nodes.total else "partial"
    if verdict == "full" and nodes.taken != nodes.total:
        # "completely" speaks of the first subgraph; a run is full only if all of them are.
        verdict = "partial"
    return _row(log, name, verdict, (*applied, *denied), kernels=_kernels(applied))


def _kernels(applied: dict[str, re.Match[str]]) -> int | None:
    counts = [found["kernels"] for found in applied.values()]
    return whole(counts[0]) if counts and counts[0] else None


def _row(
    log: Log,
    name: str,
    verdict: Verdict,
    evidence: tuple[str, ...],
    *,
    kernels: int | None = None,
    reason: str = _NOT_NAMED,
) -> Delegation:
    nodes = _nodes(log, name)
    backends = {"gpu": _GPU_BACKEND, "nnapi": _NNAPI_BACKEND}
    backend = [found[1] for found in log.matches(backends[name])] if name in backends else []
    values: dict[str, Any] = {
        "nodes": nodes.taken,
        "nodes_total": nodes.total,
        "kernels": kernels if kernels is not None else nodes.kernels,
        # The last one: "Falling back to OpenGL" comes after a failed OpenCL.
        "backend": backend[-1] if backend else None,
    }
    missing = dict.fromkeys((field for field, value in values.items() if value is None), reason)
    if name not in backends:
        missing["backend"] = "only gpu and nnapi have backends"
    return Delegation(delegate=name, verdict=verdict, evidence=(*evidence, *nodes.evidence), missing=missing, **values)


def _nodes(log: Log, name: str) -> _Nodes:
    """Nodes the delegate took, summed over subgraphs; nothing where a subgraph is reported twice and differently."""
    found = {m[0]: m for m in log.matches(_NODES) if name in m["name"].lower()}
    if found and len({m["graph"] for m in found.values()}) == len(found):
        taken, total, kernels = (sum(whole(m[key]) for m in found.values()) for key in ("nodes", "total", "kernels"))
        return _Nodes(taken, total, kernels, tuple(found))
    if name == "gpu" and not found:
        made = log.matches(_GPU_KERNELS)
        kernels_made = whole(made[-1]["kernels"]) if made else None
        for split in log.matches(_GPU_SPLIT):
            nodes = whole(split["nodes"])
            return _Nodes(nodes, nodes + whole(split["rest"]), kernels_made, (split[0],))
        for nothing in log.matches(_GPU_NOTHING):
            return _Nodes(0, whole(nothing["rest"]), kernels_made, (nothing[0],))
        return _Nodes(kernels=kernels_made, evidence=tuple(m[0] for m in made))
    return _Nodes(evidence=tuple(found))
