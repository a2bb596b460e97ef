"""Which blocks of a network lose most by 8 bits: how much better the logits become when they stay float.

A block alone may gain nothing, because what is lost is lost in the tensors at its borders, which stay int8. So runs of
neighbouring blocks are tried, too, the best for its cost is kept, and the search goes on with it in place.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from export.quantization.blocks import Block, find_blocks
from export.quantization.islands import with_float_islands
from export.quantization.meter import Meter
from export.quantization.observe import THREADS
from export.quantization.pictures import some_pictures
from models.data import Pixels
from models.errors import UsageError
from models.spec import Preprocessing
from models.worker import Progress, Report

STAGE = "rank blocks"
IMAGES = 96
"""Of the representative data set, at most, and not those that biases are corrected with."""

LONGEST_RUN = 3
"""Blocks that are tried together."""
LEAST_GAIN_DB = 0.75
"""What a run must gain to pay; less is within what other pictures would change."""
LEAST_GAIN_DB_PER_SHARE = 6.0
"""And for its part of the network's mult-adds: a tenth of them in float, which makes the file 6 to 10 % slower on a
desktop and more on phones with int8 instructions, must bring 0.6 dB."""
LARGEST_SHARE = 0.5
"""Of the mult-adds that may become float unless more is asked for."""
HOPELESS_DB = 0.1
"""A run that gained less than this is not tried again unless a neighbour has become float."""

Layers = frozenset[str]


def rank_blocks(
    tflite: bytes,
    int8: bytes,
    pixels: Pixels,
    preprocessing: Preprocessing,
    report: Report,
    *,
    wanted: int | Collection[str] | None = None,
) -> tuple[Block, ...]:
    """The blocks that should be float, the most worthwhile first, each with what it gains when those before it are.

    Args:
        tflite: The float32 file, with batch 1.
        int8: The int8 file made of it, with int8 input and output.
        pixels: The representative data set, uint8 `[N, H, W, 3]`.
        preprocessing: Of the network.
        report: Receives the progress.
        wanted: How many, or which by their names; None: as many as pay, one at least.

    Raises:
        UsageError: a name that no block has.
        ConversionError: LiteRT refuses the int8 file.
    """
    blocks = find_blocks(tflite)
    meter = Meter(tflite, some_pictures(pixels, IMAGES, from_end=True), preprocessing)
    search = _Search(blocks, lambda layers: meter.sqnr_db(with_float_islands(int8, tflite, layers)), report)
    if wanted is None or isinstance(wanted, int):
        return search.best(len(blocks) if wanted is None else min(wanted, len(blocks)), paying=wanted is None)
    chosen = [_named(blocks, name) for name in wanted]
    return search.marginal([row for row in range(len(blocks)) if row in chosen])


def _named(blocks: Sequence[Block], name: str) -> int:
    names = [block.name for block in blocks]
    if name not in names:
        raise UsageError(f"no block of this network is called {name!r}; it has {', '.join(names)}")
    return names.index(name)


class _Search:
    """Greedy: the run that gains most for its mult-adds becomes float, until nothing pays any more."""

    def __init__(self, blocks: Sequence[Block], sqnr_db: Callable[[Layers], float], report: Report) -> None:
        self.blocks, self._sqnr_db, self._report = blocks, sqnr_db, report
        self._known: dict[frozenset[int], float] = {}

    def best(self, count: int, *, paying: bool) -> tuple[Block, ...]:
        """So many blocks, or fewer if only those that pay are wanted."""
        chosen: list[int] = []
        hopeless: set[tuple[int, ...]] = set()
        while len(chosen) < count:
            before = self.sqnr([chosen])[0]
            runs = [run for run in self._runs(chosen, count) if run not in hopeless]
            if paying:
                # A first block may be larger, because one is wanted at least.
                small = [run for run in runs if self._share([*chosen, *run]) <= LARGEST_SHARE]
                runs = small or [run for run in runs if not chosen and len(run) == 1]
            if not runs:
                break
            gains = [found - before for found in self.sqnr([[*chosen, *run] for run in runs])]
            row = max(range(len(runs)), key=lambda row: self._worth(runs[row], gains[row]))
            if paying and chosen and not self._pays(runs[row], gains[row]):
                break
            chosen += runs[row]
            near = {end + side for end in runs[row] for side in (-1, 0, 1)}
            hopeless = {run for run, gain in zip(runs, gains, strict=True) if gain < HOPELESS_DB} | hopeless
            hopeless = {run for run in hopeless if not near & set(run)}
        return self.marginal(chosen)

    def _runs(self, chosen: Sequence[int], count: int) -> Iterator[tuple[int, ...]]:
        for start in range(len(self.blocks)):
            for length in range(1, min(LONGEST_RUN, count - len(chosen)) + 1):
                run = tuple(range(start, start + length))
                if run[-1] < len(self.blocks) and not set(run) & set(chosen):
                    yield run

    def _share(self, rows: Sequence[int]) -> float:
        return sum(self.blocks[row].mult_add_share for row in rows)

    def _worth(self, run: Sequence[int], gain_db: float) -> tuple[bool, float]:
        """What gains enough stands above all else, and is compared by what it costs."""
        enough = gain_db >= LEAST_GAIN_DB
        # Conversions at the borders cost about as much as a hundredth of the network.
        return enough, gain_db / (self._share(run) + 0.01) if enough else gain_db

    def _pays(self, run: Sequence[int], gain_db: float) -> bool:
        return gain_db >= max(LEAST_GAIN_DB, LEAST_GAIN_DB_PER_SHARE * self._share(run))

    def marginal(self, rows: Sequence[int]) -> tuple[Block, ...]:
        """The blocks in this order, each with its gain behind those before it."""
        found = self.sqnr([rows[:count] for count in range(len(rows) + 1)])
        return tuple(
            replace(self.blocks[row], gain_db=round(after - before, 2))
            for row, before, after in zip(rows, found, found[1:], strict=False)
        )

    def sqnr(self, sets: Sequence[Collection[int]]) -> list[float]:
        """Of the logits, with these blocks float, in dB."""
        missing = list({frozenset(rows) for rows in sets} - self._known.keys())
        total = len(self._known) + len(missing)
        with ThreadPoolExecutor(THREADS) as threads:
            layers = [Layers(layer for row in rows for layer in self.blocks[row].layers) for rows in missing]
            for rows, value in zip(missing, threads.map(self._sqnr_db, layers), strict=True):
                self._known[rows] = value
                self._report(Progress(stage=STAGE, done=len(self._known), total=total))
        return [self._known[frozenset(rows)] for rows in sets]
