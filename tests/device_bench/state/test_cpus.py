import json
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.state.cpus import POLICIES, Affinity, Cpu, Cpus, read_cpus, resolve_affinity, verify_allowed
from models.errors import DeviceError, UnknownNameError, UsageError
from tests.device_bench.fake_targets import KINDS, ShellTarget, TableTarget, make_root
from tests.device_bench.phone_texts import CPU_FILES


def make_cpus(*speeds: int | None, khz: tuple[int | None, ...] | None = None, first: int = 0) -> Cpus:
    rows = []
    for number, capacity in enumerate(speeds):
        clock = khz[number] if khz else None
        values = {"capacity": capacity, "max_khz": clock}
        missing = {name: "?" for name, value in values.items() if value is None}
        rows.append(Cpu(number=first + number, capacity=capacity, max_khz=clock, missing=missing))
    return Cpus(usable=tuple(rows), offline=(), forbidden=(), missing={})


def files(values: dict[str, str]) -> str:
    return "".join(f"/sys/devices/system/cpu/{path}:{value}\n" for path, value in values.items())


THREE = make_cpus(325, 325, 325, 325, 871, 871, 871, 1024)
UNKNOWN = read_cpus(TableTarget({"files": ""}))


@pytest.fixture(params=KINDS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> ShellTarget:
    return ShellTarget(*make_root(tmp_path, request.param))


# Reading


def test_a_phones_cpus_are_read_in_one_round_trip(shell: ShellTarget) -> None:
    shell.root.phone()
    cpus = read_cpus(shell)
    assert len(shell.scripts) == 1
    assert cpus.clusters == ((0, 1, 2, 3), (4, 5, 6), (7,))
    assert cpus.usable is not None
    assert cpus.usable[7] == Cpu(number=7, capacity=1024, max_khz=2841600, missing={})
    assert (cpus.offline, cpus.forbidden, cpus.measure) == ((), (), "capacity")


def test_cpus_that_are_off_or_forbidden_are_told_and_not_used() -> None:
    text = files({**CPU_FILES, "online": "0-6"})
    cpus = read_cpus(TableTarget({"allowed": "Cpus_allowed_list:\t0-5,7\n", "files": text}))
    assert cpus.clusters == ((0, 1, 2, 3), (4, 5))
    assert cpus.offline == (7,)
    assert cpus.forbidden == (6,)


def test_without_sysfs_the_list_of_allowed_cpus_has_to_do() -> None:
    cpus = read_cpus(TableTarget({"allowed": "Cpus_allowed_list:\t0-1\n", "files": ""}))
    assert cpus.clusters == ((0, 1),)
    assert cpus.usable is not None
    assert cpus.usable[0].missing == {
        "capacity": "no readable cpu_capacity",
        "max_khz": "no readable cpufreq/cpuinfo_max_freq",
    }


def test_a_target_that_tells_nothing_has_no_cpus_and_says_so() -> None:
    assert UNKNOWN.usable is None
    assert UNKNOWN.clusters == ()
    assert UNKNOWN.missing["usable"] == "neither /sys/devices/system/cpu/online nor /proc/self/status tells the CPUs"


def test_lists_that_have_nothing_in_common_are_no_cpus() -> None:
    cpus = read_cpus(TableTarget({"allowed": "Cpus_allowed_list:\t8\n", "files": files({"online": "0-1"})}))
    assert cpus.missing == {"usable": "online: CPUs 0-1, allowed: CPU 8, and none is both"}


@pytest.mark.parametrize("value", ["0", "-5", "fast", "99999999999", "\x1b[2J"])
def test_odd_values_are_unknown_with_their_reason(value: str) -> None:
    cpus = read_cpus(TableTarget({"files": files({"online": "0", "cpu0/cpu_capacity": value})}))
    assert cpus.usable is not None
    assert cpus.usable[0].capacity is None
    assert cpus.usable[0].missing["capacity"].startswith("cpu_capacity is ")


@pytest.mark.parametrize("cpus", [THREE, UNKNOWN, make_cpus(None, None)])
def test_cpus_survive_json(cpus: Cpus) -> None:
    assert Cpus.from_json(json.loads(json.dumps(cpus.to_json()))) == cpus


# Clusters and policies


@pytest.mark.parametrize(
    ("policy", "mask", "numbers"),
    [("all", 0xFF, range(8)), ("big", 0xF0, range(4, 8)), ("prime", 0x80, (7,)), ("little", 0x0F, range(4))],
)
def test_three_clusters_give_four_choices(policy: str, mask: int, numbers: Iterable[int]) -> None:
    affinity = resolve_affinity(THREE, policy, 1)
    assert (affinity.policy, affinity.cpu_mask, affinity.cpus) == (policy, mask, tuple(numbers))


def test_the_rule_names_clusters_and_measure() -> None:
    assert resolve_affinity(THREE, "big", 1).rule == "all but the slowest cluster of 0-3 | 4-6 | 7 by capacity"
    assert resolve_affinity(THREE, "all", 1).rule == "all CPUs that can be used"


def test_none_leaves_it_to_the_scheduler_and_any_number_of_threads() -> None:
    affinity = resolve_affinity(UNKNOWN, "none", 64)
    assert (affinity.cpu_mask, affinity.cpus) == (None, None)
    assert affinity.missing == {"cpu_mask": "the scheduler chooses", "cpus": "the scheduler chooses"}


@pytest.mark.parametrize("policy", ["all", "big", "prime", "little"])
@pytest.mark.parametrize("cpus", [make_cpus(1024, 1024), make_cpus(None, None), make_cpus(None, 1024), make_cpus(5)])
def test_equal_or_unknown_cpus_are_all_taken_by_every_policy(cpus: Cpus, policy: str) -> None:
    affinity = resolve_affinity(cpus, policy, 1)
    assert affinity.cpus == tuple(cpu.number for cpu in cpus.usable or ())
    if policy != "all":
        assert affinity.rule == "no CPU differs from the others in capacity or highest clock, so all are taken"


@pytest.mark.parametrize("capacity", [None, 1024])
def test_where_capacity_does_not_tell_the_highest_clock_does(capacity: int | None) -> None:
    cpus = make_cpus(capacity, capacity, capacity, khz=(1800000, 1800000, 2400000))
    assert cpus.measure == "max_khz"
    assert resolve_affinity(cpus, "big", 1).cpu_mask == 0b100


def test_two_cpus_at_the_top_are_prime_and_big_is_more() -> None:
    cpus = make_cpus(250, 250, 600, 600, 1024, 1024)
    assert resolve_affinity(cpus, "prime", 2).cpu_mask == 0b110000
    assert resolve_affinity(cpus, "big", 2).cpu_mask == 0b111100


def test_cpus_that_are_off_are_mentioned() -> None:
    text = files({**CPU_FILES, "online": "0-6"})
    cpus = read_cpus(TableTarget({"files": text}))
    affinity = resolve_affinity(cpus, "prime", 1)
    assert affinity.cpus == (4, 5, 6)
    assert affinity.rule == "the fastest cluster of 0-3 | 4-6 by capacity; switched off: CPU 7"


@pytest.mark.parametrize("text", ["f0", "F0", "0xf0", "0XF0", "00f0"])
def test_a_mask_is_hexadecimal_and_recorded_in_one_form(text: str) -> None:
    affinity = resolve_affinity(THREE, text, 4)
    assert (affinity.policy, affinity.cpu_mask, affinity.cpus) == ("0xf0", 0xF0, (4, 5, 6, 7))
    assert affinity.rule == "the mask given"


@pytest.mark.parametrize("text", ["0", "0x0", "0000"])
def test_an_empty_mask_is_refused(text: str) -> None:
    with pytest.raises(
        UsageError, match="affinity mask 0 names no CPU; set a bit for each CPU, such as f0 for CPUs 4-7"
    ):
        resolve_affinity(THREE, text, 1)


def test_a_mask_of_cpus_that_are_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="affinity mask 0x180 names CPU 8, which cannot be used now; usable: CPUs 0-7"):
        resolve_affinity(THREE, "180", 1)


