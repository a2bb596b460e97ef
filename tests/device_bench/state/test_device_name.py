"""What a person calls a device."""

import pytest

from device_bench.state.device_name import device_name


@pytest.mark.parametrize(
    ("facts", "name"),
    [
        ({"manufacturer": "Google", "model": "Pixel 8", "cpu_name": "Cortex-X3"}, "Google Pixel 8"),
        ({"manufacturer": "OnePlus", "model": "ONEPLUS A6003"}, "ONEPLUS A6003"),
        ({"manufacturer": None, "model": None, "cpu_name": "AMD EPYC", "machine": "x86_64"}, "AMD EPYC"),
        ({"machine": "aarch64"}, "aarch64"),
        ({"manufacturer": "Google", "model": ""}, None),
        ({}, None),
        ({"manufacturer": 7, "model": [1]}, "7 [1]"),
    ],
)
def test_a_device_is_called_by_maker_and_model_or_by_its_processor(facts: dict[str, object], name: str | None) -> None:
    assert device_name(facts) == name
