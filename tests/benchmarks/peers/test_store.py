"""Results that stay."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers import store
from benchmarks.peers.subject import Subject
from benchmarks.peers.tools import PEERS, Tool
from models.errors import ConversionError, NotInstalledError, OutputError, ToolchainError, WorkerError
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


@pytest.mark.parametrize("error", [NotInstalledError("no uv; install it"), WorkerError("killed"), OutputError("full")])
def test_what_stood_in_a_tools_way_is_told_but_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: ToolchainError
) -> None:
    def fail() -> None:
        raise error

    run = replies(monkeypatch, fail)
    made = store.make_once(PEERS[0], a_subject(tmp_path), print)
    assert (made.file, made.reason, made.refused) == (None, str(error), False)
    assert not list(tmp_path.iterdir())
    replies(monkeypatch, lambda: (b"made", 1.5))
    assert store.make_once(PEERS[0], a_subject(tmp_path), print).file
    assert len(run) == 1


def test_whatever_a_tool_raises_is_its_refusal_but_what_the_system_refuses_is_not(tmp_path: Path) -> None:
    def timed(error: Exception) -> None:
        def make(*_: object) -> bytes:
            raise error

        store.timed(print, replace(PEERS[0], make=make), a_subject(tmp_path))

    with pytest.raises(ConversionError, match=r"^RuntimeError: no such operator$"):
        timed(RuntimeError("no such operator"))
    for error in (OSError("full"), ImportError("no tensorflow"), MemoryError(), NotInstalledError("no uv")):
        with pytest.raises(type(error)):
            timed(error)
