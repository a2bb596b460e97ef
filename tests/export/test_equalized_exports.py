"""`equalize=auto`, all of it: a stress twin is mended by default, and its float file computes what its network does."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from export.quantization.settings import DEFAULTS
from export.to_float import tflite_for, to_tflite
from models.build import fold_batch_norm
from models.data import normalise
from models.load import load_checkpoint
from tests.export.quantization.twins import stress
from tests.export.test_to_float import run_tflite

if TYPE_CHECKING:
    from tests.export.conftest import Network


def silent(_: object) -> None:
    """Takes progress and shows none."""


def test_a_twin_is_mended_by_default_and_computes_what_its_network_does(trained: "Network") -> None:
    spec, pixels = trained.spec, np.load(trained.work.calibration_pixels)
    model = fold_batch_norm(load_checkpoint(trained.weights.path, spec), spec)
    plain = to_tflite(model, spec, "logits")
    stress(model, spec, pixels)
    mended, decision = tflite_for(model, spec, "logits", pixels, DEFAULTS, silent)
    assert decision is not None
    assert decision.taken
    assert (decision.equalized_sqnr_db or 0) > (decision.sqnr_db or 0) + 3
    pictures = normalise(np.load(trained.work.test_pixels)[:64], spec.preprocessing)
    wanted = run_tflite(plain, pictures)
    np.testing.assert_allclose(run_tflite(mended, pictures), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    assert mended != plain


def test_nothing_is_decided_where_it_is_not_asked_for(trained: "Network") -> None:
    spec, pixels = trained.spec, np.load(trained.work.calibration_pixels)
    model = fold_batch_norm(load_checkpoint(trained.weights.path, spec), spec)
    plain, decision = tflite_for(model, spec, "logits", pixels, replace(DEFAULTS, equalize=False), silent)
    assert decision is None
    equalized, decision = tflite_for(model, spec, "logits", pixels, replace(DEFAULTS, equalize=True), silent)
    assert decision is None
    assert equalized != plain
