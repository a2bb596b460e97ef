"""Under which conditions a case was measured: latencies are comparable only where all of them are alike."""

from __future__ import annotations

from collections.abc import Mapping

from device_bench.case import Case
from device_bench.comparing.records import Stored, said, section


def conditions(stored: Stored, case: Case) -> dict[str, str]:
    """What each condition was, as text, by its name in `names.CONDITIONS`; all but `cases`."""
    record, facts = stored.record, stored.facts
    cpus = section(record.target.get("cpus")).get("usable")
    settings = record.plan.settings
    mask = "" if case.cpu_mask is None else f" {case.cpu_mask:#x}"
    return {
        "model": said(record.model.get("name")),
        "device": f"{stored.device}, {said(facts.get('soc_model'))}",
        "unit": said(record.target.get("identity")),
        "os": " ".join(said(facts.get(name)) for name in ("os_name", "os_release"))
        + f" {said(facts.get('build_id') or facts.get('kernel'))}",
        "cpus": f"{said(facts.get('cpu_name'))}, {len(cpus) if isinstance(cpus, list) else 'unknown number of'} CPUs",
        "mode": _performance_mode(stored),
        "settings": f"{settings.runs} runs and {settings.min_s:g} s, at most {settings.max_s:g} s, after"
        f" {settings.warmup_runs} runs and {settings.warmup_min_s:g} s",
        "input": "x".join(str(size) for size in case.model.input_shape),
        "runner": _runner(stored, case),
        "delegate": case.delegate,
        "threads": str(case.threads),
        "affinity": f"{case.affinity}{mask}",
        "precision": f"{case.model.precision}.{case.model.format}",
        "statistic": record.latencies(case.name)[0],
    }


def unlike(old: Mapping[str, str], new: Mapping[str, str]) -> dict[str, str]:
    """The conditions that differ, each as `old against new`."""
    return {name: f"{old[name]} against {new[name]}" for name in old if old[name] != new[name]}


def _performance_mode(stored: Stored) -> str:
    changes = [section(change) for change in stored.record.settings_changed]
    on = any(row.get("setting") == "fixed_performance" and row.get("outcome") == "accepted" for row in changes)
    return "fixed performance" if on else "usual"


def _runner(stored: Stored, case: Case) -> str:
    info = next((row for row in map(section, stored.record.runners) if row.get("name") == case.runner), {})
    versions = section(info.get("versions"))
    digest = f", sha256 {said(info['sha256'])[:12]}" if info.get("sha256") else ""
    known = "".join(f", {name} {said(versions[name])}" for name in sorted(versions))
    return f"{case.runner} ({said(info.get('flavour'))}{digest}{known})"
