"""The commands for signing in docs/app-developers.md, run with the real minisign."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from export.bundle.build import Bundled
from tests.export.conftest import ROOT

PAGE = ROOT / "docs/app-developers.md"


@pytest.mark.skipif(not shutil.which("minisign"), reason="minisign is not installed (apt install minisign)")
def test_a_signed_archive_verifies_and_a_changed_one_does_not(bundled: Bundled, tmp_path: Path) -> None:
    commands = re.findall(r"^(minisign .*)$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert [command.split()[1] for command in commands] == ["-G", "-Sm", "-Vm"]
    archive = tmp_path / "bundle.zip"
    shutil.copy(bundled.archive, archive)

    def run(command: str, *more: str) -> int:
        # Paths of the page stand for the test's own; -W: a key without a password, which nobody is there to type.
        plain = command.split(" #", maxsplit=1)[0].replace("mobilenet_v2_1.4-digits.zip", archive.name)
        words = [*plain.split(), *more]
        done = subprocess.run(words, cwd=tmp_path, input="", capture_output=True, text=True, check=False)
        return done.returncode

    secret = ("-s", str(tmp_path / "minisign.key"))
    assert run(commands[0], "-W", *secret) == 0
    assert run(commands[1], *secret) == 0
    assert archive.with_name("bundle.zip.minisig").exists()
    assert run(commands[2]) == 0
    with archive.open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    assert run(commands[2]) != 0
