"""The front door: what each target runs, and what a value typed after it can and cannot do."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
MAKEFILE = (ROOT / "Makefile").read_text().replace("\\\n", " ")
TARGETS = re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split()
GIVEN = re.findall(r"^GIVEN := (.*)$", MAKEFILE, re.MULTILINE)[0].split()
HOSTILE = [
    "x; touch pwned",
    "x && touch pwned",
    "$(shell touch pwned)",
    "${shell touch pwned}",
    "$(touch pwned)",
    '"`touch pwned`"',
    '"; touch pwned; "',
    "a'b",
    "$HOME",
    "$$",
    "$(MAKE)",
    "* ?",
    "back\\slash",
    "a#b",
    "--help",
    "a,b)c",
    "größe 1.4",
]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone at a path with spaces, whose set-up does nothing and whose Python prints its arguments as JSON."""
    clone = tmp_path / "my clone"
    for folder in (".ci", ".venv/bin", "models", "export"):
        (clone / folder).mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", clone)
    shutil.copy(ROOT / ".ci/refuse", clone / ".ci")
    (clone / ".ci/setup").write_text("echo setup: chatter >&2\n")
    python = clone / ".venv/bin/python"
    echo = "import json, sys; print(json.dumps(sys.argv[1:]))"
    python.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-c", echo])} "$@"\n')
    python.chmod(0o755)
    return clone


