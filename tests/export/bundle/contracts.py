"""Contracts of every kind of file, without a file."""

import itertools
from dataclasses import replace
from typing import Any

from export.bundle.contract import Contract
from export.contents import TensorInfo
from models.spec import FITS, Preprocessing

DTYPES = ("uint8", "int8", "int16", "float32")


def make_contract(
    dtype: str = "uint8", fit: str = "stretch", output: str = "probabilities", **changes: Any
) -> Contract:
    stored = {} if dtype == "float32" else {"scale": 1 / 256, "zero_point": -128 if dtype == "int8" else 0}
    preprocessing = Preprocessing(mean=(127.5,) * 3, std=(127.5,) * 3, fit=fit, crop_share=0.875)
    made = Contract(
        model="mobilenet_v2_1.4",
        file="mobilenet_v2_1.4-int8.tflite",
        precision="int8",
        side_px=224,
        preprocessing=preprocessing,
        input=TensorInfo(name="image", dtype=dtype, shape=(1, 224, 224, 3), **stored),  # type: ignore[arg-type]
        output=TensorInfo(name=output, dtype=dtype, shape=(1, 10), **stored),  # type: ignore[arg-type]
        classes=10,
    )
    return replace(made, **changes)


ALL = [make_contract(*kind) for kind in itertools.product(DTYPES, FITS, ("probabilities", "logits"))]
IDS = [f"{c.input.dtype}-{c.preprocessing.fit}-{c.output.name}" for c in ALL]
