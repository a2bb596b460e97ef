"""A phone played by a stub adb: Android-shaped answers, and a benchmark_model that really computes."""

import os
import shutil
from pathlib import Path

from device_bench.measuring.artifacts import exported_folder
from export.artifact import Artifact, Manifest, Verification, save_manifest
from export.contents import TensorInfo
from models.files import sha256_file
from models.spec import MINUS_ONE_TO_ONE
from tests.device_bench import tiny_models
from tests.device_bench.adb_stub import AdbStub
from tests.device_bench.phone_texts import BATTERY, GETPROP, POWER, THERMAL
from tests.programs import first_lines

MODEL = "mobilenet_v1_0.25_128"
FILE = f"{MODEL}-float32.tflite"
GOLDEN = Path(__file__).parents[2] / "golden" / "native_2.14_arm64"

_RUNNER = """import sys
given = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:] if "=" in word)
golden = {golden!r}
if "--help" in sys.argv:
    sys.stderr.write(open(golden + "/help/stderr").read().replace("\\t--num_runs=50 ", {more!r} + "\\t--num_runs=50 "))
    sys.exit(1)
if "input_layer_value_files" in given:
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter
    interpreter = Interpreter(given["graph"])
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    path = given["input_layer_value_files"].partition(":")[2]
    interpreter.set_tensor(source["index"], np.fromfile(path, source["dtype"]).reshape(source["shape"]))
    interpreter.invoke()
    (interpreter.get_tensor(target["index"]) + {error}).astype("float32").tofile(given["output_filepath"])
kind = "float32_profile_stdout" if given.get("enable_op_profiling") == "true" else "float32_plain"
kind = "int8_peakmem" if given.get("report_peak_memory_footprint") == "true" else kind
sys.stdout.write(open(golden + "/" + kind + "/stdout").read())
sys.stdout.write({said!r})
sys.stderr.write(open(golden + "/" + kind + "/stderr").read())
sys.exit({code})
"""

USE_GPU = "\t--use_gpu=false                               \tbool\toptional\tuse gpu\n"


def make_phone(
    folder: Path, *, serial: str = "phone", error: float = 0.0, code: int = 0, said: str = "", more: str = ""
) -> AdbStub:
    """An Android phone whose runner adds `error` to outputs, prints `said` and exits with `code`."""
    commands = folder / "commands"
    commands.mkdir(parents=True)
    texts = {
        "getprop": f"cat <<'X'\n{GETPROP}X\n",
        "dumpsys": f"case $1 in\nthermalservice) cat <<'X'\n{THERMAL}X\n;;\nbattery) cat <<'X'\n{BATTERY}X\n;;\n"
        f"power) cat <<'X'\n{POWER}X\n;;\nesac\n",
        "settings": "echo null\n",
    }
    for name, text in texts.items():
        (commands / name).write_text(f"#!/bin/sh\n{text}")
    runner = first_lines("-I") + _RUNNER.format(golden=str(GOLDEN), error=error, code=code, said=said, more=more)
    (commands / "benchmark_model").write_text(runner)
    for path in commands.iterdir():
        path.chmod(0o755)
    return AdbStub(
        folder / "stub",
        devices=f"{serial}  device product:p model:Pixel_8 device:d transport_id:1\n",
        environment={"PATH": f"{commands}:/usr/bin:/bin"},
    )


def make_export(build: Path) -> Path:
    """The folder of an export whose float32 file is a tiny network for 128 px pictures."""
    folder = exported_folder(build, MODEL, "auto", "digits")
    folder.mkdir(parents=True)
    path = folder / FILE
    path.write_bytes(tiny_models.tflite(size_px=128))
    verification = Verification(
        images=1, top1=1.0, top1_drop=0.0, top1_drop_ci95=(0.0, 0.0), top1_agreement=1.0, max_abs_error=0.0,
        builtin_error=0.0, checks=(), reason="",
    )  # fmt: skip
    artifact = Artifact(
        file=FILE, format="tflite", precision="float32", size_bytes=path.stat().st_size, sha256=sha256_file(path),
        source_sha256="", input=TensorInfo(name="image", dtype="float32", shape=(1, 128, 128, 3)),
        output=TensorInfo(name="output", dtype="float32", shape=(1, 5)), operators={}, weights={},
        verification=verification, failure=None,
    )  # fmt: skip
    manifest = Manifest(
        model={"name": MODEL, "resolution_px": 128}, weights={"source": "digits", "dataset": "digits", "sha256": "0"},
        preprocessing=MINUS_ONE_TO_ONE.to_json(), labels={}, calibration={}, tools={}, artifacts=(artifact,),
        failures={},
    )  # fmt: skip
    save_manifest(folder, manifest)
    return folder


def has_arm_like_shell() -> bool:
    """Whether this machine can play the phone: a POSIX shell and taskset."""
    return os.name == "posix" and shutil.which("sh") is not None
