"""Rules about single layers: dead and huge channels, kernels, ranges, hard-swish, the classifier."""

from __future__ import annotations

from export.diagnosis.evidence import Evidence
from export.diagnosis.values import ActivationReading, Finding
from export.quantization.decision import is_equalized

GAP_DB = 6.0
"""One bit: what a better range of a tensor would gain."""
OWN_DB = 30.0
"""Of rounding and clipping alone; above it, a better range would not be seen in the answers."""
WIDE_DB = 22.0
"""The same where nothing is clipped: the calibration pictures may have needed what the few compared here do not. And
for a few tensors in a file that loses no accuracy: what single pictures hold that are much louder than all others is
clipped on purpose by ranges of least squared error."""
HUGE_RATIO = 8.0
"""Span of a channel over the next one's: three of the eight bits go to it alone."""
DROWNED = 0.25
"""Share of channels with less than four steps."""
BIAS_STEPS = 32.0
"""Of 256 of the output. Corrections of the quantization's bias move it by a few."""
KERNEL_DB, CHANNEL_DB = 25.0, 10.0
HEAD_LOSS_DB = 6.0
SWISH_LOSS_DB = 3.0
TIES = 0.05


def find_dead(evidence: Evidence) -> Finding | None:
    """Channels that vary in the float file and stand still in the int8 file."""
    dead = [reading for reading in evidence.activations if reading.dead_channels]
    stuck = [reading for reading in evidence.weights if reading.bias_error_steps > BIAS_STEPS]
    if not dead and not stuck:
        return None
    facts = [
        f"{reading.name}: channel{'s' * (len(reading.dead_channels) > 1)} {_some(reading.dead_channels)} of "
        f"{reading.channels} never change{'s' * (len(reading.dead_channels) == 1)} in the int8 file"
        for reading in dead[:4]
    ]
    facts += [
        f"{reading.layer}: a bias is off by {reading.bias_error_steps:.0f} steps of the output" for reading in stuck[:4]
    ]
    layers = [reading.name for reading in dead] + [reading.layer for reading in stuck]
    return Finding(
        cause="dead_channel",
        title="Channels are dead in the int8 file",
        evidence=tuple(facts),
        layers=tuple(dict.fromkeys(layers)),
        command=evidence.subject.make("export"),
    )


def blame_channels(evidence: Evidence) -> Finding | None:
    """A channel so large that the others share a few steps."""
    huge = [r for r in evidence.activations if _is_huge(r)]
    if not huge:
        return None
    return Finding(
        cause="channel_spread",
        title="One channel takes the range of all others",
        evidence=tuple(
            f"{r.name}: channel {r.strongest_channel} spans {r.channel_ratio:.0f} times what the next one does; "
            f"{r.drowned_share:.0%} of the channels have less than 4 of 256 steps"
            for r in huge[:4]
        ),
        layers=tuple(r.name for r in huge),
        command=_wider(evidence),
    )


def _is_huge(reading: ActivationReading) -> bool:
    ratio = reading.channel_ratio
    return ratio is not None and ratio >= HUGE_RATIO and reading.drowned_share >= DROWNED and not reading.fixed


def is_ill_ranged(reading: ActivationReading) -> bool:
    """Whether a tensor loses by its range what would be seen in the answers, and another range would not."""
    enough = OWN_DB if reading.clipped_share > 0 else WIDE_DB
    return not reading.fixed and reading.gap_db >= GAP_DB and (reading.own_db or 0) < enough


def blame_ranges(evidence: Evidence) -> Finding | None:
    """Single tensors whose range clips, or is far too wide."""
    huge = {r.name for r in evidence.activations if _is_huge(r)}
    enough = OWN_DB if evidence.harmed else WIDE_DB
    bad = [r for r in evidence.activations if is_ill_ranged(r) and r.name not in huge and (r.own_db or 0) < enough]
    if not bad:
        return None
    bad.sort(key=lambda r: -r.gap_db)
    clips = bad[0].clipped_share > 0
    return Finding(
        cause="saturated_range" if clips else "wide_range",
        title="A range clips its tensor" if clips else "A range is much wider than its tensor",
        evidence=tuple(
            f"{r.name}: stored {_range(r.stored)}, observed {_range(r.observed)}, {r.clipped_share:.2%} clipped; "
            f"{r.own_db or 0:.1f} dB, the best range gives {r.best_db or 0:.1f}"
            for r in bad[:4]
        ),
        layers=tuple(r.name for r in bad),
        command=evidence.subject.make(
            "export", f"CALIBRATION_IMAGES={max(512, 4 * evidence.calibration.images)}"
        ),
    )  # fmt: skip


