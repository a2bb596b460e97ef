"""Intervals of shares, against published values."""

import pytest

from device_bench.stats import wilson_interval


def test_wilsons_interval_has_its_published_values() -> None:
    # Newcombe, Stat. Med. 17 (1998), table I, method 3.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(15, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson_interval(1, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@pytest.mark.parametrize(("right", "total"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_impossible_shares_are_refused(right: int, total: int) -> None:
    with pytest.raises(ValueError, match=f"^{right} of {total}$"):
        wilson_interval(right, total)
