"""The same pictures in any order of the set."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from export.quantization.pictures import some_pictures
from tests.export.quantization.graphs import random_pictures


@given(st.integers(1, 12), st.integers(1, 14), st.booleans())
def test_any_order_gives_the_same_pictures(images: int, count: int, from_end: bool) -> None:
    pictures = random_pictures(images)
    order = np.random.default_rng(count).permutation(images)
    found = some_pictures(pictures, count, from_end=from_end)
    assert len(found) == min(images, count)
    assert np.array_equal(found, some_pictures(pictures[order], count, from_end=from_end))


def test_either_end_gives_others_as_far_as_there_are_enough() -> None:
    pictures = random_pictures(10)
    first, last = ({picture.tobytes() for picture in some_pictures(pictures, 5, from_end=end)} for end in (False, True))
    assert not first & last
    assert len(first | last) == 10
