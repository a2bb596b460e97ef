"""Runs one network in a loop and writes the latency of every run, or computes its outputs on recorded inputs.

A program of its own that is copied to the machine measured: Python 3.8, NumPy and one of the packages below, nothing
of this project. It does what TFLite's benchmark_model does: load, warm up, then run until both the least number and
the least time are reached; the same random input is copied in before each run, outside the time.

    timed_loop.py --package=ai_edge_litert --model=net.tflite --input-shape=1,128,128,3 --threads=4 --xnnpack=on
        --result=result.json [--runs=50 --min-s=1 --max-s=150 --warmup-runs=1 --warmup-min-s=0.5]
    timed_loop.py … --inputs=inputs.npy --outputs=outputs.npy     no measurement: each input's output, raw
    timed_loop.py --package=ai_edge_litert --probe                its version, as one line of JSON

The result file appears whole or not at all. Exit code 0: done; 1: an ERROR line says why not.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import importlib
import io
import json
import os
import platform
import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Set before it is loaded, or ONNX Runtime reports to its makers, and leaves files of that on the device.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

SCHEMA = 1
PACKAGES = ("ai_edge_litert", "tflite_runtime", "onnxruntime")
ORT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(uint8)": np.uint8}
ORT_TYPES.update({"tensor(int8)": np.int8, "tensor(int32)": np.int32, "tensor(int64)": np.int64})
SPINNING = "1"
"""ONNX Runtime's threads wait for the next operator at work, as XNNPACK's do: its default, made explicit. It costs CPU
time and gives the latency that applications see."""


class Litert:
    """TFLite's interpreter: of ai_edge_litert, or of tflite_runtime on older boards."""

    def __init__(self, options: argparse.Namespace) -> None:
        module = importlib.import_module(options.package + ".interpreter")
        kinds = module.OpResolverType
        # XNNPACK is the default delegate of the automatic choice.
        resolver = kinds.AUTO if options.xnnpack == "on" else kinds.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self.interpreter = module.Interpreter(
            options.model, num_threads=options.threads, experimental_op_resolver_type=resolver
        )
        self.interpreter.allocate_tensors()
        inputs, outputs = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        expect_one(inputs, outputs)
        self.input, self.output = inputs[0]["index"], outputs[0]["index"]
        self.shape = fitting_shape([int(size) for size in inputs[0]["shape"]], options.input_shape)
        self.dtype = np.dtype(inputs[0]["dtype"])
        self.run = self.interpreter.invoke

    def set_input(self, value: NDArray[Any]) -> None:
        self.interpreter.set_tensor(self.input, value)

    def result(self) -> NDArray[Any]:
        value: NDArray[Any] = self.interpreter.get_tensor(self.output)
        return value

    def delegation(self) -> dict[str, Any] | None:
        return delegated_nodes(self.interpreter)


class OnnxRuntime:
    """ONNX Runtime on the CPU, nodes one after the other; buffers are bound, so that a run copies nothing."""

    def __init__(self, options: argparse.Namespace) -> None:
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
        settings.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        settings.add_session_config_entry("session.intra_op.allow_spinning", SPINNING)
        session = onnxruntime.InferenceSession(options.model, settings, providers=["CPUExecutionProvider"])
        expect_one(session.get_inputs(), session.get_outputs())
        source, target = session.get_inputs()[0], session.get_outputs()[0]
        if source.type not in ORT_TYPES:
            raise ValueError(f"input of type {source.type}; known are {', '.join(ORT_TYPES)}")
        self.shape = fitting_shape(source.shape, options.input_shape)
        self.dtype = np.dtype(ORT_TYPES[source.type])
        self.value = onnxruntime.OrtValue.ortvalue_from_numpy(np.zeros(self.shape, self.dtype))
        self.binding = session.io_binding()
        self.binding.bind_ortvalue_input(source.name, self.value)
        self.binding.bind_output(target.name)
        self.session = session

    def run(self) -> None:
        self.session.run_with_iobinding(self.binding)

    def set_input(self, value: NDArray[Any]) -> None:
        self.value.update_inplace(value)

    def result(self) -> NDArray[Any]:
        value: NDArray[Any] = self.binding.copy_outputs_to_cpu()[0]
        return value

    def delegation(self) -> dict[str, Any]:
        return {"providers": self.session.get_providers()}


