"""A target's CPUs, and which of them a benchmark may use.

Clusters are CPUs of equal speed, told by `cpu_capacity` or else by the highest clock. `prime` is the fastest cluster,
`little` the slowest, `big` all but the slowest. That is LiteRT's own rule for big (big_little_affinity.cc) without its
two special cases: it takes only the top cluster if that has exactly two CPUs (here that is `prime`, so the two names
stay different choices), and counts CPUs of one speed as little if they execute in order. Where all CPUs are equal, each
policy means all of them: a mask is never empty.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from device_bench.result import check_reasons
from device_bench.state.linux_text import format_cpu_list, name_cpus, parse_cpu_list, parse_path_lines
from device_bench.state.questions import ask, clean
from device_bench.target import Target
from models.errors import DeviceError, UnknownNameError, UsageError

POLICIES = ("none", "all", "big", "prime", "little")

_ROOT = "/sys/devices/system/cpu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpu:
    """One CPU that is switched on and open to us."""

    number: int
    capacity: int | None
    """Of the kernel's scheduler, 0..1024, at the highest clock."""
    max_khz: int | None
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cpus:
    """The CPUs that a program of ours can run on, in ascending order."""

    usable: tuple[Cpu, ...] | None
    """Online, and allowed to the shell; never empty."""
    offline: tuple[int, ...]
    """Present but switched off now; phones do that to save power."""
    forbidden: tuple[int, ...]
    """Online but not allowed to our processes (a cpuset)."""
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)

    @property
    def measure(self) -> str | None:
        """By what clusters are told: capacity, max_khz, or None if nothing tells CPUs apart."""
        for name in ("capacity", "max_khz"):
            values = {getattr(cpu, name) for cpu in self.usable or ()}
            if len(values) > 1 and None not in values:
                return name
        return None

    @property
    def clusters(self) -> tuple[tuple[int, ...], ...]:
        """CPU numbers of each cluster, the slowest cluster first."""
        groups: dict[int, list[int]] = {}
        for cpu in self.usable or ():
            groups.setdefault(getattr(cpu, self.measure) if self.measure else 0, []).append(cpu.number)
        return tuple(tuple(groups[speed]) for speed in sorted(groups))

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        usable = None if self.usable is None else [asdict(cpu) for cpu in self.usable]
        lists = {"offline": list(self.offline), "forbidden": list(self.forbidden)}
        return {"usable": usable, **lists, "missing": dict(self.missing)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Cpus:
        """Value from `to_json`'s form."""
        usable = value["usable"]
        return cls(
            usable=None if usable is None else tuple(Cpu(**cpu) for cpu in usable),
            offline=tuple(value["offline"]),
            forbidden=tuple(value["forbidden"]),
            missing=value["missing"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Affinity:
    """A policy made concrete on one target."""

    policy: str
    """One of `POLICIES`, or the mask itself as `0xf0`."""
    cpu_mask: int | None
    """Bit n for CPU n, never 0; None leaves the choice to the scheduler."""
    cpus: tuple[int, ...] | None
    """The same as numbers."""
    rule: str
    """How the policy led to these CPUs."""
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return {**asdict(self), "cpus": None if self.cpus is None else list(self.cpus)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Affinity:
        """Value from `to_json`'s form."""
        return cls(**{**value, "cpus": None if value["cpus"] is None else tuple(value["cpus"])})


def read_cpus(target: Target) -> Cpus:
    """The CPUs of a target, in one round trip.

    Raises:
        DeviceError: the target did not answer.
    """
    files = f"{_ROOT}/online {_ROOT}/present {_ROOT}/cpu[0-9]*/cpu_capacity {_ROOT}/cpu[0-9]*/cpufreq/cpuinfo_max_freq"
    answers = ask(
        target,
        # grep's own line, which it inherits from the shell: that is what our programs may use, too.
        {"allowed": "grep Cpus_allowed_list /proc/self/status", "files": f"grep . /dev/null {files}; exit 0"},
    )
    paths = parse_path_lines(answers["files"].text)
    online, present = (_numbers(paths.get(f"{_ROOT}/{name}")) for name in ("online", "present"))
    allowed = _numbers(answers["allowed"].text.partition(":")[2])
    numbers = set(online or allowed) & set(allowed or online)
    reason = f"neither {_ROOT}/online nor /proc/self/status tells the CPUs"
    if online and allowed:
        reason = f"online: {name_cpus(online)}, allowed: {name_cpus(allowed)}, and none is both"
    return Cpus(
        usable=tuple(_cpu(number, paths) for number in sorted(numbers)) or None,
        offline=tuple(sorted(set(present) - set(online))) if online else (),
        forbidden=tuple(sorted(set(online) - set(allowed))) if allowed else (),
        missing={} if numbers else {"usable": reason},
    )


def resolve_affinity(cpus: Cpus, policy: str, threads: int) -> Affinity:
    """The CPUs that a policy means on a target.

    Args:
        cpus: Of the target.
        policy: One of `POLICIES`, or a hexadecimal mask (`f0`, `0xf0`).
        threads: Of the benchmark; they must find room in a mask.

    Raises:
        UnknownNameError: no such policy, and no mask either.
        UsageError: a mask that is 0 or names CPUs that cannot be used, more threads than CPUs in it, or a target that
            does not tell its CPUs.
    """
    if policy == "none":
        reason = "the scheduler chooses"
        missing = dict.fromkeys(("cpu_mask", "cpus"), reason)
        return Affinity(policy=policy, cpu_mask=None, cpus=None, rule=reason, missing=missing)
    chosen = _named(cpus, policy) if policy in POLICIES else _masked(cpus, policy)
    if threads > len(chosen.cpus or ()):
        raise UsageError(
            f"{threads} threads do not fit on {name_cpus(chosen.cpus or ())} of affinity {chosen.policy}; use fewer"
            " threads, or another affinity"
        )
    return chosen


def verify_allowed(allowed_cpus: str, mask: int) -> None:
    """Nothing if the kernel granted exactly the CPUs of `mask`.

    Args:
        allowed_cpus: `Cpus_allowed_list` of the process (`4-7`).
        mask: What was asked for.

    Raises:
        DeviceError: other CPUs, or a list that cannot be read (stable).
    """
    try:
        granted = parse_cpu_list(allowed_cpus)
    except ValueError as error:
        raise DeviceError(f"the kernel's list of allowed CPUs cannot be read: {error}; run without affinity") from None
    wanted = _bits(mask)
    if granted != wanted:
        raise DeviceError(
            f"asked for {name_cpus(wanted)}, the kernel allowed {name_cpus(granted)};"
            " a CPU may be switched off or kept for other processes: choose another affinity, or none"
        )


def _named(cpus: Cpus, policy: str) -> Affinity:
    clusters = _known(cpus)
    chosen = {"all": clusters, "big": clusters[1:] or clusters, "prime": clusters[-1:], "little": clusters[:1]}[policy]
    if policy == "all":
        rule = "all CPUs that can be used"
    elif len(clusters) == 1:
        rule = "no CPU differs from the others in capacity or highest clock, so all are taken"
    else:
        words = {"big": "all but the slowest cluster", "prime": "the fastest cluster", "little": "the slowest cluster"}
        rule = f"{words[policy]} of {' | '.join(format_cpu_list(one) for one in clusters)} by {cpus.measure}"
    if cpus.offline and policy != "all":
        rule += f"; switched off: {name_cpus(cpus.offline)}"
    return _affinity(policy, tuple(sorted(number for cluster in chosen for number in cluster)), rule)


def _masked(cpus: Cpus, text: str) -> Affinity:
    if not re.fullmatch(r"(0[xX])?[0-9a-fA-F]{1,1024}", text):
        raise UnknownNameError("affinity", clean(text, longest=60), POLICIES, see="or a hexadecimal mask such as f0")
    mask = int(text, 16)
    if mask == 0:
        raise UsageError("affinity mask 0 names no CPU; set a bit for each CPU, such as f0 for CPUs 4-7")
    usable = sorted(number for cluster in _known(cpus) for number in cluster)
    wrong = tuple(number for number in _bits(mask) if number not in usable)
    if wrong:
        raise UsageError(
            f"affinity mask {clean(f'{mask:#x}', longest=40)} names {clean(name_cpus(wrong), longest=40)}, which"
            f" cannot be used now; usable: {name_cpus(tuple(usable))}"
        )
    return _affinity(f"{mask:#x}", _bits(mask), "the mask given")


def _affinity(policy: str, numbers: tuple[int, ...], rule: str) -> Affinity:
    mask = sum(1 << number for number in numbers)
    return Affinity(policy=policy, cpu_mask=mask, cpus=numbers, rule=rule, missing={})


def _known(cpus: Cpus) -> tuple[tuple[int, ...], ...]:
    if cpus.usable is None:
        raise UsageError(f"CPUs cannot be chosen: {cpus.missing['usable']}; use affinity none")
    return cpus.clusters


def _cpu(number: int, paths: Mapping[str, str]) -> Cpu:
    values: dict[str, int | None] = {}
    missing = {}
    for name, file in (("capacity", "cpu_capacity"), ("max_khz", "cpufreq/cpuinfo_max_freq")):
        text = paths.get(f"{_ROOT}/cpu{number}/{file}", "")
        values[name] = int(text) if re.fullmatch(r"[1-9][0-9]{0,8}", text) else None
        if values[name] is None:
            missing[name] = f"{file} is {text!r}" if text else f"no readable {file}"
    return Cpu(number=number, capacity=values["capacity"], max_khz=values["max_khz"], missing=missing)


def _numbers(text: str | None) -> tuple[int, ...]:
    try:
        return parse_cpu_list(text or "")
    except ValueError:
        return ()


def _bits(mask: int) -> tuple[int, ...]:
    return tuple(number for number in range(mask.bit_length()) if mask >> number & 1)
