"""Which known causes fit the evidence. A rule names one cause; what only follows from a found one is not named too.

The limits stand between what healthy files show and what broken ones do. MobileNetV1 0.25 and V2 1.4 on the digits:
kernels at 39 dB and more per channel, ranges within 2.8 dB of the best, no channel drowned, strongest channel at most 3
times the next; their spans differ from those of other pictures by 0.15 in log2.
"""

from __future__ import annotations

from collections.abc import Callable

from export.diagnosis.evidence import Evidence
from export.diagnosis.guesses import NOISE, PICTURES
from export.diagnosis.layer_causes import (
    GAP_DB,
    blame_channels,
    blame_head,
    blame_kernels,
    blame_ranges,
    blame_swish,
    find_dead,
    is_ill_ranged,
)
from export.diagnosis.values import Finding, RangeGuess
from models.presets import PRESETS
from models.spec import OWN

FEW_IMAGES = 32
MANY_IMAGES = 512
UNLIKE, UNLIKE_EXACT, ALIKE = 0.3, 0.02, 0.2
"""Mean |log2| between spans in the file and those measured: from here on they are not of the pictures on record; the
same if those must give them exactly; below, they may be of what was measured."""
CLOSER = 2
"""How many times closer than the pictures' ranges those of something else must be. Noise is drawn anew here, which
moves the searched ranges of single tensors: 0.06 in log2 at most was seen on average, where pictures gave 0.2."""
DIFFERING = 3
"""Tensors whose span differs from what the pictures on record must give: from here on other pictures are to blame."""
WEIGHTS_DB = 10.0
"""Below it, the typical kernel is another one, however coarsely rounded."""

Rule = Callable[[Evidence], Finding | None]


def find_causes(evidence: Evidence) -> tuple[Finding, ...]:
    """The causes that fit, the one to begin with first; empty: nothing speaks against the file."""
    found = [finding for rule in (_labels, _other_input) if (finding := rule(evidence))]
    # Each of these makes what the next ones look for.
    if evidence.other_input:
        return tuple(found)
    for rules in ((_weights,), (_unnormalised,), (_calibration,), (find_dead,), (blame_channels, blame_ranges)):
        causes = [finding for rule in rules if (finding := rule(evidence))]
        if causes:
            return (*found, *causes)
    causes = [finding for rule in (blame_kernels, blame_swish, blame_head) if (finding := rule(evidence))]
    if not causes and evidence.harmed:
        causes = [_unexplained(evidence)]
    return (*found, *causes)


def _labels(evidence: Evidence) -> Finding | None:
    fault, subject = evidence.labels, evidence.subject
    if fault is None:
        return None
    own = subject.manifest.weights["source"] == OWN
    if fault.of_file:
        # Without LABELS, the data set's names are taken.
        command = subject.make("export")
    elif own:
        command = subject.make("export", "LABELS=names-in-the-order-of-the-outputs.txt")
    else:
        command = subject.make("train")
    return Finding(
        cause="swapped_labels" if fault.offset is None else "label_offset",
        title="Classes stand for each other" if fault.offset is None else "All class names are off by one",
        evidence=fault.evidence,
        layers=(),
        command=command,
    )


def _other_input(evidence: Evidence) -> Finding | None:
    other = evidence.other_input
    if other is None:
        return None
    if evidence.subject.manifest.weights["source"] == OWN:
        named = other.name if other.name in PRESETS else "preprocessing.json"
        command = evidence.subject.make("export", f"PREPROCESSING={named}")
    else:
        command = evidence.subject.make("train")
    mean, std = (_channels(side) for side in (evidence.preprocessing.mean, evidence.preprocessing.std))
    return Finding(
        cause="wrong_preprocessing",
        title="The network was trained with another preprocessing",
        evidence=(
            (
                f"with mean {mean} and std {std} the float file names {other.own_top1:.1%} of "
                f"{other.images} test pictures right, with {other.name} {other.top1:.1%}"
            ),
            "the float file has the fault too, so that no quantization can mend it",
        ),
        layers=(),
        command=command,
    )


