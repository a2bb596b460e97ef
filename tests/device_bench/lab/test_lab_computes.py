"""What the devices compute, through LiteRT and ONNX Runtime, against this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.tflite_file import read_model, write_model
from tests.device_bench.lab.phones import LabPhone
from tests.export.loose import loosened

pytestmark = pytest.mark.lab

_MODEL = Path(__file__).parents[2] / "golden/lab_int8/small_int8.tflite"
_SCRIPT = """\
import numpy
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter("model.tflite", num_threads=1)
interpreter.allocate_tensors()
outputs = []
for image in numpy.load("inputs.npy"):
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
numpy.save("outputs.npy", numpy.stack(outputs))
"""

Device = Callable[[str], LabPhone]


@pytest.fixture(scope="module")
def inputs() -> NDArray[np.int8]:
    return np.random.default_rng(1).integers(-128, 128, (8, 32, 32, 3), np.int8)


@pytest.fixture(scope="module")
def expected(inputs: NDArray[np.int8]) -> NDArray[Any]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(_MODEL), num_threads=1)
    interpreter.allocate_tensors()
    outputs = []
    for image in inputs:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.stack(outputs)


def _prepare(phone: LabPhone, inputs: NDArray[np.int8], folder: Path) -> None:
    np.save(folder / "inputs.npy", inputs)
    (folder / "compute.py").write_text(_SCRIPT)
    phone.shell("mkdir -p /data/local/tmp/compute")
    for local, name in ((_MODEL, "model.tflite"), (folder / "inputs.npy", ""), (folder / "compute.py", "")):
        assert phone.adb("push", str(local), f"/data/local/tmp/compute/{name}").returncode == 0


def _compute(phone: LabPhone, inputs: NDArray[np.int8], folder: Path) -> NDArray[Any]:
    _prepare(phone, inputs, folder)
    phone.shell("cd /data/local/tmp/compute && python3 compute.py", timeout_s=120)
    assert phone.adb("pull", "/data/local/tmp/compute/outputs.npy", str(folder / "outputs.npy")).returncode == 0
    phone.shell("rm -r /data/local/tmp/compute")
    outputs: NDArray[Any] = np.load(folder / "outputs.npy", allow_pickle=False)
    return outputs


@pytest.mark.parametrize("name", ["good", "board", "amd64"])
def test_a_good_device_computes_int8_like_this_machine_bit_for_bit(
    name: str, lab_device: Device, inputs: NDArray[np.int8], expected: NDArray[Any], tmp_path: Path
) -> None:
    np.testing.assert_array_equal(_compute(lab_device(name), inputs, tmp_path), expected)


def test_the_liar_computes_something_else_and_says_nothing(
    lab_device: Device, inputs: NDArray[np.int8], expected: NDArray[Any], tmp_path: Path
) -> None:
    outputs = _compute(lab_device("liar"), inputs, tmp_path)
    different = np.abs(outputs.astype(int) - expected.astype(int))
    # Not rounding: most outputs, and by many of the 256 steps.
    assert np.mean(different > 1) > 0.5
    assert different.max() > 10


@pytest.mark.parametrize(("name", "code"), [("old", 132), ("good", 0)])
def test_litert_dies_of_an_illegal_instruction_on_the_old_device_only(name: str, code: int, lab_device: Device) -> None:
    phone = lab_device(name)
    assert phone.adb("push", str(_MODEL), "/data/local/tmp/model.tflite").returncode == 0
    command = "exec litert-benchmark --model /data/local/tmp/model.tflite --num_runs 2"
    assert phone.adb("shell", command, timeout_s=120).returncode == code
    phone.shell("rm /data/local/tmp/model.tflite")


@pytest.mark.parametrize("name", ["good", "amd64"])
def test_the_native_runner_measures(name: str, lab_device: Device, native_runner: str) -> None:
    phone = lab_device(name)
    assert phone.adb("push", str(_MODEL), "/data/local/tmp/model.tflite").returncode == 0
    printed = phone.shell(f"{native_runner} --graph=/data/local/tmp/model.tflite --num_runs=2 --min_secs=0 2>&1")
    assert "Inference timings in us: Init: " in printed
    phone.shell("rm /data/local/tmp/model.tflite")


def test_the_python_runners_of_a_board_are_there(lab_device: Device) -> None:
    phone = lab_device("board")
    assert phone.shell("litert-benchmark --help").startswith("usage: litert-benchmark")
    versions = phone.shell("python3 -c 'import onnxruntime, numpy; print(onnxruntime.get_device(), numpy.__version__)'")
    assert versions.startswith("CPU ")


@pytest.mark.parametrize("name", ["good", "amd64"])
def test_shared_vectors_change_no_answer_of_the_native_runner(
    name: str, lab_device: Device, native_runner: str, inputs: NDArray[np.int8], tmp_path: Path
) -> None:
    model = read_model(_MODEL.read_bytes())
    # The runner takes a colon for the end of a name.
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].name = b"image"
    compact = write_model(model)
    loose = loosened(compact)
    assert len(compact) < len(loose)
    phone, folder, found = lab_device(name), "/data/local/tmp/shared", []
    phone.shell(f"mkdir -p {folder}")
    (tmp_path / "image").write_bytes(inputs[0].tobytes())
    assert phone.adb("push", str(tmp_path / "image"), f"{folder}/image").returncode == 0
    for content in (loose, compact):
        (tmp_path / "model.tflite").write_bytes(content)
        assert phone.adb("push", str(tmp_path / "model.tflite"), f"{folder}/model.tflite").returncode == 0
        phone.shell(
            f"{native_runner} --graph={folder}/model.tflite --num_runs=1 --min_secs=0 --warmup_runs=0 "
            f"--input_layer=image --input_layer_shape=1,32,32,3 --input_layer_value_files=image:{folder}/image "
            f"--output_filepath={folder}/output 2>&1"
        )
        assert phone.adb("pull", f"{folder}/output", str(tmp_path / "output")).returncode == 0
        found.append((tmp_path / "output").read_bytes())
    phone.shell(f"rm -r {folder}")
    assert found[0] == found[1]
    assert len(set(found[0])) > 1
