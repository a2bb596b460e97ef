"""What may stand next: everything that the Makefile and the parsers know, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.completion.line import LONGEST, complete_line, split_line
from device_bench.completion.makefile import read_makefile
from device_bench.completion.values import LISTS, VALUES
from export.precision import PRECISIONS
from models.zoo import MODELS

ROOT = Path(__file__).parents[3]
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def complete(line: str) -> list[str]:
    return complete_line(line, ROOT)


def test_make_offers_every_target_of_its_help() -> None:
    targets = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)
    assert complete("make ") == targets
    assert complete("make la") == ["lab", "lab-down", "lab-test"]
    assert complete("make -s exp") == ["export"]


def test_a_target_offers_the_variables_that_its_recipe_reads() -> None:
    offered = complete("make export ")
    assert {"MODEL=", "DATASET=", "PRECISION=", "JSON="} <= set(offered)
    assert "OLD=" not in offered
    assert complete("make compare O") == ["OLD="]
    assert "MODEL=" not in complete("make export MODEL=x ")
    given = re.findall(r"^GIVEN := (.*)$", MAKEFILE.replace("\\\n", " "), re.MULTILINE)[0].split()
    variables = {name for names in read_makefile(ROOT / "Makefile").variables.values() for name in names}
    # PYTHON and UPGRADE are read by set-up's own programs.
    assert variables | {"PYTHON", "UPGRADE"} == set(given)


def test_models_are_offered_wherever_one_is_asked_for() -> None:
    names = list(MODELS)
    assert complete("make export MODEL=") == [f"MODEL={name}" for name in names]
    assert complete("MODEL=x make bench MODEL=") == [f"MODEL={name}" for name in names]
    for line in (
        "python -m export run --model ",
        "python3 -m models train --seed 3 --model ",
        "../.venv/bin/python -m device_bench bench --model ",
        "cd there && python3.12 -m models info ",
    ):
        assert complete(line) == names
    assert complete("python -m export run --model=vgg") == [f"--model={n}" for n in names if n.startswith("vgg")]


def test_of_a_list_the_last_value_is_completed_and_none_is_offered_twice() -> None:
    names = dict.fromkeys(row.name for row in PRECISIONS.values())
    assert complete("make export PRECISION=int8,") == [f"PRECISION=int8,{n}" for n in names if n != "int8"]
    assert complete("make bench DELEGATE=g") == ["DELEGATE=gpu"]


@pytest.mark.parametrize("name", VALUES)
def test_every_table_of_values_has_some_and_is_of_a_variable(name: str) -> None:
    values = list(VALUES[name]())
    assert values
    assert not [value for value in values if re.search(r"[\s,*?$`;]", value)]
    assert name in LISTS or "," not in "".join(values)
    assert name.upper() in MAKEFILE or name == "recipe"


def test_switches_are_given_as_1() -> None:
    assert complete("make export JSON=") == ["JSON=1"]


def test_programs_offer_commands_options_and_choices() -> None:
    assert complete("python -m ") == ["models", "export", "device_bench"]
    assert complete("python -m mod") == ["models"]
    commands = complete("python -m device_bench ")
    assert {"bench", "doctor", "completion"} <= set(commands)
    assert "complete" not in commands
    assert complete("python -m device_bench lab ") == ["up", "build", "down", "list", "control"]
    assert complete("python -m device_bench completion ") == ["bash", "zsh", "fish"]
    assert complete("python -m export run --outp") == ["--output"]
    assert complete("python -m export run --output l") == ["logits"]
    assert complete("python -m export run --weights ") == ["auto", "qat", "random", "imagenet"]
    # An option that takes no value is no place for one.
    assert "run" not in complete("python -m export run --json ")


@pytest.mark.parametrize(
    "line",
    ["", "make", "ls ", "python ", "python x.py --mod", "python -m http.server --", "make export FOO=", "make 'exp",
     'python -m export "', "git commit -m make ", "make export MODEL=x; ls ", "x" * (LONGEST + 1)],
)  # fmt: skip
def test_of_anything_else_nothing_is_known(line: str) -> None:
    assert complete(line) == []


@given(st.text() | st.text("make export MODEL=$'\"\\;&| -", max_size=60))
def test_no_line_makes_it_fail(line: str) -> None:
    words, typed = split_line(line)
    assert all(isinstance(word, str) for word in (*words, typed))
    complete_line(f"make {line}", ROOT)


def test_the_command_prints_words_and_imports_no_tensorflow() -> None:
    code = (
        "import runpy, sys; sys.modules['tensorflow'] = None; "
        "sys.argv = ['device_bench', 'complete', 'python -m models train --mod']; "
        "runpy.run_module('device_bench', run_name='__main__')"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, "--model\n", "")
