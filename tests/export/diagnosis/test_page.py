"""The page: one file, inert whatever is in it."""

import base64
import re
from dataclasses import replace

import pytest

from export.diagnosis.page import format_page
from export.diagnosis.values import Diagnosis, Finding, Flip

HOSTILE = "<script>alert(1)</script>\"'{{ 7 * 7 }}\u202e\x1b[31m"


def sick(healthy: Diagnosis, text: str = "dw") -> Diagnosis:
    """The same with a cause and a flip of such names."""
    finding = Finding(
        cause="dead_channel", title="Channels are dead in the int8 file", evidence=(text,), layers=(text,), command=text
    )
    flip = Flip(
        number=7, true=text, float_top=((text, 0.9),), int8_top=((text, 0.5),), verdict="lost", png=b"\x89PNG\r\n"
    )
    rows = tuple(replace(row, name=text) for row in healthy.classes)
    tensors = tuple(replace(row, name=text) for row in healthy.activations)
    return replace(
        healthy, model=text, weights=text, dataset=text, findings=(finding, finding), flips=(flip,), classes=rows,
        activations=tensors, unmatched=(text,),
    )  # fmt: skip


@pytest.fixture(scope="module")
def page(healthy_diagnosis: Diagnosis) -> str:
    return format_page(sick(healthy_diagnosis))


def test_the_page_asks_nobody_for_anything_and_runs_nothing(page: str) -> None:
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert re.findall(r'(?:src|href)="(?!#|data:image/png;base64,)', page) == []
    assert "url(" not in page
    assert "prefers-color-scheme: dark" in page


def test_hostile_names_stay_text(healthy_diagnosis: Diagnosis) -> None:
    page = format_page(sick(healthy_diagnosis, HOSTILE))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "{{ 7 * 7 }}" in page
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_cause_evidence_command_and_picture_are_on_it(page: str) -> None:
    assert "2 causes found" in page
    assert page.count("<code>dead_channel</code>") == 2
    assert 'Try next: <code id="command">dw</code>' in page
    assert base64.b64encode(b"\x89PNG\r\n").decode() in page


def test_a_healthy_network_is_told_so(healthy_diagnosis: Diagnosis) -> None:
    page = format_page(healthy_diagnosis)
    assert "Healthy: no known cause of a loss fits" in page
    assert "Try next" not in page
    assert page.count("data:image/png;base64,") == len(healthy_diagnosis.flips)


def test_json_leaves_the_pictures_out(healthy_diagnosis: Diagnosis) -> None:
    value = sick(healthy_diagnosis).to_json()
    assert value["schema"] == 1
    assert value["healthy"] is False
    assert "png" not in value["flips"][0]
