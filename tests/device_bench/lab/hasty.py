"""The command line with a tenth of its patience: what takes minutes against a silent device takes seconds in tests."""

from __future__ import annotations

from device_bench import __main__ as command_line
from device_bench.adb import client, device_shell
from device_bench.case import RunSettings
from device_bench.measuring import measure
from models.cli import run


def main() -> int:
    """As `python -m device_bench`."""
    shortened = (
        (RunSettings, "timeout_s", property(lambda settings: 2 * settings.max_s + 4)),
        (measure, "_PATIENCE_S", 3.0),
        (device_shell, "_RECOVERY_PATIENCE_S", 2.0),
        (device_shell, "_END_TIMEOUT_S", 2.0),
        (client, "_PROBE_TIMEOUT_S", 2.0),
        (client, "_CONNECT_TIMEOUT_S", 3.0),
    )
    for owner, name, value in shortened:
        assert hasattr(owner, name)
        setattr(owner, name, value)
    return command_line.main()


if __name__ == "__main__":
    run(main)
