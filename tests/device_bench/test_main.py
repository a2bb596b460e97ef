"""`python -m device_bench` as a user starts it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
PLAIN = GOLDEN / "native_2.14_arm64" / "float32_plain"


def run(*words: str | Path, options: tuple[str, ...] = ("-m", "device_bench")) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, *words], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )


def test_a_readable_recording_is_a_row_of_the_table() -> None:
    done = run("parse", PLAIN)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].split() == [
        *("float32_plain", "classic", "20", "108.76", "-", "-", "112.00", "22.35", "-", "cpu", "unknown"),
    ]


def test_a_tree_names_what_cannot_be_read_and_ends_with_1() -> None:
    done = run("parse", GOLDEN / "native_2.14_arm64")
    assert (done.returncode, done.stderr) == (1, "")
    assert 'unread missing_graph: the command failed (exit code 1): "ERROR: Could not open ' in done.stdout
    assert "usage help: classic, 44 flags; --json lists them" in done.stdout
    assert "warning bad_input_name: WARN: Tensor # 0 is named " in done.stdout
    rows = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "(slowed by" in rows["float32_profile_csv"]
    assert "24.9" in rows["int8_peakmem"].split()


def test_a_fallback_stands_in_the_table() -> None:
    done = run("parse", GOLDEN / "litert_python_2.3_arm64")
    assert "NOT npu, xnnpack full" in done.stdout
    assert "warning 4 recordings: WARNING: [npu_registry.cc:34] NPU accelerator could not be loaded" in done.stdout


def test_json_has_everything() -> None:
    done = run("parse", GOLDEN / "native_2.14_arm64", "--json")
    assert (done.returncode, done.stderr) == (1, "")
    value = json.loads(done.stdout)
    assert (value["schema"], value["passed"]) == (1, False)
    assert value["outputs"]["float32_plain"]["measured"]["latency"]["mean_us"] == 108764
    assert value["usages"]["help"]["flavour"] == "classic"
    assert value["failures"]["dry_run"].startswith("nothing was measured: ")
    assert len(value["outputs"]) + len(value["usages"]) + len(value["failures"]) == 20


def test_a_missing_folder_is_bad_input(tmp_path: Path) -> None:
    done = run("parse", tmp_path / "nope")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: no folder '")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("words", [(), ("parse",), ("parse", "a", "--jsn"), ("measure",)], ids=str)
def test_bad_usage_is_one_line_and_ends_with_2(words: tuple[str, ...]) -> None:
    done = run(*words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_names_with_markup_or_control_characters_are_inert(tmp_path: Path) -> None:
    names = ("[red]x[/red]", "[/]", "\x1b[31mred", b"\xff\xfe".decode(errors="surrogateescape"))
    for name in names:
        shutil.copytree(PLAIN, tmp_path / name)
        shutil.copytree(GOLDEN / "native_2.14_arm64" / "missing_graph", tmp_path / f"{name}2")
    done = run("parse", tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout
    assert "[red]x[/red] " in done.stdout
    assert "unread [/]2: the command failed" in done.stdout
    assert "\\xff\\xfe" in done.stdout
    assert len(json.loads(run("parse", tmp_path, "--json").stdout)["outputs"]) == len(names)


def test_output_with_control_characters_is_inert(tmp_path: Path) -> None:
    (tmp_path / "stderr").write_text("ERROR: \x1b]0;title\x07[bold]no[/bold]\n", "utf-8")
    (tmp_path / "exit_code").write_text("1", "utf-8")
    done = run("parse", tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert "\x1b" not in done.stdout
    assert "[bold]no[/bold]" in done.stdout


HEAVY = ("tensorflow", "keras", "numpy", "scipy", "sklearn", "onnx", "onnxruntime", "ai_edge_litert", "PIL")
COMMANDS = ("bench", "baseline", "report", "pick", "compare", "history", "devices", "lab", "cleanup", "parse")


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        (("--help",), (*HEAVY, "rich")),
        *(((command, "--help"), (*HEAVY, "rich")) for command in COMMANDS),
        (("bench", "--model", "mobilenet_v9"), (*HEAVY, "rich")),
        (("parse", str(PLAIN)), HEAVY),
    ],
    ids=lambda part: part[0] if part[0] in COMMANDS else "",
)
def test_words_come_without_what_takes_long_to_import(words: tuple[str, ...], heavy: tuple[str, ...]) -> None:
    code = (
        "import atexit, runpy, sys\n"
        f"atexit.register(lambda: print([n for n in {heavy!r} if n in sys.modules], file=sys.__stderr__))\n"
        "runpy.run_module('device_bench', run_name='__main__', alter_sys=True)\n"
    )
    assert run(*words, options=("-c", code)).stderr.splitlines()[-1] == "[]"


def test_help_describes_the_layout_of_a_recording() -> None:
    text = run("parse", "--help").stdout
    assert "one recording: a folder with a file `stdout` or `stderr`" in text
    assert "exit codes: 0 all could be read, 1 some could not, 2 bad input" in text
