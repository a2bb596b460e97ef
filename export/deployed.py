"""What exported files take, where the network was trained with more than apps can express: the rest is in their graph.

Readers such as MediaPipe know RGB and one mean and one standard deviation for all channels, and so do integer inputs,
which have one scale. A network trained with a mean per channel (torchvision's) or in BGR (Caffe's) is therefore given a
1x1 convolution in front: one kernel value per channel, at its place, so that not even 8 bits round it. Folding the
means into the first layer instead would change what lies beyond the picture's border, which that layer fills with
zeros.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from models.data import Pixels
from models.presets import PRESETS
from models.spec import Preprocessing

FRONT = "normalise_input"
"""Name of the convolution in front, and of its output tensor."""

_TAKEN = PRESETS["zero-to-one"]
"""What a file with a front takes. Its zero point is 0, so that integer inputs keep it exactly."""


def deployed(trained: Preprocessing) -> Preprocessing:
    """The preprocessing for whoever feeds the files of a network that was trained with `trained`."""
    if not has_front(trained):
        return trained
    return replace(trained, mean=_TAKEN.mean, std=_TAKEN.std, channel_order="RGB")


def has_front(trained: Preprocessing) -> bool:
    """Whether the files' graph does a part of the preprocessing."""
    return len(set(trained.mean)) > 1 or len(set(trained.std)) > 1 or trained.channel_order != "RGB"


def front(trained: Preprocessing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Kernel `[1, 1, 3, 3]` and bias `[3]` that make the network's input of a file's input."""
    kernel = np.zeros((1, 1, 3, 3))
    for channel, std in enumerate(trained.std):
        source = 2 - channel if trained.channel_order == "BGR" else channel
        kernel[0, 0, source, channel] = _TAKEN.std[0] / std
    bias = -np.array(trained.mean) / np.array(trained.std)
    return kernel.astype(np.float32), bias.astype(np.float32)


def as_trained(pixels: Pixels, trained: Preprocessing) -> Pixels:
    """Pictures in the files' order of channels, uint8 `[N, H, W, 3]`, in the network's."""
    return pixels[..., ::-1] if trained.channel_order == "BGR" else pixels