@pytest.mark.parametrize("text", ["bigg", "", "4-7", "f0 ", "0x", "-1", "f" * 2000, "f0;reboot", "\x1b[2J", "٣"])
def test_what_is_neither_policy_nor_mask_is_refused(text: str) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown affinity .*or a hexadecimal mask such as f0") as caught:
        resolve_affinity(THREE, text, 1)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 250


def test_a_mask_of_thousands_of_cpus_gives_a_short_error() -> None:
    with pytest.raises(UsageError) as caught:
        resolve_affinity(THREE, "5" * 1024, 1)
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("policy", "threads", "message"),
    [
        ("prime", 2, "2 threads do not fit on CPU 7 of affinity prime; use fewer threads, or another affinity"),
        ("f0", 5, "5 threads do not fit on CPUs 4-7 of affinity 0xf0; use fewer threads, or another affinity"),
    ],
)
def test_more_threads_than_cpus_are_refused(policy: str, threads: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        resolve_affinity(THREE, policy, threads)


@pytest.mark.parametrize("policy", ["all", "big", "f0"])
def test_cpus_nobody_knows_cannot_be_chosen(policy: str) -> None:
    with pytest.raises(UsageError, match=r"CPUs cannot be chosen: neither .* tells the CPUs; use affinity none"):
        resolve_affinity(UNKNOWN, policy, 1)


@given(st.lists(st.sampled_from([None, 160, 325, 871, 1024]), min_size=1, max_size=12), st.integers(0, 70))
def test_no_machine_gives_an_empty_mask_and_clusters_part_the_cpus(speeds: list[int | None], first: int) -> None:
    cpus = make_cpus(*speeds, first=first)
    everyone = {cpu.number for cpu in cpus.usable or ()}
    assert sorted(number for cluster in cpus.clusters for number in cluster) == sorted(everyone)
    masks = {policy: resolve_affinity(cpus, policy, 1).cpu_mask or 0 for policy in POLICIES if policy != "none"}
    assert all(masks.values())
    assert masks["prime"] & ~masks["big"] == 0
    assert masks["big"] & ~masks["all"] == 0
    if len(cpus.clusters) > 1:
        assert masks["little"] ^ masks["big"] == masks["all"]


@pytest.mark.parametrize("policy", ["none", "big", "f0"])
def test_affinity_survives_json(policy: str) -> None:
    affinity = resolve_affinity(THREE, policy, 1)
    assert Affinity.from_json(json.loads(json.dumps(affinity.to_json()))) == affinity


# What the kernel granted


@pytest.mark.parametrize(("text", "mask"), [("4-7\n", 0xF0), ("0-3,7", 0x8F), ("0", 1)])
def test_granted_cpus_pass(text: str, mask: int) -> None:
    verify_allowed(text, mask)


@pytest.mark.parametrize(
    ("text", "granted"), [("4-6", "CPUs 4-6"), ("0-7", "CPUs 0-7"), ("", "no CPU"), ("7", "CPU 7")]
)
def test_other_cpus_than_asked_for_are_an_error(text: str, granted: str) -> None:
    with pytest.raises(
        DeviceError, match=f"asked for CPUs 4-7, the kernel allowed {granted}; .*choose another affinity"
    ) as caught:
        verify_allowed(text, 0xF0)
    assert not caught.value.transient


def test_a_list_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(DeviceError, match=r"cannot be read: '\[2Jall' is no list of CPUs; run without affinity"):
        verify_allowed("\x1b[2Jall", 0xF0)
