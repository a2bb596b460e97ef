"""Rules about layers, on readings as they come."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from export.diagnosis.causes import find_causes
from export.diagnosis.evidence import Evidence
from export.diagnosis.subject import open_subject
from export.diagnosis.values import Accuracy, ActivationReading, Calibration, Confidence, RangeGuess, WeightReading
from models.spec import MINUS_ONE_TO_ONE

HARMED = Accuracy(
    images=1000, float_top1=0.95, int8_top1=0.90, drop_ci95=(0.03, 0.07), agreement=0.92, flips=80
)  # fmt: skip
UNHARMED = replace(HARMED, int8_top1=0.949, drop_ci95=(-0.01, 0.012), agreement=0.99)
CONFIDENCE = Confidence(
    float_ece=0.02, int8_ece=0.02, drift_ci95=(-0.01, 0.01), float_mean=0.9, int8_mean=0.9, ties=0.0, bins=()
)
KERNEL = WeightReading(
    name="dw/kernel", layer="dw", operator="DEPTHWISE_CONV_2D", sqnr_db=45.0, worst_channel_db=41.0,
    per_channel=True, spread=2.0, bias_error_steps=0.01,
)  # fmt: skip
TENSOR = ActivationReading(
    name="dw", operator="DEPTHWISE_CONV_2D", sqnr_db=25.0, loss_db=1.0, own_db=43.0, best_db=44.0, stored=(0.0, 6.0),
    observed=(0.0, 5.9), clipped_share=0.0, fixed=False, channels=16, dead_channels=(), strongest_channel=3,
    channel_ratio=1.2, drowned_share=0.0,
)  # fmt: skip
HEAD = replace(TENSOR, name="classifier", operator="FULLY_CONNECTED", loss_db=0.5)
PICTURES = RangeGuess(pictures="the data set's pictures", kind="pictures", distance=0.02, differing=1, telling=20)


@pytest.fixture
def evidence(healthy: Path) -> Evidence:
    """Of a healthy file."""
    return Evidence(
        subject=open_subject(healthy, "int8", None),
        preprocessing=MINUS_ONE_TO_ONE,
        accuracy=UNHARMED,
        confidence=CONFIDENCE,
        calibration=Calibration(images=128, known=True, reason="", exact=True),
        layer_images=32,
        weights=(KERNEL, replace(KERNEL, name="conv/kernel", layer="conv")),
        activations=(TENSOR, HEAD),
        guesses=(),
        labels=None,
        other_input=None,
    )


def causes(evidence: Evidence, **changes: Any) -> list[str]:
    return [finding.cause for finding in find_causes(replace(evidence, **changes))]


def test_healthy_readings_have_no_cause(evidence: Evidence) -> None:
    assert causes(evidence) == []


def test_a_loss_that_nothing_explains_is_called_so_with_the_layers_that_lose(evidence: Evidence) -> None:
    (finding,) = find_causes(replace(evidence, accuracy=HARMED))
    assert finding.cause == "unexplained"
    assert finding.layers[0] == "dw"
    assert finding.evidence[0] == "agreement with float 92.00%, drop 3.00 to 7.00 points"


def test_one_scale_for_a_depthwise_kernel_of_unlike_channels(evidence: Evidence) -> None:
    coarse = replace(KERNEL, sqnr_db=14.0, worst_channel_db=-1.0, per_channel=False, spread=90.0)
    (finding,) = find_causes(replace(evidence, weights=(coarse, KERNEL, KERNEL)))
    assert finding.cause == "channel_spread"
    assert finding.title == "Depthwise kernels with channels of very different size"
    assert "one scale for all channels, the strongest has 90 times" in finding.evidence[0]


@pytest.mark.parametrize(("own_db", "named"), [(29.0, []), (15.0, ["saturated_range"])])
def test_what_loud_pictures_hold_may_be_clipped_unless_accuracy_is_lost(
    evidence: Evidence, own_db: float, named: list[str]
) -> None:
    clipped = replace(TENSOR, name="expand", own_db=own_db, best_db=45.0, stored=(0.0, 4.8), clipped_share=1e-4)
    assert causes(evidence, activations=(TENSOR, clipped, HEAD)) == named
    assert causes(evidence, activations=(TENSOR, clipped, HEAD), accuracy=HARMED) == ["saturated_range"]


def test_hard_swish_is_blamed_only_where_accuracy_is_lost(evidence: Evidence) -> None:
    swish = replace(TENSOR, name="swish", operator="HARD_SWISH", loss_db=7.0)
    assert causes(evidence, activations=(TENSOR, swish, HEAD), accuracy=HARMED) == ["hard_swish"]
    assert causes(evidence, activations=(TENSOR, swish, HEAD)) == []


def test_the_classifier_is_blamed_for_its_loss_and_for_ties(evidence: Evidence) -> None:
    assert causes(evidence, activations=(TENSOR, replace(HEAD, loss_db=9.0)), accuracy=HARMED) == ["classifier_head"]
    tied = replace(CONFIDENCE, ties=0.2)
    (finding,) = find_causes(replace(evidence, confidence=tied, accuracy=HARMED))
    assert finding.cause == "classifier_head"
    assert finding.command.endswith("OUTPUT=logits")


def test_a_bias_that_overflowed_is_a_dead_channel(evidence: Evidence) -> None:
    broken = replace(KERNEL, bias_error_steps=400.0)
    (finding,) = find_causes(replace(evidence, weights=(broken, KERNEL)))
    assert finding.cause == "dead_channel"
    assert finding.evidence == ("dw: a bias is off by 400 steps of the output",)


def test_ranges_that_cut_the_tail_off_on_purpose_raise_no_alarm(evidence: Evidence) -> None:
    cut = replace(TENSOR, own_db=38.0, best_db=40.0, clipped_share=0.001)
    assert causes(evidence, activations=(cut, HEAD)) == []


def test_ranges_wider_than_the_few_pictures_compared_raise_no_alarm(evidence: Evidence) -> None:
    wide = replace(TENSOR, own_db=36.0, best_db=44.0)
    assert causes(evidence, activations=(wide, wide, wide, HEAD), guesses=(PICTURES,)) == []
    coarse = replace(TENSOR, own_db=20.0, best_db=44.0)
    found = causes(evidence, activations=(coarse, coarse, coarse, HEAD), guesses=(PICTURES,))
    assert found == ["unlike_calibration_images"]


def test_noise_is_not_blamed_while_the_pictures_explain_the_ranges(evidence: Evidence) -> None:
    noise = RangeGuess(pictures="random numbers in 0..1", kind="noise", distance=0.005, differing=0, telling=20)
    assert causes(evidence, guesses=(noise, PICTURES)) == []
    assert causes(evidence, guesses=(noise, replace(PICTURES, distance=0.5))) == ["noise_calibration"]
    assert causes(evidence, guesses=(replace(noise, distance=0.3), replace(PICTURES, distance=0.95))) == []


def test_other_methods_than_extremes_may_move_the_ranges_further(evidence: Evidence) -> None:
    noise = RangeGuess(pictures="random numbers in 0..1", kind="noise", distance=0.04, differing=0, telling=20)
    moved = (noise, replace(PICTURES, distance=0.2, differing=15))
    assert causes(evidence, guesses=moved) == ["noise_calibration"]
    cut_off = replace(evidence.calibration, exact=False)
    assert causes(evidence, guesses=moved, calibration=cut_off) == []


def test_commands_keep_what_names_the_export_and_quote_it(healthy: Path) -> None:
    words = ("MODEL=my net.keras", "PREPROCESSING=bytes", "DATASET=/a b")
    subject = open_subject(healthy, "int8", None, words)
    assert subject.make("export", "PREPROCESSING=zero-to-one") == (
        "make export 'MODEL=my net.keras' 'DATASET=/a b' PREPROCESSING=zero-to-one"
    )
    assert subject.make("train") == "make train 'MODEL=my net.keras' 'DATASET=/a b'"