def blame_kernels(evidence: Evidence) -> Finding | None:
    """Kernels whose channels are too different for their scale."""
    coarse = [
        r
        for r in evidence.weights
        if r.sqnr_db is not None
        and (r.sqnr_db < KERNEL_DB or (r.worst_channel_db is not None and r.worst_channel_db < CHANNEL_DB))
    ]
    if not coarse or not (evidence.harmed or (coarse[0].sqnr_db or 0) < KERNEL_DB - 5):
        return None
    depthwise = [r for r in coarse if r.operator == "DEPTHWISE_CONV_2D"]
    return Finding(
        cause="channel_spread",
        title=f"{'Depthwise kernels' if depthwise else 'Kernels'} with channels of very different size",
        evidence=tuple(
            f"{r.name}: {'a scale per channel' if r.per_channel else 'one scale for all channels'}, the strongest has "
            f"{r.spread:.0f} times the median's weights, {r.sqnr_db or 0:.1f} dB, worst channel "
            f"{'unknown' if r.worst_channel_db is None else f'{r.worst_channel_db:.1f} dB'}"
            for r in (depthwise or coarse)[:4]
        ),
        layers=tuple(r.layer for r in depthwise or coarse),
        command=evidence.subject.make("export", *_finer_kernels(evidence, per_channel=coarse[0].per_channel)),
    )


def _finer_kernels(evidence: Evidence, *, per_channel: bool) -> list[str]:
    """What is left to try: our int8 files have one scale per channel, and equalized channels where that was better."""
    if not per_channel:
        return []
    return ["PRECISION=int8_mixed" if is_equalized(evidence.subject.manifest.calibration) else "QUANTIZATION=equalize"]


def blame_swish(evidence: Evidence) -> Finding | None:
    """Hard-swish, if that is where the accuracy goes."""
    known = [r for r in evidence.activations if r.loss_db is not None and r.loss_db > 0]
    swish = [r for r in known if r.operator == "HARD_SWISH"]
    lost = sum(r.loss_db or 0 for r in swish)
    if not evidence.harmed or not swish or lost < SWISH_LOSS_DB or 2 * lost < sum(r.loss_db or 0 for r in known):
        return None
    worst = sorted(swish, key=lambda r: -(r.loss_db or 0))
    return Finding(
        cause="hard_swish",
        title="Most is lost in hard-swish",
        evidence=tuple(f"{r.name}: loses {r.loss_db:.1f} dB, left are {r.sqnr_db or 0:.1f}" for r in worst[:4]),
        layers=tuple(r.name for r in worst),
        # No 16-bit HARD_SWISH exists.
        command=evidence.subject.make("export", "PRECISION=dynamic_range"),
    )


def blame_head(evidence: Evidence) -> Finding | None:
    """The classifier, if that is where the accuracy goes."""
    ends = [r for r in evidence.activations if r.operator in ("FULLY_CONNECTED", "CONV_2D")]
    if not evidence.harmed or not ends:
        return None
    head, ties = ends[-1], evidence.confidence.ties
    loses = head.loss_db is not None and head.loss_db >= HEAD_LOSS_DB
    if not loses and ties < TIES:
        return None
    facts = []
    if loses:
        facts.append(f"{head.name}: loses {head.loss_db:.1f} dB, left are {head.sqnr_db or 0:.1f}")
    if ties >= TIES:
        facts.append(f"{ties:.1%} of the pictures get the same score for the two best classes")
    return Finding(
        cause="classifier_head",
        title="The classifier cannot tell the best classes apart",
        evidence=tuple(facts),
        layers=(head.name,),
        command=evidence.subject.make("export", "OUTPUT=logits") if not loses else _wider(evidence),
    )


def _wider(evidence: Evidence) -> str:
    """16-bit activations, which have 256 times the steps, where the file's operators have them."""
    swish = "HARD_SWISH" in evidence.subject.int8_file.operators
    return evidence.subject.make("export", "PRECISION=dynamic_range" if swish else "PRECISION=int16x8")


def _some(numbers: tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers[:6])) + (f" and {len(numbers) - 6} more" if len(numbers) > 6 else "")


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3g} to {ends[1]:.3g}"