def delegated_nodes(interpreter: Any) -> dict[str, Any] | None:
    """How many nodes the default delegate took, None if this version of the interpreter does not list them.

    Nodes stay listed when a delegate takes them. Its own node names the tensors at both ends, so the nodes it took
    are those met on the way back from its outputs to its inputs.
    """
    if not hasattr(interpreter, "_get_ops_details"):
        return None
    nodes = interpreter._get_ops_details()  # noqa: SLF001 - nothing public tells
    kernels = [node for node in nodes if node["op_name"] == "DELEGATE"]
    maker = {int(tensor): node for node in nodes if node not in kernels for tensor in node["outputs"]}
    taken: set[int] = set()
    for kernel in kernels:
        ends = {int(tensor) for tensor in kernel["inputs"]}
        way = [int(tensor) for tensor in kernel["outputs"]]
        while way:
            tensor = way.pop()
            if tensor in maker and tensor not in ends and maker[tensor]["index"] not in taken:
                taken.add(maker[tensor]["index"])
                way += [int(before) for before in maker[tensor]["inputs"]]
    return {"nodes": len(taken), "nodes_total": len(nodes) - len(kernels), "kernels": len(kernels)}


def expect_one(inputs: Sequence[Any], outputs: Sequence[Any]) -> None:
    if len(inputs) != 1 or len(outputs) != 1:
        raise ValueError(f"{len(inputs)} inputs and {len(outputs)} outputs; networks with one of each are run")


