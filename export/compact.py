"""What makes TFLite files small: equal vectors are written once, and constants that nobody reads are not.

A TFLite file gives every output channel of a kernel and of its bias a zero point of 8 bytes, and all of these are zero.
Neither the vectors nor their lengths may be left out, but a flatbuffer may point to the same vector from many places.
"""

from __future__ import annotations

import hashlib
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

CONSTANT_ALIGNMENT_BYTES = 16
"""What the schema demands of buffers (`force_align: 16`) and Python's flatbuffer writer ignores."""


def drop_unread(model: Any) -> None:
    """Takes away the constants that neither a tensor nor metadata names, and numbers the others anew."""
    named = {entry.buffer for entry in model.metadata or ()} | set(model.metadataBuffer or ())
    named |= {tensor.buffer for graph in model.subgraphs or () for tensor in graph.tensors or ()}
    # The first is the empty one of all tensors that are computed.
    kept = [number for number in range(len(model.buffers)) if number in named or not number]
    # A number beyond the last is left for whoever reads the file to name.
    if len(kept) == len(model.buffers) or max(named, default=0) >= len(model.buffers):
        return
    numbers = {old: new for new, old in enumerate(kept)}
    model.buffers = [model.buffers[number] for number in kept]
    for entry in model.metadata or ():
        entry.buffer = numbers[entry.buffer]
    model.metadataBuffer = None if model.metadataBuffer is None else [numbers[n] for n in model.metadataBuffer]
    for graph in model.subgraphs or ():
        for tensor in graph.tensors or ():
            tensor.buffer = numbers[tensor.buffer]


class CompactBuilder(flatbuffers.Builder):  # type: ignore[misc]
    """Takes the place of `flatbuffers.Builder` under the generated code; equal calls give equal bytes.

    What is read of a file are arrays; a list of numbers that somebody put there is written as often as it occurs.
    """

    head: int

    def __init__(self, initial_bytes: int) -> None:
        super().__init__(initial_bytes)
        self._written: dict[tuple[str, bytes], int] = {}
        """Where content stands, by its kind and SHA-256: the content itself would be in memory twice."""

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 - the generated code calls it so
        """Offset of a vector of numbers."""
        key = (x.dtype.str, hashlib.sha256(x.tobytes()).digest())
        if key not in self._written:
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]

    def CreateString(self, s: str | bytes) -> int:  # noqa: N802 - the generated code calls it so
        """Offset of a text."""
        key = ("text", s if isinstance(s, bytes) else s.encode())
        if key not in self._written:
            self._written[key] = super().CreateString(s)
        return self._written[key]

    def constant(self, data: NDArray[np.uint8]) -> int:
        """Offset of a vector of bytes that lies where SIMD loads expect it."""
        payload = data.tobytes()
        key = ("constant", hashlib.sha256(payload).digest())
        if key not in self._written:
            self.StartVector(1, len(payload), CONSTANT_ALIGNMENT_BYTES)
            self.head = self.head - len(payload)
            self.Bytes[self.head : self.head + len(payload)] = payload
            self._written[key] = self.EndVector()
        return self._written[key]
