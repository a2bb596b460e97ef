"""The course of the learning rate."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.settings import Phase, TrainSettings

RATES = st.floats(1e-6, 1.0)


def phase(**changes: object) -> Phase:
    return Phase(**({"resolution_px": 32, "epochs": 10, "learning_rate": 0.5, "batch": 8} | changes))  # type: ignore[arg-type]


def test_the_cosine_falls_from_the_rate_to_its_final_share() -> None:
    rates = [phase().rate(step, 1000) for step in range(1000)]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] == 0.5
    assert rates[500] == pytest.approx(0.51 * 0.5)
    assert 0.02 * 0.5 < rates[-1] < 0.0201 * 0.5


def test_the_exponential_loses_the_same_share_in_every_epoch() -> None:
    falling = phase(decay="exponential", final_share=1e-3)
    rates = [falling.rate(step, 1000) for step in range(0, 1000, 100)]
    assert [b / a for a, b in itertools.pairwise(rates)] == pytest.approx([1e-3**0.1] * 9)


def test_the_warm_up_rises_in_a_straight_line_to_where_the_decay_begins() -> None:
    warmed = phase(warmup_epochs=1)
    rates = [warmed.rate(step, 1000) for step in range(1000)]
    rises = [b - a for a, b in itertools.pairwise(rates[:101])]
    assert rises[:99] == pytest.approx([rises[0]] * 99)
    assert 0 < rates[0] < 0.01
    assert max(rates) == rates[100] == 0.5
    assert rates[100:] == sorted(rates[100:], reverse=True)


@given(
    rate=RATES,
    warmup=st.floats(0, 5),
    share=st.floats(1e-6, 1.0),
    steps=st.integers(1, 300),
    decay=st.sampled_from(["cosine", "exponential"]),
)
def test_every_rate_lies_above_nothing_and_never_above_the_highest(
    rate: float, warmup: float, share: float, steps: int, decay: str
) -> None:
    some = phase(learning_rate=rate, warmup_epochs=warmup, final_share=share, decay=decay)
    for step in range(steps):
        assert 0 < some.rate(step, steps) <= rate * (1 + 1e-9)


def test_settings_are_plain_json() -> None:
    settings = TrainSettings(seed=3, phases=(phase(),), recipe="scratch", source="here")
    assert json.loads(json.dumps(settings.to_json()))["phases"][0]["resolution_px"] == 32
