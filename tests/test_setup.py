"""The set-up behind every target: what it refuses at once, and (slow, from the package index) what it makes."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PYTHON = str(Path(sys.executable).resolve())
SET_UP = (".ci", "Makefile", "pyproject.toml", "requirements.lock", "LICENSE", "device_bench", "export", "models")
IMPORTS = "tensorflow, keras, litert_quantizer, ai_edge_litert.interpreter, onnx, onnxruntime, tf2onnx, sklearn, rich"
PROJECT = "models, export, device_bench"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What the set-up needs of this project, at a path with spaces."""
    clone = tmp_path / "my clone"
    for name in SET_UP:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, clone / name)
    return clone


@pytest.fixture
def tiny_clone(clone: Path) -> Path:
    """A clone whose lock holds only what builds the project, so that a set-up takes seconds."""
    needed = "hatchling|packaging|pathspec|pluggy|tomlkit|trove-classifiers"
    blocks = re.findall(rf"^(?:{needed})==.*\n(?:\s.*\n)+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    assert len(blocks) == 6
    (clone / "requirements.lock").write_text("".join(blocks))
    return clone


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def set_up(clone: Path, tool: str = "pip", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `make setup`; with `pip` as tool, uv seems not to be there."""
    path = os.environ["PATH"]
    if tool == "pip":
        path = f"{program(clone.parent / 'no uv/uv', 'exit 1').parent}:{path}"
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS", "SETUP_LOCKED"))}
    return subprocess.run(
        ["make", "setup"],
        cwd=clone,
        env=kept | {"PATH": path, "PYTHON": PYTHON} | variables,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )


def imports(clone: Path, modules: str) -> None:
    subprocess.run([clone / ".venv/bin/python", "-c", f"import {modules}"], cwd=clone.parent, timeout=120, check=True)


def test_a_python_that_does_not_run_is_refused_in_one_line(clone: Path) -> None:
    ran = set_up(clone, PYTHON="/nowhere/python3")
    assert ran.returncode == 2
    assert ran.stderr.splitlines()[0] == (
        "setup: PYTHON=/nowhere/python3 is not a working Python 3.11, 3.12 or 3.13; name one, or leave PYTHON out"
    )
    assert not (clone / ".venv").exists()


def test_no_suitable_python_says_what_to_install(clone: Path) -> None:
    tools = clone.parent / "tools"
    for name in ("python3", "python3.12"):
        program(tools / name, "exit 1")
    for name in ("sh", "dirname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    ran = subprocess.run(
        ["/bin/sh", ".ci/setup"], cwd=clone, env={"PATH": str(tools)}, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr == (
        "setup: no Python 3.11, 3.12 or 3.13 found; install one (apt install python3 python3-venv, brew install "
        "python@3.13) or name it: make setup PYTHON=/path/to/python3\n"
    )


def test_a_python_without_venv_says_what_to_install(clone: Path) -> None:
    real = shlex.quote(PYTHON)
    bare = program(
        clone.parent / "bare/python3",
        f'case "$*" in *realpath*) echo "3.12.0 $0" ;; *ensurepip*) exit 1 ;; *) exec {real} "$@" ;; esac',
    )
    ran = set_up(clone, PYTHON=str(bare))
    assert ran.returncode == 2
    assert "cannot make virtual environments; install what it lacks (Debian and Ubuntu: apt install" in ran.stderr


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("tool", ["pip", "uv"])
def test_a_fresh_clone_sets_itself_up_once(clone: Path, tool: str) -> None:
    if tool == "uv" and not shutil.which("uv"):
        pytest.skip("uv is not installed")
    first = set_up(clone, tool)
    assert first.returncode == 0, first.stderr
    assert f"making .venv with {tool} " in first.stderr
    assert first.stdout == ""
    imports(clone, f"{IMPORTS}, {PROJECT}")
    second = set_up(clone, tool)
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")


@pytest.mark.slow
def test_a_changed_pyproject_installs_only_the_project_again(tiny_clone: Path) -> None:
    assert set_up(tiny_clone).returncode == 0
    kept = tiny_clone / ".venv/kept"
    kept.touch()
    with (tiny_clone / "pyproject.toml").open("a") as pyproject:
        pyproject.write("# changed\n")
    again = set_up(tiny_clone)
    assert again.returncode == 0
    assert "this project" in again.stderr
    assert kept.exists()
    assert set_up(tiny_clone).stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize("change", ["interrupted", "lock", "moved"])
def test_an_environment_that_does_not_fit_is_made_anew(tiny_clone: Path, change: str) -> None:
    assert set_up(tiny_clone).returncode == 0
    old = tiny_clone / ".venv/old"
    old.touch()
    if change == "interrupted":
        (tiny_clone / ".venv/made-from").unlink()
    elif change == "lock":
        with (tiny_clone / "requirements.lock").open("a") as lock:
            lock.write("# changed\n")
    else:
        tiny_clone = tiny_clone.rename(tiny_clone.with_name("moved clone"))
    assert set_up(tiny_clone).returncode == 0
    assert not (tiny_clone / ".venv/old").exists()
    imports(tiny_clone, PROJECT)


@pytest.mark.slow
def test_the_chosen_python_stays_chosen(tiny_clone: Path) -> None:
    assert set_up(tiny_clone).returncode == 0
    program(tiny_clone.parent / "no uv/python3", 'echo "3.13.9 /another/python3"')
    assert set_up(tiny_clone, PYTHON="").stderr == ""


@pytest.mark.slow
def test_two_makes_at_once_make_one_environment(tiny_clone: Path) -> None:
    with subprocess.Popen(["make", "setup"], cwd=tiny_clone, env=os.environ | {"PYTHON": PYTHON}) as other:
        ran = set_up(tiny_clone)
    assert (ran.returncode, other.returncode) == (0, 0)
    imports(tiny_clone, PROJECT)


@pytest.mark.slow
def test_a_package_that_differs_from_its_hash_is_refused(tiny_clone: Path) -> None:
    lock = tiny_clone / "requirements.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", lock.read_text()))
    ran = set_up(tiny_clone)
    assert ran.returncode == 2
    assert "DO NOT MATCH" in ran.stderr
    assert not (tiny_clone / ".venv/made-from").exists()
