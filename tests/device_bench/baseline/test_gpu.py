"""What nvidia-smi tells, played by a stub on PATH."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.baseline.gpu import choose_gpu, parse_rows, read_gpus
from models.errors import DeviceError, UsageError

UUIDS = ("GPU-11111111-aaaa", "GPU-22222222-bbbb")
ROW = "{index}, {uuid}, NVIDIA T4, 550.54.15, P0, 15360, 512, 7, 41, 28.50, 70.00, 585, 5000, 1590, 5001"
ROWS = "".join(ROW.format(index=index, uuid=uuid) + "\n" for index, uuid in enumerate(UUIDS))


def smi(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, rows: str = ROWS, events: str = "0, 0x24\n1, 0x1\n",
    field: str = "clocks_event_reasons", apps: str = f"{UUIDS[0]}, 77\n", code: int = 0,
) -> None:  # fmt: skip
    """A stub nvidia-smi that knows the clocks' reasons under the name `field`."""
    program = folder / "nvidia-smi"
    program.write_text(
        f"#!/bin/sh\n[ {code} = 0 ] || {{ echo 'NVIDIA-SMI has failed\033[31m'; exit {code}; }}\ncase $1 in\n"
        f"*{field}.active) cat <<'X'\n{events}X\n;;\n"
        "*_reasons.active) echo 'Field is not a valid field to query.'; exit 2;;\n"
        f"*compute-apps*) cat <<'X'\n{apps}X\n;;\n"
        f"*) cat <<'X'\n{rows}X\n;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")


def test_a_gpu_is_told_in_our_units(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, monkeypatch)
    first, second = read_gpus()
    assert (first.name, first.driver_version, first.pstate) == ("NVIDIA T4", "550.54.15", "P0")
    assert first.memory_total_bytes == 15360 * 2**20
    assert first.utilization == pytest.approx(0.07)
    assert (first.temperature_c, first.power_w, first.power_limit_w) == (41, 28.5, 70)
    assert (first.sm_mhz, first.sm_max_mhz, first.memory_mhz, first.memory_max_mhz) == (585, 1590, 5000, 5001)
    assert first.clock_reasons == ("software power cap", "software thermal slowdown")
    assert (first.slowed, second.slowed) == (True, False)
    assert (first.other_processes, second.other_processes) == (1, 0)
    assert first.missing == {}


def test_older_drivers_call_the_reasons_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, monkeypatch, field="clocks_throttle_reasons", events="0, 0x8\n1, 0x200\n")
    first, second = read_gpus()
    assert first.clock_reasons == ("hardware slowdown",)
    assert second.clock_reasons == ("unknown 0x200",)


def test_what_a_gpu_does_not_tell_is_none_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ROW.format(index=0, uuid=UUIDS[0]).replace("28.50", "[N/A]").replace("41", "nan") + "\n"
    smi(tmp_path, monkeypatch, rows=rows, field="no_such")
    (gpu,) = read_gpus()
    assert (gpu.power_w, gpu.temperature_c, gpu.clock_reasons) == (None, None, None)
    assert gpu.missing["power_w"] == "nvidia-smi says '[N/A]'"
    assert gpu.missing["temperature_c"] == "nvidia-smi says 'nan'"
    assert gpu.missing["clock_reasons"] == "nvidia-smi does not tell"


def test_a_gpu_is_chosen_by_index_and_shown_by_its_uuid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, monkeypatch)
    chosen = choose_gpu(1)
    assert chosen.state is not None
    assert chosen.state.index == 1
    assert chosen.environment == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": UUIDS[1]}
    assert choose_gpu(None).environment["CUDA_VISIBLE_DEVICES"] == UUIDS[0]
    with pytest.raises(UsageError, match=r"there is no GPU 7; give one of 0 \(NVIDIA T4\), 1 \(NVIDIA T4\) with"):
        choose_gpu(7)


def test_a_driver_that_fails_ends_only_who_asked_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    smi(tmp_path, monkeypatch, code=9)
    with pytest.raises(DeviceError, match=r"nvidia-smi failed \(exit code 9\): NVIDIA-SMI has failed \[31m; mend"):
        choose_gpu(0)
    chosen = choose_gpu(None)
    assert chosen.state is None
    assert chosen.missing is not None
    assert "mend the driver" in chosen.missing


def test_without_nvidia_smi_an_index_goes_to_the_runtimes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert choose_gpu(None).environment == {}
    assert choose_gpu(2).environment == {"CUDA_VISIBLE_DEVICES": "2", "HIP_VISIBLE_DEVICES": "2"}
    with pytest.raises(DeviceError, match="there is no nvidia-smi"):
        read_gpus()


@pytest.mark.parametrize("rows", ["", "No devices were found\n", ROWS.replace("0, GPU", "x, GPU")])
def test_other_answers_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: str) -> None:
    smi(tmp_path, monkeypatch, rows=rows)
    with pytest.raises(DeviceError, match="nvidia-smi"):
        read_gpus()


@given(st.text())
def test_any_answer_is_rows_of_printable_cells_or_an_error(text: str) -> None:
    with suppress(DeviceError):
        assert all(len(row) == 2 and "".join(row).isprintable() for row in parse_rows(text, 2))
