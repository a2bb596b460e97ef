"""The tools that are compared, each with its own defaults, on the same float network and the same pictures."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers import onnx2tf
from benchmarks.peers.subject import Subject, convert
from export.metadata.info import compose_info
from export.metadata.labels import format_labels
from export.precision import PRECISIONS
from export.quantization.settings import QuantizationSettings, parse_settings
from export.stages import Notes, calibrate_stage, onnx_stage, tflite_stage
from export.work import WorkFiles, save_array
from models.data import lazy_pixels, load_dataset, normalise, stratified_sample
from models.errors import ConversionError
from models.worker import Report

Format = Literal["tflite", "onnx"]
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """Something that makes an 8-bit file of a network."""

    name: str
    """In the words of a table."""
    format: Format
    version: Callable[[], str]
    """What its result depends on besides the network and the pictures."""
    make: Callable[[Report, Subject], bytes]
    ours: bool = False


def samples(subject: Subject) -> Iterator[NDArray[np.float32]]:
    """The representative pictures as the float network takes them, float32 `[1, H, W, 3]`."""
    for image in np.load(subject.work.calibration_pixels):
        yield normalise(image[None], subject.spec.preprocessing)


def _float(_: Report, subject: Subject) -> bytes:
    return subject.work.float_tflite.read_bytes()


def _tflite_converter(_: Report, subject: Subject, *, edges: str = "int8") -> bytes:
    """Full integer quantization as TensorFlow's guide has it, from the Keras network; the type of input and output."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    from models.build import fold_batch_norm
    from models.load import into_network, read_checkpoint

    spec = subject.spec
    model = fold_batch_norm(into_network(subject.checkpoint, read_checkpoint(subject.checkpoint), spec), spec)
    shape = (1, spec.resolution_px, spec.resolution_px, 3)

    @tf.function(input_signature=[tf.TensorSpec(shape, tf.float32, name="image")])  # type: ignore[untyped-decorator]
    def serve(image: tf.Tensor) -> tf.Tensor:
        return model(image, training=False)

    frozen = convert_variables_to_constants_v2(serve.get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([image] for image in samples(subject))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = getattr(tf, edges)
    return bytes(converter.convert())


def _litert_quantizer(_: Report, subject: Subject) -> bytes:
    """Its recipe for static int8 with its own calibration."""
    from litert_quantizer import quantizer, recipe

    from export.tflite_file import SIGNATURE

    made = quantizer.Quantizer(subject.work.float_tflite.read_bytes(), recipe.static_wi8_ai8())
    seen = made.calibrate({SIGNATURE: [{"image": image} for image in samples(subject)]})
    result = made.quantize(seen, enable_progress_bar=False, enable_progress_report=False)
    return bytes(result.quantized_model)


def _onnx_runtime(_: Report, subject: Subject) -> bytes:
    """Its preprocessing and its static quantization with quantize/dequantize pairs, weights per output channel."""
    from onnxruntime import quantization as ort
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Pictures(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._left = samples(subject)

        def get_next(self) -> dict[str, Any] | None:
            image = next(self._left, None)
            return None if image is None else {"image": image}

    with tempfile.TemporaryDirectory(prefix="ort-") as folder:
        prepared, made = (Path(folder) / f"{step}.onnx" for step in ("prepared", "int8"))
        # Its symbolic shape inference wants sympy and has nothing to find: all shapes are fixed.
        quant_pre_process(str(subject.work.float_onnx), str(prepared), skip_symbolic_shape=True)
        ort.quantize_static(str(prepared), str(made), Pictures(), per_channel=True)
        return made.read_bytes()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What `python -m export` makes, by its own stages."""

    words: str = ""
    """Levers, as `--quantization` takes them."""
    precision: str = "int8"
    file: Format = "tflite"
    images: int | None = None
    """For calibration; None: as many as the subject has."""

    def __call__(self, report: Report, subject: Subject) -> bytes:
        """The file.

        Raises:
            ConversionError: a stage refused it.
        """
        settings, precision = parse_settings(self.words), PRECISIONS[(self.file, self.precision)]
        with tempfile.TemporaryDirectory(prefix="ours-") as folder:
            work = WorkFiles(Path(folder))
            _fill(report, subject, work, settings, self.images)
            refusal = calibrate_stage(report, subject.spec, settings, work, precision.islands)
            if refusal:
                raise ConversionError(refusal)
            if self.file == "onnx":
                failures = onnx_stage(report, subject.spec, (precision,), work)
            else:
                failures = tflite_stage(report, (precision,), _notes(subject), work)
            for reason in failures.values():
                raise ConversionError(reason)
            return work.made(precision).read_bytes()


def _fill(
    report: Report, subject: Subject, work: WorkFiles, settings: QuantizationSettings, images: int | None
) -> None:
    """Gives an export's private folder the float files and pictures that its later stages read."""
    work.test_pixels.write_bytes(subject.work.test_pixels.read_bytes())
    work.calibration_pixels.write_bytes(subject.work.calibration_pixels.read_bytes())
    if images is not None:
        data, spec = load_dataset(subject.dataset), subject.spec
        chosen = stratified_sample(data.classes, data.splits["train"], images, 0)
        save_array(work.calibration_pixels, lazy_pixels(data, chosen, spec.preprocessing, spec.resolution_px)[:])
    if settings.equalize:
        convert(report, subject, work, settings)
    else:
        work.float_tflite.write_bytes(subject.work.float_tflite.read_bytes())
        work.float_onnx.write_bytes(subject.work.float_onnx.read_bytes())


def _notes(subject: Subject) -> Notes:
    sha = hashlib.sha256(subject.checkpoint.read_bytes()).hexdigest()
    info = compose_info(subject.spec, source=subject.dataset, weights_sha256=sha)
    return Notes(info=info, labels=format_labels(load_dataset(subject.dataset).labels))


def _our_version() -> str:
    """A hash of the code that makes our files: another one, and they are made again."""
    sha = hashlib.sha256()
    for path in sorted([*(ROOT / "export").glob("*.py"), *(ROOT / "export" / "quantization").glob("*.py")]):
        sha.update(path.read_bytes())
    return f"{sha.hexdigest()[:12]} litert-quantizer {version('litert-quantizer')} {version('onnxruntime')}"


def _versions(*packages: str) -> str:
    return " ".join(f"{package} {version(package)}" for package in packages)


def _of(*packages: str) -> Callable[[], str]:
    return partial(_versions, *packages)


FLOAT = Tool(name="float32", format="tflite", version=_of("tensorflow"), make=_float)
OURS = Tool(name="ours", format="tflite", version=_our_version, make=Ours(), ours=True)
OURS_ONNX = replace(OURS, name="ours, ONNX", format="onnx", make=Ours(file="onnx"))
OURS_INT8_EDGES = replace(OURS, name="ours, int8 in and out", make=Ours(precision="int8_npu"))
OURS_FEW = replace(OURS, name="ours, 32 pictures", make=Ours(images=32))
OURS_MANY = replace(OURS, name="ours, 512 pictures", make=Ours(images=512))

CONVERTER_UINT8 = Tool(
    name="TFLiteConverter, uint8 in and out",
    format="tflite",
    version=_of("tensorflow"),
    make=partial(_tflite_converter, edges="uint8"),
)
"""Timed beside our file with the same edges."""

PEERS = (
    Tool(name="TFLiteConverter", format="tflite", version=_of("tensorflow"), make=_tflite_converter),
    Tool(name="litert-quantizer", format="tflite", version=_of("litert-quantizer"), make=_litert_quantizer),
    Tool(name="ONNX Runtime", format="onnx", version=_of("onnxruntime"), make=_onnx_runtime),
    Tool(name="onnx2tf", format="tflite", version=partial(" ".join, onnx2tf.PINS), make=onnx2tf.make),
)

TOOLS: Mapping[str, Tool] = MappingProxyType(
    {
        tool.name: tool
        for tool in (FLOAT, *PEERS, CONVERTER_UINT8, OURS, OURS_INT8_EDGES, OURS_ONNX, OURS_FEW, OURS_MANY)
    }
)
