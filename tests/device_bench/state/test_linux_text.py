import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.state.linux_text import (
    cpu_name,
    cpu_parts,
    format_cpu_list,
    name_cpus,
    parse_cpu_list,
    parse_cpuinfo,
    parse_meminfo,
    parse_os_release,
    parse_path_lines,
    parse_zones,
)
from tests.device_bench.phone_texts import CPUINFO, MEMINFO


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("0-3,7\n", (0, 1, 2, 3, 7)), ("5", (5,)), ("", ()), ("\n", ()), ("3,1-2", (1, 2, 3)), ("0-0", (0,))],
)
def test_cpu_lists_are_read(text: str, numbers: Iterable[int]) -> None:
    assert parse_cpu_list(text) == numbers


@pytest.mark.parametrize("text", ["0-99999999999", "4096", "3-1", "a", "0,,1", "0x3", "-1", "1-", "1 2", "\x1b[2J"])
def test_other_texts_are_no_cpu_lists(text: str) -> None:
    with pytest.raises(ValueError, match="is no list of CPUs"):
        parse_cpu_list(text)


@given(st.sets(st.integers(0, 4095), max_size=40))
def test_cpu_lists_survive_printing(numbers: Iterable[int]) -> None:
    assert parse_cpu_list(format_cpu_list(tuple(sorted(numbers)))) == tuple(sorted(numbers))


def test_cpu_lists_are_printed_as_the_kernel_does() -> None:
    assert format_cpu_list((0, 1, 2, 3, 7)) == "0-3,7"
    assert format_cpu_list((0, 2)) == "0,2"
    assert format_cpu_list(()) == ""
    assert [name_cpus(numbers) for numbers in ((), (7,), (0, 1))] == ["no CPU", "CPU 7", "CPUs 0-1"]


def test_the_first_line_of_a_file_counts_and_noise_does_not() -> None:
    text = "/sys/a:1\n/sys/a:2\ngrep: /sys/b: Permission denied\n/sys/c:\x1b[2Jx\n/sys/d:a:b\n"
    assert parse_path_lines(text) == {"/sys/a": "1", "/sys/c": "[2Jx", "/sys/d": "a:b"}


def test_memory_is_in_bytes() -> None:
    assert parse_meminfo(MEMINFO, "MemTotal") == 7638836 * 1024
    assert parse_meminfo(MEMINFO, "MemAvailable") == 3518580 * 1024
    assert parse_meminfo(MEMINFO, "Available") is None
    assert parse_meminfo("MemTotal: lots\n", "MemTotal") is None


def test_arm_designs_have_their_names() -> None:
    blocks = parse_cpuinfo(CPUINFO)
    assert len(blocks) == 8
    assert cpu_parts(blocks) == ("0x41:0xd05", "0x41:0xd41", "0x41:0xd44")
    assert cpu_name(blocks) == "Cortex-A55, Cortex-A78, Cortex-X1"


def test_designs_of_other_makers_are_told_by_number_only() -> None:
    blocks = parse_cpuinfo(CPUINFO.replace("0x41", "0x51"))
    assert cpu_parts(blocks)[0] == "0x51:0xd05"
    assert cpu_name(blocks) is None


def test_a_design_newer_than_the_table_hides_no_other_name_behind_half_a_list() -> None:
    assert cpu_name(parse_cpuinfo(CPUINFO.replace("0xd44", "0xfff"))) is None


def test_a_pc_has_its_model_name() -> None:
    block = "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\nflags\t\t: fpu avx2\n\n"
    blocks = parse_cpuinfo(block * 2)
    assert cpu_name(blocks) == "Some CPU @ 2.0GHz"
    assert cpu_parts(blocks) == ()


def test_os_release_is_unquoted_and_harmless() -> None:
    text = 'NAME="Debian GNU/Linux"\nVERSION_ID=\'13\'\n# comment\nEVIL="\x1b[2J$(reboot)"\n'
    assert parse_os_release(text) == {"NAME": "Debian GNU/Linux", "VERSION_ID": "13", "EVIL": "[2J$(reboot)"}


@pytest.mark.parametrize(
    ("text", "celsius"),
    [
        ("48312", 48.312), ("1501", 1.501), ("312", 31.2), ("151", 15.1), ("999", 99.9), ("48", 48.0), ("150", 150.0),
        ("0", None), ("1200", None), ("-274000", None), ("-48", None), ("999999", None), ("cold", None), ("", None),
    ],
)  # fmt: skip
def test_each_unit_of_a_zone_is_taken_where_the_others_are_impossible(text: str, celsius: float | None) -> None:
    zones = parse_zones({"/z/thermal_zone0/type": "cpu-thermal", "/z/thermal_zone0/temp": text})
    assert [(zone.name, zone.kind, zone.celsius) for zone in zones] == (
        [] if celsius is None else [("cpu-thermal", "zone", celsius)]
    )


def test_a_zone_without_a_type_bears_its_folders_name_and_one_without_temperature_is_left_out() -> None:
    zones = parse_zones({"/z/thermal_zone3/temp": "40000", "/z/thermal_zone4/type": "gpu"})
    assert [zone.name for zone in zones] == ["thermal_zone3"]


@given(st.text(max_size=400))
def test_no_text_makes_a_parser_fail(text: str) -> None:
    parse_path_lines(text)
    cpu_name(parse_cpuinfo(text))
    parse_os_release(text)
    parse_meminfo(text, "MemTotal")


@pytest.mark.parametrize("text", ["1 ", " 1 1 1 ", "a:", "processor:1\n\n", "\n", "MemTotal:" + " "])
def test_half_a_megabyte_takes_no_time(text: str) -> None:
    started = time.process_time()
    long = text * (500_000 // len(text))
    parse_meminfo(long, "MemTotal")
    parse_cpuinfo(long)
    parse_path_lines(long)
    assert time.process_time() - started < 5
