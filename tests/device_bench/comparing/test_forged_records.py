"""Whatever stands in a record: it is compared, or refused in one sentence, and nothing of it reaches the terminal."""

import argparse
import copy
import io
import json
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_bench.commands.compare import run_compare
from device_bench.commands.history import run_history
from models.cli import one_line
from models.errors import ToolchainError
from tests.device_bench.comparing.stored import make_record, slower, store, with_twins

JUNK = st.sampled_from([
    None, True, 0, -1, 7, 1e300, -2.5, "", "x", "\x1b[2J", "[red]", [], [1], {}, {"a": 1}, ["x"], float("nan"),
    float("inf"), 2**80,
])  # fmt: skip

GOOD: dict[str, Any] = json.loads(json.dumps(with_twins(make_record(slower(1.1)), 1.01).to_json()))


def spots(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value in a JSON value, first of each list only and then the last."""
    found = [way] if way else []
    if isinstance(value, dict):
        for key in value:
            found += spots(value[key], (*way, key))
    elif isinstance(value, list) and value:
        for at in {0, len(value) - 1}:
            found += spots(value[at], (*way, at))
    return found


def put(place: Any, way: tuple[Any, ...], junk: object) -> None:
    for step in way[:-1]:
        place = place[step]
    place[way[-1]] = junk


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(spots(GOOD)), JUNK), min_size=1, max_size=2))
def test_a_record_with_junk_in_it_is_compared_or_refused(changes: list[tuple[tuple[Any, ...], object]]) -> None:
    value = copy.deepcopy(GOOD)
    for way, junk in changes:
        # The first change may have taken the place of the second.
        with suppress(KeyError, IndexError, TypeError):
            put(value, way, junk)
    folder = Path(FOLDER[0])
    (folder / "bench" / "new.json").write_text(json.dumps(value))
    common = {"max_regression": 0.05, "across": (), "cases": None, "build_dir": folder, "model": None}
    printed = io.StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        for run in (run_compare, run_history):
            for as_json in (False, True):
                given = argparse.Namespace(
                    old=folder / "bench" / "old.json", new=folder / "bench" / "new.json", json=as_json, **common
                )
                try:
                    assert run(given) in (0, 1, 3)
                except ToolchainError as error:
                    printed.write(one_line(str(error)))
    assert "\x1b[2J" not in printed.getvalue()


FOLDER: list[str] = []


@pytest.fixture(autouse=True, scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("records")
    store(path / "bench" / "old.json", make_record())
    FOLDER[:] = [str(path)]
