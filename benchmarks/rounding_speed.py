"""How long rounding by the output takes for the kernels of a network: processor seconds and seconds.

    .venv/bin/python -m benchmarks.rounding_speed [MODEL]

The network has random weights and the pictures are coarse noise, which cost what trained ones and photographs do.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from export.quantization.rounding import IMAGES, round_kernels
from export.to_float import to_tflite
from models.build import build, fold_batch_norm
from models.zoo import lookup


def main() -> None:
    """Prints one line."""
    spec = lookup(sys.argv[1] if len(sys.argv) > 1 else "mobilenet_v2_1.0")
    tflite = to_tflite(fold_batch_norm(build(spec), spec), spec, "logits")
    coarse = np.random.default_rng(0).integers(0, 256, (IMAGES, 28, 28, 3), np.uint8)
    side = -(-spec.resolution_px // 28)
    pictures = coarse.repeat(side, axis=1).repeat(side, axis=2)[:, : spec.resolution_px, : spec.resolution_px]
    start, processor = time.perf_counter(), time.process_time()
    kernels = round_kernels(tflite, pictures, spec.preprocessing, lambda _: None, centred=True)
    print(
        f"{spec.name}: {len(kernels)} kernels, {time.process_time() - processor:.1f} s of the processor, "
        f"{time.perf_counter() - start:.1f} s"
    )


if __name__ == "__main__":
    main()
