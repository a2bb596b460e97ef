"""Results that stay."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import store
from benchmarks.peers.subject import Subject
from benchmarks.peers.tools import PEERS, Tool
from models.errors import ConversionError
from models.zoo import MODELS


def a_subject(folder: Path) -> Subject:
    return Subject(
        spec=MODELS["mobilenet_v1_0.25_128"], weights=folder, twin=False, dataset="digits", images=4, folder=folder
    )


def replies(monkeypatch: pytest.MonkeyPatch, reply: Callable[[], Any]) -> list[str]:
    """Stands in for the worker process; returns the names of the tools that were run, as they are."""
    run: list[str] = []

    def run_in_worker(function: object, name: str, *_: object, report: object) -> Any:
        assert function is store.timed
        assert report is not None
        run.append(name)
        return reply()

    monkeypatch.setattr(store, "run_in_worker", run_in_worker)
    return run


def test_a_file_is_made_once_until_the_tool_has_another_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = replies(monkeypatch, lambda: (b"made", 1.5))
    tool: Tool = replace(PEERS[0], version=lambda: "1")
    first = store.make_once(tool, a_subject(tmp_path), print)
    assert (first.size_bytes, first.seconds, first.reason) == (4, 1.5, "")
    assert first.file is not None
    assert (tmp_path / first.file).read_bytes() == b"made"
    assert store.make_once(tool, a_subject(tmp_path), print) == first
    assert len(run) == 1
    store.make_once(replace(tool, version=lambda: "2"), a_subject(tmp_path), print)
    assert len(run) == 2


def test_a_refusal_is_kept_with_its_reason_on_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ConversionError("no\nsuch operator")

    run = replies(monkeypatch, refuse)
    made = store.make_once(PEERS[0], a_subject(tmp_path), print)
    assert (made.file, made.size_bytes, made.reason) == (None, None, "no such operator")
    assert store.make_once(PEERS[0], a_subject(tmp_path), print) == made
    assert len(run) == 1
    assert len(store.result_of(PEERS[0], a_subject(tmp_path), 5, print).logits) == 0
