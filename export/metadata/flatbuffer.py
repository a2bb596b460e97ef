"""Flatbuffers by slot number: a writer of tables, and a reader that trusts no offset, length or count of a file."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import flatbuffers

from models.errors import BrokenFileError

Kind = Literal["int8", "int32", "int64", "uint8", "uint32", "uint64", "float32"]

_FORMATS: dict[str, str] = {
    "int8": "b", "int32": "i", "int64": "q", "uint8": "B", "uint32": "I", "uint64": "Q", "float32": "f"
}  # fmt: skip

MAX_STEPS = 2_000_000
"""Tables, strings and vector elements read of one file. The largest network of the zoo has 20 thousand; a hostile file
names the same table again and again, so that its size limits nothing."""

MAX_TEXT_BYTES = 1_000_000


@dataclass(slots=True)
class Budget:
    """Steps left for a file."""

    steps: int = MAX_STEPS

    def take(self, count: int) -> None:
        """Pays for `count` steps.

        Raises:
            BrokenFileError: there are no more.
        """
        self.steps -= count
        if self.steps < 0:
            raise BrokenFileError(f"it has more than {MAX_STEPS} parts, as no network has")


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a flatbuffer. A slot that is absent gives the default, as the format has it."""

    content: bytes
    position: int
    budget: Budget = field(default_factory=Budget, repr=False)

    @classmethod
    def root(cls, content: bytes, identifier: bytes) -> Table:
        """The table that a file starts with.

        Raises:
            BrokenFileError: it is no such file.
        """
        if content[4:8] != identifier:
            raise BrokenFileError(f"it has {content[4:8]!r} at byte 4, not {identifier!r}")
        return cls(content, _unpack(content, "I", 0))

    def number(self, slot: int, kind: Kind, default: int = 0) -> int:
        """A whole number."""
        at = self._field(slot)
        return int(_unpack(self.content, _FORMATS[kind], at)) if at else default

    def real(self, slot: int, default: float = 0.0) -> float:
        """A float32."""
        at = self._field(slot)
        return float(_unpack(self.content, "f", at)) if at else default

    def text(self, slot: int) -> str | None:
        """A string; what is not UTF-8 in it is shown as `\N{REPLACEMENT CHARACTER}`."""
        at = self._field(slot)
        return self._text(at) if at else None

    def texts(self, slot: int) -> tuple[str, ...]:
        """A vector of strings."""
        return tuple(self._text(at) for at in self._elements(slot))

    def table(self, slot: int) -> Table | None:
        """A table within this one."""
        at = self._field(slot)
        return self._table(at) if at else None

    def tables(self, slot: int) -> tuple[Table, ...]:
        """A vector of tables."""
        return tuple(self._table(at) for at in self._elements(slot))

    def numbers(self, slot: int, kind: Kind) -> tuple[float, ...]:
        """A vector of numbers."""
        start, count = self._vector(slot)
        layout = f"<{count}{_FORMATS[kind]}"
        self._check(start, struct.calcsize(layout))
        self.budget.take(count)
        return struct.unpack_from(layout, self.content, start)

    def count(self, slot: int) -> int:
        """Length of a vector that is not read."""
        return self._vector(slot)[1]

    def block(self, slot: int) -> tuple[int, int] | None:
        """Where a vector of bytes starts, and its length; None if there is none."""
        start, count = self._vector(slot)
        if not start:
            return None
        self._check(start, count)
        return start, count

    def _field(self, slot: int) -> int:
        """Where a slot's value is, 0 if absent."""
        self.budget.take(1)
        vtable = self.position - _unpack(self.content, "i", self.position)
        if 4 + 2 * slot + 2 > _unpack(self.content, "H", vtable):
            return 0
        offset = _unpack(self.content, "H", vtable + 4 + 2 * slot)
        return self.position + offset if offset else 0

    def _follow(self, at: int) -> int:
        return at + int(_unpack(self.content, "I", at))

    def _table(self, at: int) -> Table:
        self.budget.take(1)
        return Table(self.content, self._follow(at), self.budget)

    def _text(self, at: int) -> str:
        start = self._follow(at)
        length = int(_unpack(self.content, "I", start))
        if length > MAX_TEXT_BYTES:
            raise BrokenFileError(f"it has a string of {length} bytes, allowed are {MAX_TEXT_BYTES}")
        # A long text is paid for by its length: a short file can name one a million times.
        self.budget.take(1 + length // 64)
        self._check(start + 4, length)
        return self.content[start + 4 : start + 4 + length].decode(errors="replace")

    def _vector(self, slot: int) -> tuple[int, int]:
        """Where a vector's elements start and how many there are; zeros if it is absent."""
        at = self._field(slot)
        if not at:
            return 0, 0
        start = self._follow(at)
        return start + 4, int(_unpack(self.content, "I", start))

    def _elements(self, slot: int) -> Iterator[int]:
        start, count = self._vector(slot)
        self._check(start, 4 * count)
        self.budget.take(count)
        return iter(range(start, start + 4 * count, 4))

    def _check(self, start: int, size: int) -> None:
        if start < 0 or start + size > len(self.content):
            raise BrokenFileError(f"it ends at byte {len(self.content)}, before what it points to at byte {start}")


def _unpack(content: bytes, layout: str, at: int) -> int:
    try:
        # A negative position would count from the end.
        if at < 0:
            raise struct.error
        value: int = struct.unpack_from(f"<{layout}", content, at)[0]
    except struct.error:
        raise BrokenFileError(f"it ends at byte {len(content)}, before what it points to at byte {at}") from None
    return value


@dataclass(frozen=True, slots=True)
class Ref:
    """Something already written, to which a table points."""

    offset: int


Value = Ref | tuple[Kind, float]
"""What stands in a slot: a reference, or a number with its type."""


class Writer:
    """Writes tables from the inside out; equal calls give equal bytes."""

    def __init__(self) -> None:
        self._builder = flatbuffers.Builder(1024)

    def text(self, value: str) -> Ref:
        """A string."""
        return Ref(self._builder.CreateString(value))

    def reals(self, values: Sequence[float]) -> Ref:
        """A vector of float32."""
        return self._vector([float(value) for value in values], self._builder.PrependFloat32)

    def list(self, members: Sequence[Ref]) -> Ref:
        """A vector of strings or tables."""
        return self._vector([member.offset for member in members], self._builder.PrependUOffsetTRelative)

    def table(self, slots: Mapping[Any, Value | None]) -> Ref:
        """A table; None leaves its slot out."""
        builder = self._builder
        prepend: dict[str, Callable[[float], None]] = {
            "int8": builder.PrependInt8, "int32": builder.PrependInt32, "int64": builder.PrependInt64,
            "uint8": builder.PrependUint8, "uint32": builder.PrependUint32, "uint64": builder.PrependUint64,
            "float32": builder.PrependFloat32,
        }  # fmt: skip
        builder.StartObject(max(slots) + 1 if slots else 0)
        for slot, value in slots.items():
            if value is None:
                continue
            if isinstance(value, Ref):
                builder.PrependUOffsetTRelative(value.offset)
            else:
                kind, number = value
                prepend[kind](number)
            builder.Slot(slot)
        return Ref(builder.EndObject())

    def finish(self, root: Ref, identifier: bytes) -> bytes:
        """The bytes of the whole, which start with `root`."""
        self._builder.Finish(root.offset, file_identifier=identifier)
        return bytes(self._builder.Output())

    def _vector(self, values: Sequence[float], prepend: Callable[[float], None]) -> Ref:
        self._builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            prepend(value)
        return Ref(self._builder.EndVector())
