"""How long a training will still take. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Callable

from models.worker import Progress

STAGE = "whole training"


class Pace:
    """Work done and left, in any unit that takes equal time."""

    def __init__(self, total: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.total, self.done, self.clock = total, 0.0, clock
        self._skipped, self._started, self._first = 0.0, clock(), 0.0

    def skip(self, done: float) -> None:
        """Work that an earlier run did; it says nothing of the speed of this one."""
        self.done = self._skipped = done
        self._started, self._first = self.clock(), 0.0

    def advance(self, work: float) -> None:
        """Work done now."""
        if not self._first:
            # The first piece waits for TensorFlow to trace and says nothing of the rest.
            self._first, self._started = work, self.clock()
        self.done += work

    def left_s(self) -> float | None:
        """Seconds left at the present speed; None as long as that is not known."""
        gone_s, measured = self.clock() - self._started, self.done - self._skipped - self._first
        return gone_s / measured * max(0.0, self.total - self.done) if gone_s > 0 and measured > 0 else None

    def progress(self, *more: str) -> Progress:
        """The whole in thousandths, with the time left and more to say."""
        left_s = self.left_s()
        detail = ", ".join([*([] if left_s is None else [f"about {format_duration(left_s)} left"]), *more])
        # A sum of fractions may miss the whole by its rounding.
        done = int(1000 * self.done / self.total * (1 + 1e-9)) if self.total else 1000
        return Progress(stage=STAGE, done=min(1000, done), total=1000, detail=detail)


def format_duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3 h 5 min`."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
