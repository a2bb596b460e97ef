"""Every precision of TFLite files has a tolerance with its reason, none tighter than verification's own limit."""

from export.bundle.tolerances import TOLERANCES
from export.precision import PRECISIONS


def test_every_tflite_precision_has_a_tolerance_with_its_reason() -> None:
    rows = [row for row in PRECISIONS.values() if row.format == "tflite"]
    assert {row.name for row in rows} == set(TOLERANCES)
    for row in rows:
        tolerance = TOLERANCES[row.name]
        assert 0 < tolerance.max_abs_error < 0.5
        assert tolerance.reason.endswith(".")
        # The builtin kernels, which some phones run, may already be as far off.
        assert tolerance.max_abs_error >= (row.limits.max_builtin_error or 0)
