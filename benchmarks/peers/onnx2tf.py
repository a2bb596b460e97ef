"""onnx2tf in a virtual environment of its own: it needs an older TensorFlow than this project's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.peers.subject import Subject
from models.data import lazy_pixels, load_dataset, normalise
from models.data.cache import cache_folder
from models.errors import ConversionError, NotInstalledError, WorkerError
from models.worker import Report

PYTHON = "3.11"
PINS = (
    "onnx2tf==1.28.8",
    "tensorflow==2.19.1",
    "tf_keras==2.19.0",
    "onnx==1.19.1",
    "onnxruntime==1.23.2",
    "onnx_graphsurgeon==0.5.8",
    "sng4onnx==1.0.4",
    "onnxsim==0.8.1",
    "ai-edge-litert==2.1.2",
    "psutil==7.2.2",
)
"""The last onnx2tf for TensorFlow 2.19, and what it imports without saying so."""

LIMIT_S = 1800

_BOUND = """
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() == int(sys.argv[1]):
    os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Becomes the program named behind it, which the kernel (PR_SET_PDEATHSIG) then ends with the process that started it:
a worker that is killed can end nobody."""


def make(_: Report, subject: Subject) -> bytes:
    """Its full integer file, from the float ONNX file, calibrated with the same pictures.

    Raises:
        NotInstalledError: it cannot be installed.
        ConversionError: it refused the network.
        WorkerError: it did not come to an end.
    """
    installed = program()
    with tempfile.TemporaryDirectory(prefix="onnx2tf-") as name:
        folder = Path(name)
        pixels = np.load(subject.work.calibration_pixels)
        np.save(folder / "pictures.npy", normalise(pixels, subject.spec.preprocessing))
        # It fetches pictures of its own from the internet to try every operator with, unless they lie here.
        tried = lazy_pixels(load_dataset(subject.dataset), np.arange(20), subject.spec.preprocessing, 128)[:]
        np.save(folder / "calibration_image_sample_data_20x128x128x3_float32.npy", (tried / 255).astype(np.float32))
        (folder / "network.onnx").write_bytes(subject.work.float_onnx.read_bytes())
        # The pictures are normalised already; the input stays [1, H, W, 3], which it would take for [1, 3, H, W].
        command = [str(installed), "-i", "network.onnx", "-o", "made", "-oiqt", "-kat", "image", "-n"]
        command += ["-cind", "image", "pictures.npy", "[[[[0.0,0.0,0.0]]]]", "[[[[1.0,1.0,1.0]]]]"]
        said = run_bound(command, folder)
        found = sorted((folder / "made").glob("*_full_integer_quant.tflite"))
        if not found:
            raise ConversionError(f"onnx2tf made no full integer file: {said}")
        return found[0].read_bytes()


def program() -> Path:
    """The command, installed at the first call into the cache; a half-made environment is made anew.

    Raises:
        NotInstalledError: it cannot be installed.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise NotInstalledError("onnx2tf needs an environment of its own, made by uv, which is not there; install uv")
    folder = cache_folder() / f"benchmark-{PINS[0].replace('==', '-')}"
    finished = folder / "finished"
    if not finished.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            run_bound([uv, "venv", "--quiet", "--python", PYTHON, str(folder)], folder.parent)
            run_bound(
                [uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), *PINS], folder.parent
            )
        except ConversionError as error:
            raise NotInstalledError(f"onnx2tf cannot be installed: {error}; mend that, and run this again") from error
        finished.touch()
    return folder / "bin" / "onnx2tf"


def run_bound(command: list[str], folder: Path) -> str:
    """The last line that a program printed. It ends with this process, however that ends.

    Raises:
        ConversionError: it failed.
        WorkerError: it did not come to an end.
    """
    name, bound = Path(command[0]).name, [sys.executable, "-I", "-c", _BOUND, str(os.getpid())]
    try:
        done = subprocess.run(
            [*bound, *command], cwd=folder, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
    except subprocess.TimeoutExpired as error:
        raise WorkerError(f"{name} had not ended after {LIMIT_S} s; run it again on an idle machine") from error
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()] or [""]
    if done.returncode < 0:
        raise WorkerError(f"{name} was killed by signal {-done.returncode}; run it again with more memory free")
    if done.returncode:
        raise ConversionError(f"{name} ended with {done.returncode}: {lines[-1][:200]}")
    return lines[-1][:200]
