"""What MediaPipe's own resize does to photographs, beside this project's: grey levels between the two inputs.

    .venv/bin/python benchmarks/mediapipe_resize.py [--side PX]

Both pictures come from a network that gives back its input (`tests/export/probe.py`). The two photographs are those in
scikit-learn, 640 x 427 px, scaled to the sizes in the table with Lanczos first. Linux; MediaPipe runs without
connections. How much accuracy it costs a trained network: `python -m export parity build/<model>-<weights>`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from export.mediapipe_task import image_classifier
from models.data import prepare_picture
from models.spec import Preprocessing
from tests.export.probe import make_probe, seen

FACTORS = (0.25, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0)
BYTES = Preprocessing(mean=(0.0, 0.0, 0.0), std=(255.0, 255.0, 255.0))


def main() -> None:
    """Prints a row per size."""
    parser = argparse.ArgumentParser(description="MediaPipe's resize beside ours")
    parser.add_argument("--side", type=int, default=96, help="of the network's input, in pixels (default: %(default)s)")
    side = parser.parse_args().side
    from sklearn.datasets import load_sample_image

    photos = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    print(f"| picture, for an input of {side} px | mean difference, grey levels | 99th percentile |")
    print("| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "probe.tflite"
        path.write_bytes(make_probe(side_px=side))
        with image_classifier(path, 3 * side**2) as classify:
            for factor in FACTORS:
                # Odd and not square, as photographs are for a network; but for the input's own size.
                width, height = (side, side) if factor == 1 else (int(side * factor * 1.25) | 1, int(side * factor) | 1)
                pictures = [np.asarray(photo.resize((width, height), Image.Resampling.LANCZOS)) for photo in photos]
                differences = [
                    np.abs(seen(classify(picture), side) - prepare_picture(picture, BYTES, side))
                    for picture in pictures
                ]
                together = np.concatenate([difference.ravel() for difference in differences])
                print(f"| {width} x {height} | {together.mean():.1f} | {np.percentile(together, 99):.0f} |", flush=True)


if __name__ == "__main__":
    main()
