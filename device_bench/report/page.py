"""The report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from device_bench.report import formats
from device_bench.report.choose import unfit_reason
from device_bench.report.problems import PASSED_OVER
from device_bench.report.tables import (
    ARTIFACT_COLUMNS,
    RESULT_COLUMNS,
    artifact_cells,
    baseline_cells,
    baseline_columns,
    result_cells,
    result_columns,
)
from device_bench.report.values import NOTHING, Process, Report, Result
from models.errors import ToolchainError
from models.pages import page_templates, safe

_FOLDER = Path(__file__).parent
_MOST_PROCESSES = 200
"""Of one result in its chart; a sustained run of an hour has more, of which every n-th is drawn."""


def format_page(report: Report) -> str:
    """The whole page."""
    from markupsafe import Markup

    scripts = (load_plotly(), "\n".join(_read(name) for name in ("choose.js", "charts.js", "page.js")))
    return (
        page_templates(_FOLDER)
        .get_template("page.html.jinja")
        .render(
            report=report,
            policy=_policy(scripts),
            style=Markup(_read("page.css")),  # noqa: S704 - our own file
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files and plotly's
            data=Markup(embed_json(page_data(report))),  # noqa: S704 - escaped by embed_json
            results=[
                (index, row, result_cells(report, row), report.device(row.device))
                for index, row in enumerate(report.results)
            ],
            baselines=[baseline_cells(row) for row in report.baselines],
            artifacts=[artifact_cells(export, row) for export in report.exports for row in export.artifacts],
            columns={
                "results": result_columns(report),
                "baselines": baseline_columns(report),
                "artifacts": ARTIFACT_COLUMNS,
            },
            choices=_choices(report),
            emulated=[device for device in report.devices if device.emulated],
            failures=[problem for problem in report.problems if problem.what != PASSED_OVER],
            passed_over=[problem for problem in report.problems if problem.what == PASSED_OVER],
            nothing=NOTHING,
            formats=formats,
            safe=safe,
        )
    )


def load_plotly() -> str:
    """The plotting library as plotly's Python package carries it: it moves with the lock, and is never downloaded.

    Raises:
        ToolchainError: the package is not installed, or its file would not fit into a page.
    """
    found = importlib.util.find_spec("plotly")
    if found is None or found.origin is None:
        raise ToolchainError("the package plotly is not installed, which draws the charts; run `make setup`")
    text = (Path(found.origin).parent / "package_data" / "plotly.min.js").read_text("utf-8")
    lowered = text.lower()
    if "</script" in lowered or "<!--" in lowered:
        raise ToolchainError("plotly.min.js holds what ends a script in HTML; run `make setup` for the locked plotly")
    return text


def embed_json(value: Any) -> str:
    """JSON that means nothing to an HTML parser."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_data(report: Report) -> dict[str, Any]:
    """What the charts and the choice need: exact numbers, and texts as the tables show them."""
    return {
        "focus": report.focus,
        "results": [_result(report, row) for row in report.results],
        "references": [
            {
                "model": safe(row.model),
                "label": safe(row.label),
                "latency": [row.latency.median_us, row.latency.low_us, row.latency.high_us],
                "text": f"{formats.ms(row.latency.median_us)} ms ({formats.interval_ms(row.latency)})",
                "gpu": row.accelerator == "gpu",
            }
            for row in report.baselines
            if row.reference and row.latency is not None
        ],
        "histograms": {
            f"{row.sha256} {row.file}": {safe(name, 60): count for name, count in row.operators.items()}
            for export in report.exports
            for row in export.artifacts
        },
    }


def _result(report: Report, row: Result) -> dict[str, Any]:
    device, artifact = report.device(row.device), report.artifact(row)
    cells = result_cells(report, row)
    latency = row.latency if row.failure is None else None
    step = -(-len(row.processes) // _MOST_PROCESSES) or 1
    return {
        "id": row.id,
        "model": safe(row.model),
        "weights": safe(row.weights),
        "precision": safe(row.precision),
        "format": safe(row.format),
        "device": row.device,
        "deviceName": safe(device.name),
        "emulated": device.emulated,
        "delegate": row.delegate,
        "threads": row.threads,
        "size": row.size_bytes,
        "top1": None if artifact is None else artifact.top1,
        "latency": None if latency is None else [latency.median_us, latency.low_us, latency.high_us],
        "p95": row.p95_us if row.failure is None else None,
        "front": row.front,
        "failure": None if row.failure is None else safe(row.failure),
        "unfit": _unfit(report, row),
        "sensor": row.temperature_of,
        "statistic": row.statistic,
        "histogram": f"{row.sha256} {row.file}" if row.known_file else None,
        "texts": {c.key: [cell.text, cell.more] for c, cell in zip(RESULT_COLUMNS, cells, strict=True)},
        "step": step,
        "processes": [_process(process) for process in row.processes[::step]],
        "operators": None
        if row.operators is None
        else [[safe(op.name, 60), op.nodes, op.mean_us, op.share, op.fallback] for op in row.operators[:12]],
        "operatorsTotal": None if row.operators is None else len(row.operators),
    }


def _unfit(report: Report, row: Result) -> str | None:
    reason = unfit_reason(report, row)
    return None if reason is None else safe(reason)


def _process(process: Process) -> list[Any]:
    quartiles = list(process.quartiles_us) if process.quartiles_us else None
    ends = [process.min_us, process.p5_us, process.p95_us, process.max_us]
    return [process.kind, process.elapsed_s, process.value_us, quartiles, ends, process.runs, process.temperature_c]


def _choices(report: Report) -> dict[str, list[tuple[str, str]]]:
    """Values and texts of the filters, those that occur."""
    return {
        "model": _distinct((row.model, safe(row.model, 60)) for row in report.results),
        "precision": _distinct((row.precision, safe(row.precision, 60)) for row in report.results),
        "delegate": _distinct((row.delegate, row.delegate) for row in report.results),
        "device": [
            (device.identity, safe(f"{device.name}, {device.system}{' (EMULATED)' if device.emulated else ''}", 90))
            for device in report.devices
        ],
    }


def _distinct(pairs: Any) -> list[tuple[str, str]]:
    return list(dict(pairs).items())


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")


def _policy(scripts: Sequence[str]) -> str:
    """A content security policy under which nothing can be fetched or sent, and only these scripts run.

    Styles are open, because plotly writes its own; without any source to load from they can do no harm.
    """
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
