from __future__ import annotations

import pytest

from device_bench.lab.devices import DEVICES, lookup, lookup_all, preferred_port
from models.errors import UnknownNameError


def test_a_name_that_is_unknown_gets_the_nearest_one_offered() -> None:
    with pytest.raises(UnknownNameError, match=r"^unknown lab device 'goood'; did you mean good or old\?$"):
        lookup("goood")


def test_devices_come_once_each_in_the_order_of_the_table() -> None:
    assert [spec.name for spec in lookup_all(["old", "good", "old"])] == ["good", "old"]
    assert [spec.name for spec in lookup_all(["good", "all"])] == list(DEVICES)
    assert lookup_all([]) == ()


def test_no_name_escapes_among_others() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown lab device '\.\./x'"):
        lookup_all(["all", "../x"])


def test_ports_differ_and_lie_where_no_adb_server_looks_for_emulators() -> None:
    ports = [preferred_port(spec) for spec in DEVICES.values()]
    assert len(set(ports)) == len(ports)
    assert all(not 5037 <= port <= 5585 and 1024 < port < 32768 for port in ports)


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_is_emulated_exactly_if_its_programs_are_not_the_hosts(name: str) -> None:
    spec = lookup(name)
    assert (spec.cpu is not None) == (spec.architecture == "arm64")
    assert spec.about
