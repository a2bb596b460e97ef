from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from device_bench.lab import recipe
from device_bench.lab.recipe import recipe_key


@pytest.fixture
def code(tmp_path: Path) -> Path:
    return Path(shutil.copytree(Path(recipe.__file__).parent, tmp_path / "lab"))


def test_the_same_recipe_has_the_same_key_wherever_the_clone_is(code: Path) -> None:
    assert recipe_key("numpy==1\n", code) == recipe_key("numpy==1\n")


def test_another_version_of_a_package_is_another_recipe() -> None:
    assert recipe_key("numpy==1\n") != recipe_key("numpy==2\n")


@pytest.mark.parametrize("name", ["compile_runner.sh", "recipe.py", "build.py", "wheels.py", "native.py", "apt.py"])
def test_what_builds_the_archive_is_part_of_the_recipe(code: Path, name: str) -> None:
    before = recipe_key("", code)
    with (code / name).open("a") as file:
        file.write("# changed\n")
    assert recipe_key("", code) != before


def test_what_is_added_when_a_device_starts_is_not(code: Path) -> None:
    before = recipe_key("", code)
    (code / "manners/dumpsys").write_text("changed")
    (code / "phone_files.py").write_text("changed")
    assert recipe_key("", code) == before
