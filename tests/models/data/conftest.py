"""Nothing here touches the cache of whoever runs the tests."""

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache home"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "mobile-deploy-toolchain" / "data"
