"""Fetches Google's runners: whole, of the size and SHA-256 on record, from https alone; resumed where it broke off.

Fetched files are kept in `~/.cache/mobile-deploy-toolchain/runners/<sha256>/`. Settings from the environment:
`DEVICE_BENCH_RUNNER_URL`, the address of a mirror with the same paths as storage.googleapis.com;
`DEVICE_BENCH_RUNNER_LOCK`, another lock file; `XDG_CACHE_HOME`; and Python's own for proxies and certificates.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from device_bench.runners.builds import BASE_URL, Build
from device_bench.runners.download import Limits, download
from device_bench.runners.elf import parse_elf
from device_bench.runners.lock import Locked, load_lock, record
from models.errors import DownloadError, OutputError
from models.files import output_errors, replace_file, sha256_file
from models.worker import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetcher:
    """Where runners come from and where they are kept."""

    base_url: str = BASE_URL
    folder: Path
    lock: Path
    limits: Limits = field(default_factory=Limits)

    def fetch(self, build: Build, report: Report) -> tuple[Path, ...]:
        """The files of a build on this machine, the program first; only what is missing is fetched.

        Raises:
            DownloadError: one cannot be fetched, or is not what is on record.
            UsageError: the address or the lock is none.
            OutputError: the files cannot be written.
        """
        with self._alone():
            return tuple(self._fetch_one(name, build, report) for name in (build.program, *build.libraries))

    def url(self, name: str) -> str:
        """The address of a file."""
        return f"{self.base_url.rstrip('/')}/{name}"

    def _fetch_one(self, name: str, build: Build, report: Report) -> Path:
        locked = load_lock(self.lock).get(name)
        if locked is not None and (kept := self._kept(name, locked)):
            return kept
        partial = self.folder / f"{hashlib.sha256(self.url(name).encode()).hexdigest()[:32]}.partial"
        download(self.url(name), partial, self.limits, report)
        digest, size = sha256_file(partial), partial.stat().st_size
        if locked is not None and digest != locked.sha256:
            partial.unlink()
            raise DownloadError(
                f"{self.url(name)} has sha256 {digest}, but {locked.sha256} is on record since {locked.recorded} in "
                f"{str(self.lock)!r}; remove the entry {name!r} there if you trust the new "
                "file"
            )
        self._refuse_foreign(partial, name, build)
        final = self.folder / digest / posixpath.basename(name)
        with output_errors(final):
            final.parent.mkdir(exist_ok=True)
            partial.chmod(0o755)
            replace_file(partial, final)
        if locked is None:
            today = datetime.now(UTC).date().isoformat()
            record(self.lock, name, Locked(sha256=digest, size_bytes=size, recorded=today))
        return final

    def _kept(self, name: str, locked: Locked) -> Path | None:
        """The file fetched earlier, None if it is not there or not what it was."""
        path = self.folder / locked.sha256 / posixpath.basename(name)
        return path if path.is_file() and sha256_file(path) == locked.sha256 else None

    def _refuse_foreign(self, path: Path, name: str, build: Build) -> None:
        """A login page of a network also comes with status 200; it must not become the record."""
        with path.open("rb") as file:
            start = file.read(64)
        header = parse_elf(start)
        if header is None or header.architecture != build.architecture:
            path.unlink()
            what = header.architecture if header else f"no ELF file, it begins with {start[:16]!r}"
            raise DownloadError(
                f"{self.url(name)} is {what}, not a program for {build.architecture}; look at it in a browser, a proxy "
                "or login page may answer in its place"
            )

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time fetches; the others wait for it and find its files."""
        with output_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def fetcher_from(environment: Mapping[str, str]) -> Fetcher:
    """The settings as environment variables have them.

    Raises:
        OutputError: there is no folder to keep files in.
    """
    cache = environment.get("XDG_CACHE_HOME") or ""
    if not cache.startswith("/"):
        home = environment.get("HOME") or ""
        if not home.startswith("/"):
            raise OutputError("no folder for fetched runners: neither XDG_CACHE_HOME nor HOME is set; set one")
        cache = f"{home}/.cache"
    folder = Path(cache) / "mobile-deploy-toolchain" / "runners"
    return Fetcher(
        base_url=environment.get("DEVICE_BENCH_RUNNER_URL") or BASE_URL,
        folder=folder,
        lock=Path(environment.get("DEVICE_BENCH_RUNNER_LOCK") or folder / "lock.json"),
    )
