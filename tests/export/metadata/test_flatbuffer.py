"""The reader trusts nothing: whatever the bytes, it gives values or says that the file is broken, and soon."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.metadata.flatbuffer import MAX_STEPS, MAX_TEXT_BYTES, Budget, Table, Value, Writer
from models.errors import BrokenFileError

MAGIC = b"TEST"


def written() -> bytes:
    """A table with one value of every kind, and two tables in a vector."""
    writer = Writer()
    inner = [writer.table({0: ("uint32", number)}) for number in (7, 8)]
    slots: dict[int, Value | None] = {
        0: writer.text('a "name"\nof two lines'), 1: writer.reals([1.5, -2.0]), 2: writer.list(inner),
        3: ("int8", -3), 5: ("float32", 0.25), 6: inner[0],
    }  # fmt: skip
    return writer.finish(writer.table(slots), MAGIC)


def test_what_is_written_is_read() -> None:
    root = Table.root(written(), MAGIC)
    assert root.text(0) == 'a "name"\nof two lines'
    assert root.numbers(1, "float32") == (1.5, -2.0)
    assert [table.number(0, "uint32") for table in root.tables(2)] == [7, 8]
    assert (root.number(3, "int8"), root.real(5)) == (-3, 0.25)
    inner = root.table(6)
    assert inner is not None
    assert inner.number(0, "uint32") == 7


def test_absent_slots_give_defaults() -> None:
    root = Table.root(written(), MAGIC)
    for slot in (4, 99):
        assert root.text(slot) is None
        assert root.table(slot) is None
        assert root.block(slot) is None
        assert (root.numbers(slot, "int32"), root.tables(slot), root.texts(slot)) == ((), (), ())
        assert (root.number(slot, "int32", 5), root.real(slot, 0.5), root.count(slot)) == (5, 0.5, 0)


def test_equal_calls_give_equal_bytes() -> None:
    assert written() == written()


def test_another_format_is_named() -> None:
    with pytest.raises(BrokenFileError, match=r"^it has b'TEST' at byte 4, not b'TFL3'$"):
        Table.root(written(), b"TFL3")


def read_all(content: bytes) -> None:
    root = Table.root(content, MAGIC)
    for slot in range(8):
        root.text(slot)
        root.numbers(slot, "float32")
        root.texts(slot)
        root.block(slot)
        for table in (root.table(slot), *root.tables(slot)):
            if table:
                table.number(0, "uint64")


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(written())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(content[: data.draw(st.integers(0, len(content)))])
    for damaged in (bytes(content), cut):
        try:
            read_all(damaged)
        except BrokenFileError:
            continue


def test_a_short_file_that_repeats_itself_for_ever_is_refused() -> None:
    # A vector of a million references to one table, each of which would be read again.
    count = 1_000_000
    vector = struct.pack("<I", count) + struct.pack("<I", 0) * count
    # Root at 16; its vtable at 8 has one slot, which holds the offset of the vector.
    head = struct.pack("<I", 16) + MAGIC + struct.pack("<HHHH", 6, 8, 4, 0) + struct.pack("<iI", 8, 4)
    content = head + vector
    root = Table.root(content, MAGIC)
    assert root.count(0) == count
    root.budget.take(MAX_STEPS - count)
    with pytest.raises(BrokenFileError, match=f"more than {MAX_STEPS} parts"):
        root.tables(0)


def test_counts_and_texts_larger_than_the_file_are_refused() -> None:
    head = struct.pack("<I", 16) + MAGIC + struct.pack("<HHHH", 6, 8, 4, 0) + struct.pack("<iI", 8, 4)
    root = Table.root(head + struct.pack("<I", 2**32 - 1), MAGIC)
    for read in (root.tables, root.texts):
        with pytest.raises(BrokenFileError, match="it ends at byte 28, before what it points to"):
            read(0)
    with pytest.raises(BrokenFileError):
        root.numbers(0, "float32")
    with pytest.raises(BrokenFileError, match=f"a string of 4294967295 bytes, allowed are {MAX_TEXT_BYTES}"):
        root.text(0)


def test_a_long_text_costs_its_length() -> None:
    budget = Budget(steps=100)
    writer = Writer()
    content = writer.finish(writer.table({0: writer.text("x" * 64 * 200)}), MAGIC)
    with pytest.raises(BrokenFileError, match="parts"):
        Table(content, Table.root(content, MAGIC).position, budget).text(0)