def fitting_shape(own: Sequence[Any], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The shape asked for, if the network agrees or leaves it open (by a name instead of a number)."""
    fits = len(own) == len(wanted) and all(
        not isinstance(own[at], int) or own[at] == wanted[at] for at in range(len(own))
    )
    if not fits:
        raise ValueError(f"the input's shape is {list(own)}, not {list(wanted)}")
    return wanted


def random_input(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """The ranges of benchmark_model, from a fixed seed."""
    draw = np.random.RandomState(0)
    if dtype.kind == "f":
        return draw.uniform(-0.5, 0.5, shape).astype(dtype)
    ranges = {"uint8": (0, 255), "int8": (-127, 128)}
    return draw.randint(*ranges.get(dtype.name, (0, 100)), size=shape).astype(dtype)


def memory() -> dict[str, int] | None:
    """Peak and present RSS in bytes as Linux counts them for this program alone; elsewhere None.

    Not `ru_maxrss`: that begins with the peak of the program which started this one.
    """
    try:
        lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return {key: int(fields[name].split()[0]) * 1024 for key, name in (("peak", "VmHWM"), ("now", "VmRSS"))}
    except (OSError, KeyError, ValueError):
        return None


def timed_runs(network: Litert | OnnxRuntime, value: NDArray[Any], runs: int, min_s: float, max_s: float) -> array[int]:
    """Latencies in nanoseconds, of at least `runs` runs and `min_s`, but of none that would begin after `max_s`."""
    samples = array("q")  # 8 bytes each, to keep the memory measured that of the network
    clock, set_input, run = time.perf_counter_ns, network.set_input, network.run
    start = clock()
    passed = 0
    while (len(samples) < runs or passed < min_s * 1e9) and passed <= max_s * 1e9:
        set_input(value)
        before = clock()
        run()
        after = clock()
        samples.append(after - before)
        passed = after - start
    return samples


def measure(options: argparse.Namespace) -> dict[str, Any]:
    versions(options.package)  # imports what the first load must not pay for
    before = memory()
    started = time.perf_counter_ns()
    network = load(options)
    init_ns = time.perf_counter_ns() - started
    loaded = memory()
    value = random_input(network.shape, network.dtype)
    gc.disable()
    warmup = timed_runs(network, value, options.warmup_runs, options.warmup_min_s, options.max_s)
    samples = timed_runs(network, value, options.runs, options.min_s, options.max_s)
    names = ("threads", "xnnpack", "runs", "min_s", "max_s", "warmup_runs", "warmup_min_s")
    parameters = {
        name: getattr(options, name) for name in names if name != "xnnpack" or options.package != "onnxruntime"
    }
    if options.package == "onnxruntime":
        parameters.update({"allow_spinning": SPINNING, "execution": "sequential", "optimization": "all"})
    return {
        "schema": SCHEMA,
        "package": options.package,
        "versions": versions(options.package),
        "parameters": parameters,
        "init_us": init_ns / 1000,
        "warmup_us": [sample / 1000 for sample in warmup],
        "samples_us": [sample / 1000 for sample in samples],
        "memory_bytes": {"start": before, "loaded": loaded, "end": memory()} if before else None,
        "delegation": network.delegation(),
    }


def compute(options: argparse.Namespace) -> None:
    network = load(options)
    inputs = np.load(options.inputs, mmap_mode="r", allow_pickle=False)
    if inputs.dtype != network.dtype or inputs.shape[1:] != tuple(network.shape[1:]) or network.shape[0] != 1:
        given = f"{inputs.dtype} {list(inputs.shape[1:])}"
        raise ValueError(f"the inputs are {given} each; the network takes {network.dtype} {list(network.shape)}")
    rows = []
    for number in range(len(inputs)):
        network.set_input(np.ascontiguousarray(inputs[number : number + 1]))
        network.run()
        rows.append(np.array(network.result()).reshape(-1))
    buffer = io.BytesIO()
    np.save(buffer, np.stack(rows), allow_pickle=False)
    write_file(options.outputs, buffer.getvalue())


def load(options: argparse.Namespace) -> Litert | OnnxRuntime:
    return OnnxRuntime(options) if options.package == "onnxruntime" else Litert(options)


def versions(package: str) -> dict[str, str]:
    """Of the package, imported to prove that it works here, of NumPy and of Python."""
    module = importlib.import_module(package)
    if package != "onnxruntime":
        importlib.import_module(package + ".interpreter")
    known = getattr(module, "__version__", None) or installed_version(package)
    return {package: known, "numpy": np.__version__, "python": platform.python_version()}


def installed_version(package: str) -> str:
    from importlib import metadata

    return metadata.version(package.replace("_", "-"))


def write_file(path: str, content: bytes) -> None:
    partial = Path(path + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", required=True, choices=PACKAGES)
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--model")
    parser.add_argument("--input-shape", type=lambda text: tuple(int(size) for size in text.split(",")), default=())
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--xnnpack", choices=("on", "off"), default="on")
    for name, kind, default in (("runs", int, 50), ("warmup-runs", int, 1), ("min-s", float, 1.0)):
        parser.add_argument("--" + name, type=kind, default=default)
    for name, default in (("max-s", 150.0), ("warmup-min-s", 0.5)):
        parser.add_argument("--" + name, type=float, default=default)
    for name in ("result", "inputs", "outputs"):
        parser.add_argument("--" + name)
    options = parser.parse_args()
    if not options.probe and not (options.model and (options.result or (options.inputs and options.outputs))):
        parser.error("--model with --result, or with --inputs and --outputs, or --probe")
    return options


def main() -> int:
    options = parse_arguments()
    try:
        if options.probe:
            say(json.dumps(versions(options.package)))
        elif options.inputs:
            compute(options)
        else:
            result = measure(options)
            content = (json.dumps(result, allow_nan=False) + "\n").encode("ascii")
            write_file(options.result, content)
            say(f"INFO: timed loop: {options.package} {result['versions'][options.package]}")
            digest = hashlib.sha256(content).hexdigest()
            say(f"INFO: timed loop result: {len(result['samples_us'])} runs, sha256 {digest}")
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets one line
        sys.stderr.write(f"ERROR: {type(error).__name__}: {' '.join(str(error).split())[:500]}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