def make(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the real make as a user would: without what an outer `make test` leaves in the environment."""
    kept = {
        k: v for k, v in os.environ.items() if k not in {*GIVEN, "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES"}
    }
    return subprocess.run(
        ["make", *words], cwd=folder, env=kept | variables, capture_output=True, text=True, timeout=60, check=False
    )


def files(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


def test_make_export_runs_although_a_folder_has_its_name() -> None:
    assert (ROOT / "export").is_dir()
    dry = make(ROOT, "-n", "export", "MODEL=mobilenet_v2_1.4")
    assert dry.returncode == 0
    assert "-m export run" in dry.stdout


def test_make_models_runs_although_a_folder_has_its_name(clone: Path) -> None:
    assert json.loads(make(clone, "models").stdout) == ["-m", "models", "list"]


def test_export_passes_every_given_option_as_one_argument(clone: Path) -> None:
    ran = make(
        clone,
        "export",
        "MODEL=mobilenet_v2_1.4",
        "WEIGHTS=my weights.keras",
        "DATASET=digits",
        "PRECISION=int8,float16",
        "FORMAT=tflite",
        "CALIBRATION_IMAGES=64",
        "QUANTIZATION=percentile,equalize",
        "MAX_DROP=0.5",
        "ALLOW_QAT=1",
        "SEED=7",
        "OUTPUT=logits",
        "JSON=1",
    )
    assert json.loads(ran.stdout) == [
        *("-m", "export", "run", "--model=mobilenet_v2_1.4", "--weights=my weights.keras", "--dataset=digits"),
        *("--precision=int8,float16", "--format=tflite", "--calibration-images=64"),
        *("--quantization=percentile,equalize", "--max-drop=0.5", "--allow-qat", "--seed=7", "--output=logits"),
        "--json",
    ]


@pytest.mark.parametrize("given", ["MAX_DROP=0.5", "ALLOW_QAT=1"])
def test_bundle_says_that_a_budget_is_the_exports(clone: Path, given: str) -> None:
    refused = make(clone, "bundle", "MODEL=mobilenet_v2_1.4", given)
    assert refused.returncode == 2
    assert "MAX_DROP and ALLOW_QAT are for export, whose files a bundle takes: " in refused.stderr


def test_export_passes_only_what_was_given(clone: Path) -> None:
    ran = make(clone, "export", "MODEL=mobilenet_v2_1.4", "JSON=0")
    assert json.loads(ran.stdout) == ["-m", "export", "run", "--model=mobilenet_v2_1.4"]


def test_bundle_is_told_the_format_asked_for_lest_it_be_passed_over(clone: Path) -> None:
    ran = make(clone, "bundle", "MODEL=mobilenet_v2_1.4", "PRECISION=int8", "FORMAT=onnx", "PURPOSE=sorts a b")
    wanted = ["--model=mobilenet_v2_1.4", "--precision=int8", "--format=onnx", "--purpose=sorts a b"]
    assert json.loads(ran.stdout) == ["-m", "export", "bundle", *wanted]


def test_train_passes_every_given_option_as_one_argument(clone: Path) -> None:
    ran = make(
        clone, "train", "MODEL=mobilenet_v1_0.25_128", "DATASET=my data", "SEED=7", "EPOCHS=2", "RECIPE=a b",
        "LEARNING_RATE=1e-3", "BATCH_SIZE=8", "FINE_TUNE=my net.keras", "FROZEN_EPOCHS=1", "FLIP=on",
        "CLASS_WEIGHTS=balanced", "MIXED_PRECISION=off", "TENSORBOARD=1", "QAT=1", "WORKERS=a:1,b:2",
        "WORKER_INDEX=0", "WORKER_TIMEOUT=9",
    )  # fmt: skip
    assert json.loads(ran.stdout) == [
        *("-m", "models", "train", "--model=mobilenet_v1_0.25_128", "--dataset=my data", "--recipe=a b", "--epochs=2"),
        *("--learning-rate=1e-3", "--batch-size=8"),
        *("--fine-tune=my net.keras", "--frozen-epochs=1", "--flip=on", "--class-weights=balanced"),
        *("--mixed-precision=off", "--seed=7", "--workers=a:1,b:2", "--worker-index=0", "--worker-timeout=9"),
        *("--tensorboard", "--qat"),
    ]


def test_baseline_and_report_pass_every_given_option_as_one_argument(clone: Path) -> None:
    given = (
        "ENGINE=onnxruntime-cpu,litert-cpu",
        "PRECISION=float32",
        "BATCH=1,8",
        "GPU_INDEX=1",
        "THREADS=4",
        "REPEATS=3",
    )
    ran = make(
        clone, "baseline", "MODEL=mobilenet_v1_0.25_128", "WEIGHTS=a b.keras", *given, "SEED=7", "DRY_RUN=1", "JSON=1"
    )
    assert json.loads(ran.stdout) == [
        *("-m", "device_bench", "baseline", "--model=mobilenet_v1_0.25_128", "--weights=a b.keras"),
        *("--engine=onnxruntime-cpu,litert-cpu", "--precision=float32", "--batch=1,8", "--gpu-index=1", "--threads=4"),
        *("--repeats=3", "--seed=7", "--dry-run", "--json"),
    ]
    assert json.loads(make(clone, "report").stdout) == ["-m", "device_bench", "report"]
    assert json.loads(make(clone, "history", "MODEL=a b").stdout) == ["-m", "device_bench", "history", "a b"]
    ran = make(clone, "compare", "OLD=a b", "NEW=c", "MAX_REGRESSION=3%", "ACROSS=runner")
    assert json.loads(ran.stdout) == [
        *("-m", "device_bench", "compare", "a b", "c", "--max-regression=3%", "--across=runner")
    ]
    ran = make(clone, "report", "MODEL=mobilenet_v1_0.25_128", "DATASET=digits", "JSON=1")
    assert json.loads(ran.stdout) == [
        *("-m", "device_bench", "report", "--model=mobilenet_v1_0.25_128", "--dataset=digits", "--json")
    ]


def test_compare_without_both_sides_says_what_is_missing(clone: Path) -> None:
    for given in ((), ("OLD=a",), ("NEW=b", "OLD= ")):
        ran = make(clone, "compare", *given)
        assert ran.returncode == 2
        assert "OLD or NEW is missing: make compare OLD=base/build NEW=build" in ran.stderr


def test_stdout_is_only_json_while_the_set_up_speaks_on_stderr(clone: Path) -> None:
    ran = make(clone, "-j4", "models", "JSON=1")
    assert json.loads(ran.stdout) == ["-m", "models", "list", "--json"]
    assert ran.stderr == "setup: chatter\n"


@pytest.mark.parametrize("no", ["0", "no", "No", "false", "False", "FALSE", "off", "", " "])
def test_a_switch_that_says_no_is_as_good_as_not_given(clone: Path, no: str) -> None:
    (clone / "uv").write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (clone / "uv").chmod(0o755)
    path = f"{clone}:{os.environ['PATH']}"
    for ran in (make(clone, "models", f"JSON={no}"), make(clone, "models", JSON=no)):
        assert json.loads(ran.stdout) == ["-m", "models", "list"]
    assert "--upgrade" not in make(clone, "lock", f"UPGRADE={no}", PATH=path).stdout
    assert "--upgrade" in make(clone, "lock", "UPGRADE=1", PATH=path).stdout


@pytest.mark.parametrize(
    ("name", "near"),
    [
        *(
            ("WEIGHT", "WEIGHTS"),
            ("model", "MODEL"),
            ("MODLE", "MODEL"),
            ("DATASETS", "DATASET"),
            ("DATA_SET", "DATASET"),
        ),
        *(("CALIB", "CALIBRATION_IMAGES"), ("Epochs", "EPOCHS"), ("FORMATT", "FORMAT"), ("SED", "SEED")),
    ],
)
def test_a_mistyped_variable_is_refused_with_the_nearest_name(clone: Path, name: str, near: str) -> None:
    for target in ("export", "help"):
        ran = make(clone, target, "MODEL=m", f"{name}=x")
        assert (ran.returncode, ran.stdout) == (2, "")
        line = (
            rf"Makefile:\d+: \*\*\* unknown variable {name}; did you mean {near}\? known: {' '.join(GIVEN)}\.  Stop\.\n"
        )
        assert re.fullmatch(line, ran.stderr), ran.stderr


@pytest.mark.parametrize("word", ["CC=gcc", "PY=python3", "name=1", "a'b=1", "a,b)=1", "x%y:=1", "$$HOME=1"])
def test_a_variable_like_no_other_is_refused_with_the_known_ones(clone: Path, word: str) -> None:
    ran = make(clone, "models", word)
    assert ran.returncode == 2
    name = word.rstrip("1").partition("=")[0].removesuffix(":").replace("$$", "$")
    assert f"*** unknown variable {name}; known: {' '.join(GIVEN)}." in ran.stderr


def test_a_mistyped_variable_cannot_run_a_command_or_steer_the_terminal(clone: Path) -> None:
    before = files(clone)
    for word in ("'; touch pwned; '=1", "`touch${IFS}pwned`=1", "WEIGHT=$(shell touch pwned)", "\x1b[31mX=1"):
        ran = make(clone, "models", word)
        assert ran.returncode == 2
        assert "\x1b" not in ran.stderr
    assert files(clone) == before


def test_other_variables_of_the_environment_are_none_of_our_business(clone: Path) -> None:
    assert make(clone, "models", WEIGHT="x", CC="gcc").returncode == 0


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_model_reaches_python_as_one_literal_argument(clone: Path, value: str) -> None:
    before = files(clone)
    for ran in (make(clone, "export", f"MODEL={value}"), make(clone, "export", MODEL=value)):
        assert json.loads(ran.stdout) == ["-m", "export", "run", f"--model={value}"]
    assert files(clone) == before


@pytest.mark.parametrize("value", ["$(shell touch pwned)", '"; touch pwned; "'])
@pytest.mark.parametrize("target", ["export", "diagnose", "train", "bench", "devices", "models", "test", "help"])
def test_no_variable_is_run_by_make_or_the_shell(clone: Path, value: str, target: str) -> None:
    before = files(clone)
    assert make(clone, target, *(f"{name}={value}" for name in GIVEN)).returncode == 0
    assert make(clone, target, **dict.fromkeys(GIVEN, value)).returncode == 0
    assert files(clone) == before


@pytest.mark.parametrize("target", ["export", "diagnose", "train"])
@pytest.mark.parametrize("words", [[], ["MODEL="], ["MODEL= "]])
def test_a_missing_model_is_one_clear_line_before_any_set_up(clone: Path, target: str, words: list[str]) -> None:
    ran = make(clone, target, *words)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1
    assert f"MODEL is missing: make {target} MODEL=mobilenet_v2_1.4; `make models` lists the names" in ran.stderr


def test_a_failing_program_fails_make(clone: Path) -> None:
    (clone / ".venv/bin/python").write_text("#!/bin/sh\nexit 3\n")
    assert make(clone, "export", "MODEL=m").returncode == 2


def test_help_is_the_default_and_describes_every_target() -> None:
    ran = make(ROOT)
    assert re.findall(r"^  ([a-z-]+) +\S", ran.stdout, re.MULTILINE) == TARGETS
    assert ran.stderr == ""


def test_every_target_is_phony() -> None:
    assert re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE) == TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_exists(target: str) -> None:
    assert make(ROOT, "-n", target, "MODEL=m", "OLD=a", "NEW=b").returncode == 0


def locked() -> list[str]:
    """The lock's requirements, each with its hashes on one line."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", "")
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def test_the_lock_pins_every_package_with_hashes() -> None:
    assert locked()
    for line in locked():
        assert re.fullmatch(r"[a-z0-9-]+==[\w.]+( ; [^;]+?)?(\s+--hash=sha256:[0-9a-f]{64})+", line), line


def test_the_lock_names_no_index_host_or_path() -> None:
    text = (ROOT / "requirements.lock").read_text()
    assert not re.search(r"://|--(extra-)?index|--find-links|--trusted-host|^-| @ |\s~?/", text, re.MULTILINE)


def test_the_lock_covers_the_project_and_its_development_tools() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = dict(re.findall(r"^([a-z0-9-]+)==([\w.]+)", "\n".join(locked()), re.MULTILINE))
    for text in project["dependencies"] + project["optional-dependencies"]["dev"]:
        wanted = Requirement(text)
        assert pinned[wanted.name] in wanted.specifier, f"make lock: {text}"


def test_doctor_needs_no_set_up(clone: Path) -> None:
    ran = make(clone, "doctor", "JSON=1")
    assert json.loads(ran.stdout) == ["-m", "device_bench", "doctor", "--json"]
    assert "chatter" not in ran.stderr


@pytest.mark.parametrize("state", ["no", "a broken"])
def test_with_no_environment_the_doctor_runs_on_the_python_that_would_make_one(state: str, clone: Path) -> None:
    shutil.copy(ROOT / ".ci/setup", clone / ".ci")
    for file in ("requirements.lock", "pyproject.toml"):
        (clone / file).touch()
    if state == "no":
        shutil.rmtree(clone / ".venv")
    else:
        (clone / ".venv/bin/python").write_text("#!/bin/sh\nexit 3\n")
    package = clone / "device_bench"
    package.mkdir()
    (package / "__main__.py").write_text("import os, sys; print(os.path.realpath(sys.executable), sys.argv[1:])")
    ran = make(clone, "doctor", PYTHON=sys.executable)
    assert ran.stdout == f"{Path(sys.executable).resolve()} ['doctor']\n", ran.stderr
    assert (clone / ".venv").exists() == (state != "no")
