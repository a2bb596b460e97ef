"""The page as text: what it holds, what it may load, and that names stay names."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from device_bench.report.page import embed_json, format_page, load_plotly, page_data
from tests.device_bench.report.builds import MODEL, add_export, full_build, report_of
from tests.device_bench.report.hostile import HOSTILE


class Reader(HTMLParser):
    """Elements with their attributes, and the text of scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Reader:
    return Reader(format_page(report_of(full_build(tmp_path_factory.mktemp("build")))))


def test_nothing_is_loaded_from_anywhere(page: Reader) -> None:
    for tag, attributes in page.elements:
        assert tag not in {"link", "iframe", "img", "object", "embed", "base"}
        assert "src" not in attributes
        assert (attributes.get("href") or "#").startswith("#")


def test_the_policy_allows_these_scripts_and_no_others(page: Reader) -> None:
    policy = next(a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    allowed = re.findall(r"'sha256-([^']+)'", policy)
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in page.scripts[1:]]
    assert allowed == hashes
    assert len(hashes) == 2
    script_source = policy.split("script-src")[1].split(";")[0]
    assert "unsafe" not in script_source


def test_no_element_has_a_handler_in_an_attribute(page: Reader) -> None:
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


def test_the_data_is_what_the_report_says(page: Reader, tmp_path: Path) -> None:
    data = json.loads(page.scripts[0])
    assert data == json.loads(json.dumps(page_data(report_of(full_build(tmp_path)))))
    assert [row["precision"] for row in data["results"]] == ["float32", "float16", "int8"]
    assert data["results"][2]["latency"][0] == 15150.0


def test_an_empty_report_is_a_page_that_says_what_to_do(tmp_path: Path) -> None:
    text = format_page(report_of(tmp_path))
    for command in ("make bench MODEL=…", "make baseline MODEL=…", "make export MODEL=…"):
        assert command in text


@pytest.mark.parametrize("name", HOSTILE)
def test_json_in_the_page_cannot_end_its_script(name: str) -> None:
    text = embed_json({name: [name]})
    assert not set("<>&") & set(text)
    assert json.loads(text) == {name: [name]}
    text.encode()


@pytest.mark.parametrize("name", HOSTILE[:6])
def test_a_hostile_model_name_makes_no_element(tmp_path: Path, name: str) -> None:
    add_export(tmp_path, MODEL)
    clean = [tag for tag, _ in Reader(format_page(report_of(tmp_path))).elements]

    def rename(value: dict[str, Any]) -> None:
        value["model"]["name"] = name
        value["weights"]["source"] = name

    manifest = next(tmp_path.glob("*/manifest.json"))
    value = json.loads(manifest.read_text())
    rename(value)
    manifest.write_text(json.dumps(value))
    page = Reader(format_page(report_of(tmp_path)))
    assert [tag for tag, _ in page.elements] == clean


def test_the_plotting_library_cannot_end_its_script() -> None:
    text = load_plotly()
    assert text.startswith("/**\n* plotly.js v")
    assert "</script" not in text.lower()
    assert "\r" not in text
