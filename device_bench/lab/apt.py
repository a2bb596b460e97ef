"""A private apt: fetches and unpacks Debian packages of any suite and architecture, and leaves the host's alone.

Everything is checked against Debian's signatures, with the keys of the package debian-archive-keyring.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from device_bench.lab.programs import Programs
from models.errors import LabError
from models.files import sha256_file

KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
MIRROR_VARIABLE = "LAB_DEBIAN_MIRROR"
# An archive that carries Debian's own suites carries all of them; the security archive does not.
_RELEASE = re.compile(r"^'(?P<mirror>[^']+?)/?/dists/(?:bookworm|trixie|forky|sid|testing|unstable|stable)/InRelease'")
# Hooks are for the host's own packages.
_NO_HOOKS = "".join(
    f"#clear {name};\n"
    for name in ("APT::Update::Post-Invoke", "APT::Update::Post-Invoke-Success", "DPkg::Post-Invoke")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianFile:
    """A file from Debian that went into the archive."""

    name: str
    suite: str
    sha256: str


def debian_mirror(programs: Programs) -> str:
    """The Debian mirror this host is configured with, or LAB_DEBIAN_MIRROR.

    Raises:
        LabError: neither names one.
    """
    given = os.environ.get(MIRROR_VARIABLE, "").strip()
    if given:
        if not re.fullmatch(r"(https?|file)://[\w.~:/@%+\[\]-]+", given):
            raise LabError(f"{MIRROR_VARIABLE}={given!r} is no address of a mirror; allowed are http, https and file")
        return given.rstrip("/")
    # Lists nothing but addresses, and needs no list to have been fetched.
    printed = programs.run(("apt-get", "update", "--print-uris"), to="read the configuration of apt")
    for line in printed.splitlines():
        if found := _RELEASE.match(line):
            return found["mirror"]
    raise LabError(
        f"apt on this host is configured with no Debian mirror; name one: {MIRROR_VARIABLE}=http://… make lab"
    )


class Apt:
    """The packages of one suite, for one or more architectures, in a folder of its own."""

    def __init__(self, programs: Programs, folder: Path, mirror: str, suite: str, architectures: Sequence[str]) -> None:
        self._programs = programs
        self._folder = folder
        self._suite = suite
        for name in ("lists/partial", "archives/partial", "source"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        sources = "".join(f"{kind} [signed-by={KEYRING}] {mirror} {suite} main\n" for kind in ("deb", "deb-src"))
        (folder / "sources.list").write_text(sources, "utf-8")
        options = {
            "Dir::Etc::SourceList": folder / "sources.list",
            "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null",
            "Dir::Etc::PreferencesParts": "/dev/null",
            "Dir::State": folder,
            "Dir::State::Lists": folder / "lists",
            "Dir::State::Status": folder / "status",
            "Dir::Cache": folder,
            "Dir::Cache::Archives": folder / "archives",
            "Dir::Log": folder,
            "APT::Architecture": architectures[0],
            "APT::Architectures": ",".join(architectures),
            "APT::Install-Recommends": "false",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
            "Acquire::Retries": "3",
        }
        settings = "".join(f'{name} "{value}";\n' for name, value in options.items())
        (folder / "apt.conf").write_text(_NO_HOOKS + settings, "utf-8")

    def update(self) -> None:
        """Fetches the lists.

        Raises:
            LabError: the mirror does not answer, lacks the suite, or signed with an unknown key.
        """
        # Without the option a mirror that fails is only warned of.
        self._apt("update", "-o", "APT::Update::Error-Mode=any", to=f"fetch the package lists of Debian {self._suite}")

    def fetch(self, packages: Sequence[str]) -> list[Path]:
        """The .deb files of the packages and of all they depend on, sorted, `base-files` first.

        Raises:
            LabError: one does not exist there or cannot be fetched.
        """
        self._apt(
            "--yes",
            "--download-only",
            "install",
            *packages,
            to=f"fetch packages of Debian {self._suite} ({packages[0]} …)",
        )
        # It makes /bin a link to /usr/bin, and others must not make a folder of it before.
        files = (self._folder / "archives").glob("*.deb")
        return sorted(files, key=lambda path: (not path.name.startswith("base-files_"), path.name))

    def fetch_source(self, package: str) -> Path:
        """The upstream tarball of a source package.

        Raises:
            LabError: it does not exist there or cannot be fetched.
        """
        folder = self._folder / "source"
        self._apt(
            "--download-only", "--tar-only", "source", package, folder=folder, to=f"fetch the source of {package}"
        )
        tarballs = list(folder.glob("*.orig.tar.*"))
        if len(tarballs) != 1:
            raise LabError(f"the source package {package} has {len(tarballs)} upstream tarballs, one was expected")
        return tarballs[0]

    def describe(self, files: Sequence[Path]) -> list[DebianFile]:
        """Names and hashes for the manifest."""
        return [DebianFile(name=path.name, suite=self._suite, sha256=sha256_file(path)) for path in files]

    def _apt(self, *words: str, to: str, folder: Path | None = None) -> None:
        # The locale changes what errors look like.
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
        # A file named so is read last, after the host's own settings (proxies, certificates), which count here too.
        command: tuple[str | Path, ...] = ("apt-get", "-qq", "--config-file", self._folder / "apt.conf", *words)
        self._programs.run(command, to=to, folder=folder, environment=environment)


def unpack(programs: Programs, packages: Sequence[Path], root: Path) -> None:
    """Unpacks packages into `root`; none of their scripts runs."""
    root.mkdir(exist_ok=True)
    for package in packages:
        programs.run(("dpkg-deb", "--extract", package, root), to=f"unpack {package.name}")
