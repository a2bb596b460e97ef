"""How kernels are stored as int8: their scales, and float files whose kernels 8 bits can hold."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.quantization.ranges import Ranges
from export.tflite_file import builtin_name, read_model, write_model
from models.errors import ConversionError

LEVEL = 127
"""Greatest stored weight; -128 is not used, so that a kernel is symmetric."""

CHANNEL_LAST = {"CONV_2D": False, "FULLY_CONNECTED": False, "DEPTHWISE_CONV_2D": True}
"""Operators with a kernel, and whether the output channel is its last axis, or its first."""

Kernels = dict[str, NDArray[np.float32]]
"""Kernels by their name, `<layer>/kernel`, shaped as TFLite has them."""


def kernel_steps(weights: NDArray[np.float64], *, per_tensor: bool) -> NDArray[np.float64]:
    """The step of each output channel `[channels]` in which int8 stores weights `[..., channels]`; 1 for zeros."""
    greatest = np.abs(weights).reshape(-1, weights.shape[-1]).max(axis=0)
    if per_tensor:
        greatest = np.full_like(greatest, greatest.max())
    return np.where(greatest > 0, greatest, LEVEL) / LEVEL


def nearest_weights(weights: NDArray[np.float64], *, per_tensor: bool) -> NDArray[np.float64]:
    """Weights `[..., channels]` as int8 stores them unless somebody chose otherwise: each rounded to the nearest."""
    steps = kernel_steps(weights, per_tensor=per_tensor)
    return np.asarray(np.clip(np.round(weights / steps), -LEVEL, LEVEL) * steps)


def with_kernels(tflite: bytes, kernels: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The float TFLite file with other kernels."""
    model = read_model(tflite)
    for tensor in model.subgraphs[0].tensors:
        if (kernel := kernels.get(tensor.name.decode())) is not None:
            replace_constant(model, tensor, kernel)
    return write_model(model)


def replace_constant(model: Any, tensor: Any, values: NDArray[np.float32]) -> None:
    """Gives a tensor another constant, in a buffer of its own: equal constants share theirs."""
    buffer = copy.copy(model.buffers[tensor.buffer])
    buffer.data = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint8)
    model.buffers.append(buffer)
    tensor.buffer = len(model.buffers) - 1


def with_onnx_kernels(source: bytes, tflite: bytes, kernels: Mapping[str, NDArray[np.float32]]) -> bytes:
    """The float ONNX file with other kernels: those of the TFLite file, whose names they have, in ONNX's order.

    Args:
        source: The ONNX file.
        tflite: The TFLite file that it was made from, with its own kernels.
        kernels: The new ones.

    Raises:
        ConversionError: a kernel in the ONNX file is not the TFLite file's.
    """
    model, old = onnx.load_from_string(source), read_model(tflite)
    before = {
        tensor.name.decode(): old.buffers[tensor.buffer].data.view(np.float32).reshape(tensor.shape)
        for tensor in old.subgraphs[0].tensors
        if tensor.name.decode() in kernels
    }
    for tensor in model.graph.initializer:
        if tensor.name in kernels:
            stored = onnx.numpy_helper.to_array(tensor)
            turn = _turn(tensor.name, before[tensor.name], stored)
            made = np.transpose(kernels[tensor.name], turn).reshape(stored.shape)
            tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(made), tensor.name))
    return bytes(model.SerializeToString(deterministic=True))


_TURNS = {2: ((0, 1), (1, 0)), 4: ((0, 3, 1, 2), (3, 0, 1, 2), (0, 1, 2, 3))}
"""Orders of a kernel's axes that tf2onnx gives them: full kernels, depthwise ones `[1, h, w, channels]`, none."""


def _turn(name: str, kernel: NDArray[np.float32], stored: NDArray[np.float32]) -> tuple[int, ...]:
    """The order of axes that makes a TFLite kernel the ONNX one; the values themselves tell which."""
    turns = [axes for axes in _TURNS[kernel.ndim] if np.array_equal(np.transpose(kernel, axes).ravel(), stored.ravel())]
    if not turns:
        raise ConversionError(
            f"{name} of shape {stored.shape} in the ONNX file is not the TFLite file's of shape {kernel.shape}, so "
            "that int8 cannot store it alike; export the other precisions"
        )
    # Of a kernel that is all zeros, the shape tells.
    return next((axes for axes in turns if np.transpose(kernel, axes).shape == stored.shape), turns[0])


def with_storable_biases(tflite: bytes, ranges: Ranges, *, bits: int, per_tensor: bool = False) -> bytes:
    """The float network with one small weight in each dead kernel, so that the channel's bias can be stored.

    A bias is an int32 in steps of input scale times kernel scale. Training leaves channels whose kernel is nearly zero;
    their steps are so small that the bias overflows, to a large one of the wrong sign. The weight that prevents it
    moves the channel by 3e-5 of its bias at most (4e-3 with 16-bit inputs).

    Args:
        tflite: The float file.
        ranges: Of all activations.
        bits: Of the activations, 8 or 16.
        per_tensor: Whether a kernel has one scale, which is too small only where all its channels are.
    """
    model = read_model(tflite)
    for kernel, weights, _ in _storable(model, ranges, bits=bits, per_tensor=per_tensor):
        replace_constant(model, kernel, weights)
    return write_model(model)


def storable_kernels(tflite: bytes, ranges: Ranges, *, per_tensor: bool = False) -> Kernels:
    """The kernels that `with_storable_biases` changes, for activations of 8 bits, as it changes them.

    ONNX Runtime's tools take a step of 1 for a channel of zeros, and its bias is then rounded to steps of the input.
    """
    found = _storable(read_model(tflite), ranges, bits=8, per_tensor=per_tensor)
    return {kernel.name.decode(): weights for kernel, weights, raised in found if raised}


def _storable(
    model: Any, ranges: Ranges, *, bits: int, per_tensor: bool
) -> Iterator[tuple[Any, NDArray[np.float32], bool]]:
    """Every kernel's tensor, its weights as their bias needs them, and whether any had to be raised."""
    graph = model.subgraphs[0]
    for operator in graph.operators:
        name = builtin_name(model.operatorCodes[operator.opcodeIndex])
        if name not in CHANNEL_LAST or len(operator.inputs) < 3 or operator.inputs[2] < 0:
            continue
        given, kernel, bias = (graph.tensors[index] for index in operator.inputs[:3])
        low, high = ranges[given.name.decode()]
        scale = max(-low, high) / 32767 if bits == 16 else (high - low) / 255
        # Half the range of int32, so that the products have room beside the bias.
        least = np.abs(model.buffers[bias.buffer].data.view(np.float32)) * LEVEL / (scale * 2**30)
        before = model.buffers[kernel.buffer].data.view(np.float32)
        weights = before.copy()
        channels = weights.reshape(-1, len(least)).T if CHANNEL_LAST[name] else weights.reshape(len(least), -1)
        _raise_weights(channels, least, per_tensor=per_tensor)
        yield kernel, weights.reshape(tuple(kernel.shape)), not np.array_equal(before, weights)


def _raise_weights(channels: NDArray[np.float32], least: NDArray[Any], *, per_tensor: bool) -> None:
    """Gives kernels `[channels, weights]` that are nowhere as large as they must be such a weight, in place."""
    if per_tensor:
        worst = int(np.argmax(least))
        if np.abs(channels).max() < least[worst]:
            channels[worst, 0] = least[worst]
        return
    dead = np.abs(channels).max(axis=1) < least
    channels[dead, 0] = least[dead]