def _weights(evidence: Evidence) -> Finding | None:
    known = sorted(reading.sqnr_db for reading in evidence.weights if reading.sqnr_db is not None)
    if not known or known[len(known) // 2] >= WEIGHTS_DB:
        return None
    same = evidence.subject.float_file.source_sha256 == evidence.subject.int8_file.source_sha256
    return Finding(
        cause="other_weights",
        title="The int8 file holds other weights than the float file",
        evidence=(
            f"the typical kernel has {known[len(known) // 2]:.1f} dB, 8 bits give 40",
            f"the manifest says that they come from {'the same' if same else 'different'} float files",
        ),
        layers=tuple(reading.layer for reading in evidence.weights[:5]),
        command=evidence.subject.make("export"),
    )


def _unnormalised(evidence: Evidence) -> Finding | None:
    """The integer input maps bytes elsewhere than the preprocessing does."""
    info = evidence.subject.int8_file.input
    if info.scale is None or info.zero_point is None or info.dtype not in ("uint8", "int8"):
        return None
    black = (0 if info.dtype == "uint8" else -128) - info.zero_point
    ends = (black * info.scale, (black + 255) * info.scale)
    mean, std = evidence.preprocessing.mean[0], evidence.preprocessing.std[0]
    wanted = (-mean / std, (255 - mean) / std)
    span = wanted[1] - wanted[0]
    if max(abs(a - b) for a, b in zip(ends, wanted, strict=True)) <= 0.02 * span:
        return None
    more = tuple(_explain(nearest) for nearest in evidence.guesses[:1])
    return Finding(
        cause="unnormalised_input",
        title="The int8 file was calibrated with pictures normalised otherwise",
        evidence=(
            (
                f"black to white is {ends[0]:.3g} to {ends[1]:.3g} for the int8 file's input, {wanted[0]:.3g} to "
                f"{wanted[1]:.3g} for the float file's"
            ),
            *more,
        ),
        layers=("image",),
        command=evidence.subject.make("export"),
    )


def _calibration(evidence: Evidence) -> Finding | None:
    guesses = evidence.guesses
    if not guesses:
        return None
    nearest = guesses[0]
    pictures = next(guess for guess in guesses if guess.kind == PICTURES)
    record = evidence.calibration
    facts = (
        f"calibration pictures on record: {record.images}; "
        + ("the data set still gives them" if record.known else record.reason),
    )
    unlike = pictures.distance > (UNLIKE_EXACT if record.exact else UNLIKE)
    if unlike and nearest.distance < min(ALIKE, pictures.distance / CLOSER):
        noise = nearest.kind == NOISE
        return Finding(
            cause="noise_calibration" if noise else "unnormalised_input",
            title="The int8 file was calibrated with random noise"
            if noise
            else "The int8 file was calibrated with pictures normalised otherwise",
            evidence=(_explain(nearest), _explain(pictures), *facts),
            layers=_clipped(evidence),
            command=evidence.subject.make("export"),
        )
    gaps = [reading for reading in evidence.activations if is_ill_ranged(reading)]
    few = record.images < FEW_IMAGES
    others = record.exact and unlike and pictures.differing >= DIFFERING
    if not gaps or not (few or others or len(gaps) >= max(3, len(evidence.activations) // 10)):
        return None
    worst = max(gaps, key=lambda reading: reading.gap_db)
    return Finding(
        cause="few_calibration_images" if few else "unlike_calibration_images",
        title="Too few calibration pictures" if few else "The calibration pictures are unlike the test pictures",
        evidence=(
            (
                f"{len(gaps)} of {len(evidence.activations)} tensors would gain {GAP_DB:.0f} dB and more by other "
                f"ranges; {worst.name}: stored {_range(worst.stored)}, observed {_range(worst.observed)}, "
                f"{worst.clipped_share:.1%} clipped"
            ),
            _explain(pictures),
            *facts,
        ),
        layers=_clipped(evidence),
        command=evidence.subject.make("export", f"CALIBRATION_IMAGES={MANY_IMAGES if few else 4 * record.images}"),
    )


def _unexplained(evidence: Evidence) -> Finding:
    losing = [reading for reading in evidence.activations if reading.loss_db is not None]
    worst = sorted(losing, key=lambda reading: -(reading.loss_db or 0))[:3]
    parts = ", ".join(f"{reading.name} {reading.loss_db:.1f} dB" for reading in worst)
    low, high = (100 * bound for bound in evidence.accuracy.drop_ci95)
    return Finding(
        cause="unexplained",
        title="The int8 file loses too much, and no known cause fits",
        evidence=(
            f"agreement with float {evidence.accuracy.agreement:.2%}, drop {low:.2f} to {high:.2f} points",
            f"most is lost in {parts}",
        ),
        layers=tuple(reading.name for reading in worst),
        command=evidence.subject.make("export", f"CALIBRATION_IMAGES={MANY_IMAGES}"),
    )


def _explain(guess: RangeGuess) -> str:
    return (
        f"stored ranges differ from those on {guess.pictures} by a factor of {2**guess.distance:.2f} on average, "
        f"{guess.differing} of {guess.telling} by more than 5 %"
    )


def _clipped(evidence: Evidence) -> tuple[str, ...]:
    rows = sorted(evidence.activations, key=lambda reading: -reading.gap_db)
    return tuple(reading.name for reading in rows[:5] if not reading.fixed and reading.gap_db > 0)


def _range(ends: tuple[float, float]) -> str:
    return f"{ends[0]:.3g} to {ends[1]:.3g}"


def _channels(values: tuple[float, ...]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else ", ".join(f"{value:g}" for value in values)
