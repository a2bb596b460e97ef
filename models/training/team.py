"""`--workers`: the processes that train one network together, usually one on each machine. Standard library only."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from models.errors import TeamError, UsageError

PATIENCE_S = 300.0
"""Until all workers have come: people start them by hand, one after the other."""
PROBE_S = 2.0
OVERDUE = signal.SIGALRM
"""Ends a worker whose TensorFlow waits for another one that will not come."""
_HOST = re.compile(r"[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]")
_EXAMPLE = "--workers 10.0.0.5:7000,10.0.0.6:7000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Team:
    """All workers of a training, seen from one of them."""

    addresses: tuple[str, ...]
    """`host:port` of each, in the same order on all of them."""
    index: int
    """Which of them this process is; 0 leads: it keeps all files."""
    patience_s: float = PATIENCE_S
    """How long it waits for the others at the start."""

    @property
    def leads(self) -> bool:
        """Whether this worker keeps the files."""
        return self.index == 0

    def name(self, number: int) -> str:
        """What a worker is called in messages."""
        return f"worker {number} ({self.addresses[number]})"

    def names(self, numbers: list[int]) -> str:
        """What several are called."""
        return " and ".join(map(self.name, numbers))

    def gather(self, tell: Callable[[list[int]], object]) -> None:
        """Waits until all other workers listen at their addresses, and listens meanwhile; TensorFlow does afterwards.

        Args:
            tell: Takes the numbers of those that are missing.

        Raises:
            TeamError: not all came in time.
            UsageError: this worker's port cannot be had.
        """
        end_s = time.monotonic() + self.patience_s
        with self._listening():
            tell(missing := self.silent())
            while missing:
                if time.monotonic() > end_s:
                    raise self.absent(missing)
                time.sleep(0.5)
                tell(missing := self.silent())

    def _listening(self) -> socket.socket:
        port = int(self.addresses[self.index].rpartition(":")[2])
        try:
            if socket.has_dualstack_ipv6():
                return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
            return socket.create_server(("", port))
        except OSError as error:
            raise UsageError(
                f"{self.name(self.index)} cannot listen at port {port} here: {os.strerror(error.errno or 0)}; "
                "give it another port, in the command of every worker"
            ) from error

    def absent(self, missing: list[int]) -> TeamError:
        """What to say of workers that did not come."""
        return TeamError(
            f"{self.names(missing) or 'another worker'} did not come within {self.patience_s:g} s; start the same "
            "command there with its own --worker-index, and let its port through the firewall"
        )

    def silent(self) -> list[int]:
        """Numbers of the other workers that accept no connection now."""
        others = [number for number in range(len(self.addresses)) if number != self.index]
        with ThreadPoolExecutor(len(others)) as pool:
            answers = pool.map(_answers, [self.addresses[number] for number in others])
        return [number for number, answered in zip(others, answers, strict=True) if not answered]


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=PROBE_S):
            return True
    except OSError:
        return False


def find_team(
    workers: tuple[str, ...], index: int | None, environment: Mapping[str, str], *, patience_s: float = PATIENCE_S
) -> Team | None:
    """The team of a command line, else that of TensorFlow's variable TF_CONFIG; None for a training alone.

    Args:
        workers: `host:port` of each.
        index: Which of them this is.
        environment: Of the process.
        patience_s: How long to wait for the others.

    Raises:
        UsageError: an address or a number that cannot be, only one of the two options, a TF_CONFIG of another kind.
    """
    source = "--workers"
    if not workers and index is None:
        source, (workers, index) = "TF_CONFIG", _from_environment(environment.get("TF_CONFIG", ""))
        if not workers:
            return None
    if not workers:
        raise UsageError(f"--worker-index {index} needs the addresses of all workers as well: {_EXAMPLE}")
    _check_addresses(source, workers)
    if index is None:
        raise UsageError(f"--worker-index is missing: say which of the {len(workers)} workers this is, from 0")
    if not 0 <= index < len(workers):
        raise UsageError(f"--worker-index {index} is none of the {len(workers)} workers; they are counted from 0")
    return Team(addresses=workers, index=index, patience_s=patience_s) if len(workers) > 1 else None


def _check_addresses(source: str, workers: tuple[str, ...]) -> None:
    for address in workers:
        host, _, port = address.rpartition(":")
        if not (_HOST.fullmatch(host) and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            raise UsageError(f"{source}: {address!r} is no host:port; give one for each worker, as in {_EXAMPLE}")
    twice = [address for address in workers if workers.count(address) > 1]
    if twice:
        raise UsageError(f"{source}: {twice[0]!r} is there twice; every worker needs an address of its own")


def _from_environment(text: str) -> tuple[tuple[str, ...], int | None]:
    """Addresses and number as Kubeflow and others set them for TensorFlow."""
    if not text.strip():
        return (), None
    remedy = "correct it or unset it, or use --workers"
    try:
        config = json.loads(text)
        workers = tuple(map(str, config["cluster"]["worker"]))
        kind, index = str(config["task"]["type"]), int(config["task"]["index"])
        others = sorted(set(config["cluster"]) - {"worker"})
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"TF_CONFIG cannot be read ({error!r}); {remedy}") from error
    if kind != "worker" or others:
        raise UsageError(
            f"TF_CONFIG has tasks of the kind {', '.join(others) or repr(kind)}; here all are workers; {remedy}"
        )
    return workers, index
