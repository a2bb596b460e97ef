"""What tests of devices share."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _one_stub_phone_at_a_time(request: pytest.FixtureRequest) -> Iterator[None]:
    """Stub phones run their commands here, so each sees the others' processes, and rightly takes them for strangers."""
    if not hasattr(request.module, "AdbStub"):
        yield
        return
    with (Path(tempfile.gettempdir()) / f"stub-phone-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
