"""What is on record of a decision on equalization: it follows from its figures, or no export wrote it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from export.quantization.decision import LEAST_GAIN_DB, Decision, is_equalized, recorded_decision

DB = st.floats(-50, 120).map(lambda value: round(value, 2))
DECISIONS = st.one_of(
    st.builds(Decision, groups=st.integers(0, 500)),
    st.builds(Decision, groups=st.integers(1, 500), sqnr_db=DB, equalized_sqnr_db=DB),
)
TAKEN = Decision(groups=3, sqnr_db=15.0, equalized_sqnr_db=30.0)
LEFT = Decision(groups=3, sqnr_db=30.0, equalized_sqnr_db=30.5)


@given(DECISIONS)
def test_a_decision_survives_json(decision: Decision) -> None:
    assert Decision.from_json(json.loads(json.dumps(decision.to_json()))) == decision
    assert recorded_decision({"equalize": "auto", "equalized": decision.to_json()}) == decision


def test_the_equalized_network_must_win_by_a_margin() -> None:
    assert Decision(groups=1, sqnr_db=30.0, equalized_sqnr_db=30.0 + LEAST_GAIN_DB).taken
    assert not Decision(groups=1, sqnr_db=30.0, equalized_sqnr_db=29.99 + LEAST_GAIN_DB).taken
    assert not Decision(groups=1).taken
    assert TAKEN.words == "3 groups of channels: 15.0 dB as it is, 30.0 dB equalized; equalized"
    assert LEFT.words == "3 groups of channels: 30.0 dB as it is, 30.5 dB equalized; left as it is"
    assert Decision(groups=0).words == "nothing to gain"
    assert Decision(groups=2).words == "2 groups of channels to gain, not measured"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"taken": False}, "taken is False with 3 groups of channels: 15.0 dB as it is, 30.0 dB equalized; equalized"),
        ({"taken": 1}, "taken is 1 with"),
        ({"groups": -1}, "-1 groups"),
        ({"groups": True}, "True groups"),
        ({"groups": 0}, "dB for 0 groups"),
        ({"sqnr_db": "15"}, r"\['15', 30.0\] dB for 3 groups"),
        ({"sqnr_db": None}, r"\[None, 30.0\] dB for 3 groups"),
        ({"equalized_sqnr_db": float("nan")}, "nan"),
        ({"more": 1}, "is no decision"),
    ],
)
def test_a_forged_decision_is_none(change: dict[str, Any], reason: str) -> None:
    record = {"equalize": "auto", "equalized": {**TAKEN.to_json(), **change}}
    with pytest.raises(ValueError, match=reason):
        recorded_decision(record)
    # Whoever asks whether files may be kept is told the careful answer.
    assert is_equalized(record)


@pytest.mark.parametrize("value", [None, [], 5, "taken", {}])
def test_what_is_no_object_is_no_decision(value: object) -> None:
    with pytest.raises(ValueError, match="is no decision"):
        recorded_decision({"equalize": "auto", "equalized": value})


@pytest.mark.parametrize("equalize", [True, False, None])
def test_a_decision_stands_beside_auto_only(equalize: object) -> None:
    with pytest.raises(ValueError, match=f"a decision with equalize {equalize}"):
        recorded_decision({"equalize": equalize, "equalized": TAKEN.to_json()})


@pytest.mark.parametrize(
    ("record", "equalized"),
    [
        ({}, False),
        ({"equalize": False}, False),
        ({"equalize": True}, True),
        ({"equalize": "auto"}, False),
        ({"equalize": "auto", "equalized": LEFT.to_json()}, False),
        ({"equalize": "auto", "equalized": TAKEN.to_json()}, True),
    ],
)
def test_files_are_equalized_by_request_or_decision(record: dict[str, Any], equalized: bool) -> None:
    assert is_equalized(record) is equalized
