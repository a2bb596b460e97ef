"""The devices that learn together, by `tf.distribute`: one, or all GPUs of this machine or of several.

Imports TensorFlow.
"""

from __future__ import annotations

import hashlib
import json
import re
import signal
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from models.errors import TeamError, UsageError
from models.training.team import OVERDUE, Team
from models.worker import Progress, Report

STAGE = "workers"
Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Share:
    """The pictures of a batch that are learned from here."""

    indices: Indices
    counted: NDArray[np.bool_]
    """False for a picture that only fills the place of a device for which there is none: it weighs nothing."""
    sizes: tuple[int, ...]
    """How many of them each device of this worker takes, at least 1."""
    batch: int
    """Pictures of the whole batch, on all devices."""


class Devices:
    """One device, unless a strategy says otherwise."""

    def __init__(self, strategy: Any = None, team: Team | None = None) -> None:
        self.strategy = strategy or tf.distribute.get_strategy()
        self.team = team
        self.workers, self.index = (len(team.addresses), team.index) if team else (1, 0)
        self.replicas: int = self.strategy.num_replicas_in_sync

    @property
    def leads(self) -> bool:
        """Whether this worker keeps the files."""
        return self.index == 0

    @property
    def alone(self) -> bool:
        """Whether there is one device only."""
        return self.replicas == 1

    def scope(self) -> AbstractContextManager[Any]:
        """Within it variables are made on all devices."""
        scope: AbstractContextManager[Any] = self.strategy.scope()
        return scope

    def share(self, batch: Indices) -> Share:
        """This worker's part of a batch, cut for its devices; parts differ by one picture at most."""
        here = self.replicas // self.workers
        parts = np.array_split(batch, self.replicas)[self.index * here : (self.index + 1) * here]
        filled = [part if len(part) else batch[:1] for part in parts]
        return Share(
            indices=np.concatenate(filled),
            counted=np.concatenate([np.full(len(f), len(p) > 0) for f, p in zip(filled, parts, strict=True)]),
            sizes=tuple(map(len, filled)),
            batch=len(batch),
        )

    def spread(self, values: NDArray[Any], sizes: tuple[int, ...]) -> Any:
        """Consecutive parts of those sizes, one on each device of this worker."""
        if len(sizes) == 1:
            return tf.convert_to_tensor(values)
        parts = np.split(values, np.cumsum(sizes)[:-1])
        first = self.index * len(sizes)
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tf.convert_to_tensor(parts[context.replica_id_in_sync_group - first])
        )

    def specs(self, *values: NDArray[Any]) -> list[Any]:
        """What `spread` makes of such values, of any sizes."""
        specs = tuple(tf.TensorSpec([None] * value.ndim, value.dtype) for value in values)
        if self.replicas == self.workers:
            return list(specs)
        # A data set tells; it is never read.
        pictures = tf.data.Dataset.from_generator(lambda: iter(()), output_signature=specs)
        return list(self.strategy.distribute_datasets_from_function(lambda _: pictures).element_spec)

    def total(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sum over all workers, on each of them."""
        if self.workers == 1:
            return values
        with tf.device("CPU:0"):
            tensor = tf.convert_to_tensor(values)
        return np.array(self.strategy.reduce("SUM", self._once(tensor), axis=None))

    def _once(self, tensor: Any) -> Any:
        """The tensor on this worker's first device, zeros on its others: a sum over devices is one over workers."""
        here = self.replicas // self.workers
        if here == 1:
            return tensor
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: tensor if context.replica_id_in_sync_group % here == 0 else tf.zeros_like(tensor)
        )

    def from_leader(self, data: bytes) -> bytes:
        """What the leading worker calls this with, on all of them."""
        if self.workers == 1:
            return data
        mine = data if self.index == 0 else b""
        length = int(self.total(np.array([len(mine)], np.int64))[0])
        words = np.zeros(-(-length // 4), np.int32)
        words.view(np.uint8)[: len(mine)] = np.frombuffer(mine, np.uint8)
        # In pieces: a tensor in a message ends at 2 GiB.
        pieces = [self.total(words[start : start + 2**24]) for start in range(0, len(words), 2**24)]
        return np.concatenate(pieces).tobytes()[:length] if pieces else b""

    def check_alike(self, run: Mapping[str, Any]) -> None:
        """Makes sure that all workers are about to train the same.

        Raises:
            UsageError: they are not; says what differs.
        """
        if self.team is None:
            return
        keys = sorted(run)
        mine = np.zeros((self.workers, len(keys), 8), np.int32)
        for number, key in enumerate(keys):
            digest = hashlib.sha256(json.dumps([key, run[key]], sort_keys=True).encode()).digest()
            mine[self.index, number] = np.frombuffer(digest, np.int32)
        rows = self.total(mine)
        for worker in range(1, self.workers):
            differing = [key for key, same in zip(keys, (rows[worker] == rows[0]).all(axis=1), strict=True) if not same]
            if differing:
                raise UsageError(
                    f"{self.team.name(worker)} would train something else than {self.team.name(0)}: different "
                    f"{', '.join(differing)}; give all workers the same command, data and installation"
                )

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Turns the loss of another worker into one sentence.

        Raises:
            TeamError: another worker died, or cannot be reached any more.
        """
        try:
            yield
        except tf.errors.OpError as error:
            if self.team is None:
                raise
            raise TeamError(f"{_lost(self.team, error)}; {_AGAIN}") from error


_AGAIN = "start the same command on all workers again: it goes on after the last finished epoch"


def _lost(team: Team, error: Exception) -> str:
    """Who is gone, as far as TensorFlow knows."""
    found = {int(number) for number in re.findall(r"/job:worker/(?:replica:\d+/)?task:(\d+)", str(error))}
    numbers = sorted(number for number in found - {team.index} if number < len(team.addresses))
    if numbers:
        return f"{team.names(numbers)} died or cannot be reached any more"
    return f"the connection to the other workers broke ({type(error).__name__})"


def open_devices(team: Team | None, report: Report) -> Devices:
    """All GPUs of this machine, or of all machines of a team; the CPU where there is none. First of all of TensorFlow.

    Raises:
        TeamError: a worker did not come in time.
        UsageError: this worker's port is taken.
    """
    if team:
        return _open_team(team, report)
    several = len(tf.config.list_physical_devices("GPU")) > 1
    return Devices(tf.distribute.MirroredStrategy() if several else None)


def _open_team(team: Team, report: Report) -> Devices:
    count = len(team.addresses)

    def tell(missing: list[int]) -> None:
        detail = f"waiting for {team.names(missing)}" if missing else f"all {count} are there"
        report(Progress(stage=STAGE, done=count - len(missing), total=count, detail=detail))

    team.gather(tell)
    # A worker that died since would be waited for without end, and TensorFlow holds Python's lock while it waits: only
    # the system can end this.
    signal.signal(OVERDUE, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, team.patience_s)
    try:
        return Devices(_connect(team), team)
    except (tf.errors.OpError, RuntimeError, ValueError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise TeamError(f"TensorFlow cannot connect the workers: {first}; start all of them again") from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _connect(team: Team) -> Any:
    cluster = tf.train.ClusterSpec({"worker": list(team.addresses)})
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        cluster, task_type="worker", task_id=team.index, rpc_layer="grpc"
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
