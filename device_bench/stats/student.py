"""Quantiles of Student's t distribution."""

from __future__ import annotations


def student_quantile(probability: float, freedom: int) -> float:
    """The value below which a t variable lies with that probability (above one half).

    Raises:
        ValueError: the probability is outside 0.5 to 1 (both excluded), or there is no degree of freedom.
    """
    if not 0.5 < probability < 1 or freedom < 1:
        raise ValueError(f"probability {probability} with {freedom} degrees of freedom")
    # SciPy takes 0.2 s to load, which only commands that compare need to pay; scipy.stats would cost a second.
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))
