"""What a baseline is asked for, and the files its engines load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_bench.baseline.case import Accelerator, Precision
from device_bench.baseline.engines import Engine
from device_bench.baseline.program.request import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class BaselineRequest:
    """What to measure."""

    engines: tuple[Engine, ...]
    """Empty: the first GPU engine that works, else the CPU."""
    precisions: tuple[Precision, ...]
    batches: tuple[int, ...]
    """Empty: doubled to the knee."""
    repeats: int
    threads: int
    gpu_index: int | None
    seed: int
    settings: Settings
    device: Accelerator | None = None
    """Where GPU engines have to compute instead: their code is tested on CPUs."""

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value."""
        return {
            "engines": [engine.name for engine in self.engines] or ["auto"],
            "precisions": list(self.precisions),
            "batches": list(self.batches) or None,
            "repeats": self.repeats,
            "threads": self.threads,
            "gpu_index": self.gpu_index,
            "seed": self.seed,
            "settings": {name: getattr(self.settings, name) for name in Settings.__slots__},
            "device": self.device,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What the engines load."""

    folder: Path
    """Of the exported files."""
    checkpoint: Path | str
    """The `.keras` file they were made from, or why it cannot be used."""
    zoo_name: str
    classes: int
