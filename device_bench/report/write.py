"""The three files of a report."""

from __future__ import annotations

import json
import tomllib
from datetime import UTC, datetime
from pathlib import Path

from device_bench.report.assemble import make_report
from device_bench.report.collect import collect
from device_bench.report.markdown import format_markdown
from device_bench.report.page import format_page
from device_bench.report.values import Report
from models.errors import UnknownNameError, UsageError
from models.files import output_errors, write_file

PAGE_FILE, MARKDOWN_FILE, JSON_FILE = "report.html", "report.md", "report.json"


def load_report(build_dir: Path, focus: str | None = None) -> Report:
    """The report of everything under a build folder, as of now.

    Args:
        build_dir: Where exports, benchmarks and baselines lie.
        focus: The model that comes first; None for all alike.

    Raises:
        UsageError: there is no such folder, or nothing in it.
        UnknownNameError: nothing of that model is there.
    """
    pyproject = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))
    made = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    report = make_report(collect(build_dir), made=made, version=pyproject["project"]["version"], focus=focus)
    known = {row.model for row in report.exports} | {row.model for row in report.results}
    known |= {row.model for row in report.baselines}
    if focus is not None and not known:
        raise UsageError(f"unknown model {focus!r}; under {build_dir} nothing was exported or measured")
    if focus is not None and focus not in known:
        raise UnknownNameError("model", focus, known, see=f"under {build_dir} nothing of it was exported or measured")
    return report


def write_report(report: Report, folder: Path) -> tuple[Path, Path, Path]:
    """Writes the page, Markdown and JSON, each whole; none if one of them cannot be made.

    Raises:
        OutputError: the folder cannot be written.
    """
    contents = {
        PAGE_FILE: format_page(report),
        MARKDOWN_FILE: format_markdown(report),
        JSON_FILE: json.dumps(report.to_json(), indent=2, allow_nan=False) + "\n",
    }
    with output_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name, text in contents.items():
        # Half of a pair of surrogates, as JSON can have it in a name, is no text in UTF-8.
        write_file(folder / name, text.encode("utf-8", "replace"))
    return folder / PAGE_FILE, folder / MARKDOWN_FILE, folder / JSON_FILE
