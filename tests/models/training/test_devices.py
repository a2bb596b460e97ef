from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TeamError
from models.training.devices import Devices
from models.training.team import Team

ADDRESSES = ("a:1", "b:2", "c:3")


def devices(workers: int, here: int, index: int) -> Devices:
    """Several, of which only the number is asked."""
    team = Team(addresses=tuple(f"w{n}:1" for n in range(workers)), index=index)
    strategy: Any = SimpleNamespace(num_replicas_in_sync=workers * here)
    return Devices(strategy, team)


def test_one_device_takes_whole_batches() -> None:
    one = Devices()
    assert (one.alone, one.leads, one.workers) == (True, True, 1)
    share = one.share(np.array([7, 3, 5]))
    assert (share.indices.tolist(), share.counted.tolist()) == ([7, 3, 5], [True] * 3)
    assert (share.sizes, share.batch) == ((3,), 3)


@given(workers=st.integers(1, 4), here=st.integers(1, 3), pictures=st.integers(1, 40))
def test_every_picture_counts_once_and_every_device_has_one(workers: int, here: int, pictures: int) -> None:
    batch = np.random.default_rng(0).permutation(pictures)
    shares = [devices(workers, here, index).share(batch) for index in range(workers)]
    assert np.concatenate([share.indices[share.counted] for share in shares]).tolist() == batch.tolist()
    sizes = [size for share in shares for size in share.sizes]
    assert len(sizes) == workers * here
    assert min(sizes) >= 1
    assert max(sizes) - min(sizes) <= 1
    for share in shares:
        assert len(share.indices) == len(share.counted) == sum(share.sizes)
        assert share.batch == pictures


def test_one_worker_has_nobody_to_add_to() -> None:
    values = np.array([1.5, 2.5])
    assert Devices().total(values) is values
    assert Devices().from_leader(b"state") == b"state"
    Devices().check_alike({"seed": 0})


# TensorFlow 2.21's words, on Linux, of a worker that was killed.
UNHEALTHY = (
    "Collective ops is aborted by: Error reported from /job:worker/task:1: The following tasks are unhealthy "
    "(stopped sending heartbeats):\n/job:worker/replica:0/task:1\nThe tasks have crashed."
)
BROKE = "the connection to the other workers broke (UnavailableError)"


@pytest.mark.parametrize(
    ("text", "who"),
    [
        (
            UNHEALTHY,
            "worker 1 (b:2) died or cannot be reached any more",
        ),
        (
            "remote target /job:worker/replica:0/task:0 and /job:worker/replica:0/task:1",
            "worker 0 (a:1) and worker 1 (b:2) died or cannot be reached any more",
        ),
        ("Error reported from /job:worker/task:2: Socket closed", BROKE),
        ("Socket closed", BROKE),
    ],
    ids=["a worker", "several", "only itself", "nobody"],
)  # fmt: skip
def test_who_was_lost_is_said_with_what_to_do(text: str, who: str) -> None:
    some = Devices(SimpleNamespace(num_replicas_in_sync=3), Team(addresses=ADDRESSES, index=2))
    with pytest.raises(TeamError) as error, some.watched():
        raise tf.errors.UnavailableError(None, None, text)
    again = "start the same command on all workers again: it goes on after the last finished epoch"
    assert str(error.value) == f"{who}; {again}"


def test_alone_an_error_of_tensorflow_stays_what_it_is() -> None:
    with pytest.raises(tf.errors.UnavailableError), Devices().watched():
        raise tf.errors.UnavailableError(None, None, "task:1")
