"""The script people write instead: one TFLiteConverter run per precision, Keras' ONNX export, quantize_static.

Makes the same eight files as `python -m export run` and verifies nothing. Usage:
plain_script.py CHECKPOINT OUT_DIR MODEL CALIBRATION_IMAGES
"""

import sys
from pathlib import Path

import keras
import onnx
import tensorflow as tf
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.transformers.float16 import convert_float_to_float16

from models.data import load_dataset, normalise, preprocess
from models.zoo import lookup

checkpoint, out, name, count = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
spec = lookup(name)
dataset = load_dataset("digits")
images = tuple(dataset.images[i] for i in dataset.splits["train"][:count])
samples = normalise(preprocess(images, spec.preprocessing, spec.resolution_px), spec.preprocessing)
trained = keras.saving.load_model(checkpoint, compile=False)
model = keras.Model(trained.input, keras.layers.Softmax()(trained.output))


def representative():
    for sample in samples:
        yield [sample[None]]


def convert(precision: str) -> bytes:
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision.startswith("int8"):
        converter.representative_dataset = representative
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        edge = tf.int8 if precision == "int8_npu" else tf.uint8
        converter.inference_input_type = converter.inference_output_type = edge
    return converter.convert()


for precision in ("float32", "float16", "dynamic_range", "int8", "int8_npu"):
    (out / f"{name}-{precision}.tflite").write_bytes(convert(precision))

model.export(out / f"{name}-float32.onnx", format="onnx", verbose=False)
float_onnx = onnx.load(out / f"{name}-float32.onnx")
input_name = float_onnx.graph.input[0].name
onnx.save(convert_float_to_float16(float_onnx, keep_io_types=True), out / f"{name}-float16.onnx")


class Reader(CalibrationDataReader):
    def __init__(self):
        self.feeds = iter([{input_name: sample[None]} for sample in samples])

    def get_next(self):
        return next(self.feeds, None)


quantize_static(
    out / f"{name}-float32.onnx",
    out / f"{name}-int8.onnx",
    Reader(),
    quant_format=QuantFormat.QDQ,
    per_channel=True,
    activation_type=QuantType.QInt8,
    weight_type=QuantType.QInt8,
)
