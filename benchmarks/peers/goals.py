"""The goals that our files are held to, and whether a network meets them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from benchmarks.peers.measures import Loss
from device_bench.stats.ratios import Ratio

DROP = 0.001
DROP_HIGH = 0.003
DROP_V3_SMALL = 0.005
TWIN_DROP = 0.005
DISAGREEMENT_SHARE = 0.5
SQNR_GAIN_DB = 3.0
LATENCY_RATIO = 1.01
SIZE_SHARE = 0.95
FORMATS_DISAGREEMENT = 0.001
FEW_PICTURES_DROP = 0.001


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """One line of the verdict."""

    network: str
    text: str
    """What was asked for, and what was measured."""
    met: bool


def twin_goal(name: str, ours: Loss) -> Goal:
    """What our file of a stress twin may lose."""
    return _goal(name, f"drop at most {100 * TWIN_DROP:g}: {_drop(ours)}", ours.drop <= TWIN_DROP)


def goals(name: str, losses: Mapping[str, Loss], ours: Loss) -> list[Goal]:
    """Those about accuracy.

    Args:
        name: Of the network, as the table has it.
        losses: Of the peers.
        ours: Of our TFLite file.
    """
    if "v3_small" in name:
        drop = _goal(name, f"drop at most {100 * DROP_V3_SMALL:g}: {_drop(ours)}", ours.drop <= DROP_V3_SMALL)
    else:
        wanted = f"drop at most {100 * DROP:.2f} (upper {100 * DROP_HIGH:.2f}): {_drop(ours)}"
        drop = _goal(name, wanted, ours.drop <= DROP and ours.drop_high <= DROP_HIGH)
    if not losses:
        return [drop]
    closest = min(losses, key=lambda peer: losses[peer].disagreement)
    clearest = max(losses, key=lambda peer: losses[peer].sqnr_db)
    theirs = losses[closest].disagreement
    # Nothing is half of nothing.
    share = f"{ours.disagreement / theirs:.2f} x {closest}'s" if theirs else f"{ours.disagreement:.2%}, {closest}'s 0"
    gain = ours.sqnr_db - losses[clearest].sqnr_db
    named = f"disagreement at most {DISAGREEMENT_SHARE:g} x the best peer's: {share}"
    clear = f"SQNR at least {SQNR_GAIN_DB:g} dB above the best peer's: {gain:+.1f} dB to {clearest}'s"
    return [
        drop,
        _goal(name, named, ours.disagreement <= DISAGREEMENT_SHARE * theirs),
        _goal(name, clear, gain >= SQNR_GAIN_DB),
    ]


def _drop(ours: Loss) -> str:
    return f"{100 * ours.drop:.2f} ({100 * ours.drop_low:.2f} to {100 * ours.drop_high:.2f}) points"


def size_goal(name: str, peers: Mapping[str, int], ours: int) -> Goal:
    """Our file against the smallest of the peers' TFLite files, bytes."""
    least = min(peers, key=lambda peer: peers[peer])
    share = ours / peers[least]
    return _goal(
        name, f"size at most {SIZE_SHARE:g} x the smallest peer's: {share:.3f} x {least}'s", share <= SIZE_SHARE
    )


def latency_goal(name: str, ours: str, peer: str, ratio: Ratio) -> Goal:
    """One of our TFLite files against the fastest peer's."""
    found = f"{ours} {ratio.ratio:.3f} ({ratio.low:.3f} to {ratio.high:.3f}) x {peer}'s"
    return _goal(name, f"latency at most {LATENCY_RATIO:g} x the fastest peer's: {found}", ratio.ratio <= LATENCY_RATIO)


def formats_goal(name: str, disagreement: float) -> Goal:
    """Our ONNX file against our TFLite file."""
    found = f"TFLite and ONNX agree at least {1 - FORMATS_DISAGREEMENT:.1%}: {1 - disagreement:.2%}"
    return _goal(name, found, disagreement <= FORMATS_DISAGREEMENT)


def pictures_goal(name: str, few: Loss, many: Loss) -> Goal:
    """Calibration with 32 pictures against 512."""
    gap = abs(few.top1 - many.top1)
    found = f"32 calibration pictures within {100 * FEW_PICTURES_DROP:g} points of 512: {100 * gap:.2f} points"
    return _goal(name, found, gap <= FEW_PICTURES_DROP + 1e-12)


def _goal(name: str, text: str, met: bool) -> Goal:
    return Goal(network=name, text=text, met=met)
