"""Float islands: operators of an int8 TFLite file that compute in float, between a DEQUANTIZE and a QUANTIZE.

The int8 file is taken as it is; the operators of an island come from the float file that it was made of. So every other
operator and every range stays what it was, to the byte.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from export.tflite_file import builtin_name, read_model, set_signature, write_model
from models.errors import ConversionError

FLOAT_SUFFIX = "_float"
"""Of the float twin of a tensor at an island's border, which is int8 under its own name."""


def with_float_islands(int8: bytes, tflite: bytes, layers: Collection[str]) -> bytes:
    """The int8 file with some operators in float, exactly those asked for.

    Args:
        int8: With int8 input and output, made of `tflite`.
        tflite: The float32 file.
        layers: Names of the outputs of the operators that are to be float.

    Raises:
        ConversionError: a name that no operator of both files has.
    """
    model = read_model(int8)
    islands = _Islands(model, read_model(tflite), frozenset(layers))
    missing = sorted(set(layers) - islands.known)
    if missing:
        raise ConversionError(
            f"no operator of the int8 file gives {missing[0]!r}, which was to stay float; name another block"
        )
    islands.build()
    drop_unused(model)
    set_signature(model)
    return write_model(model)


class _Islands:
    """The int8 graph, being changed, and the float one."""

    def __init__(self, model: Any, source: Any, layers: frozenset[str]) -> None:
        self.model, self.graph = model, model.subgraphs[0]
        self.source, self.layers = source, layers
        self.float_operators = {self._name(source, o.outputs[0]): o for o in source.subgraphs[0].operators}
        given = {self._name(model, o.outputs[0]) for o in self.graph.operators}
        self.known = given & self.float_operators.keys()
        self.floats: dict[int, int] = {}
        """Float twins by the int8 tensor."""
        self.constants: dict[int, int] = {}
        """Copies of the float file's constants, some of which several operators read."""

    def build(self) -> None:
        """Replaces the operators, in their order."""
        operators, made = [], []
        for operator in self.graph.operators:
            name = self._name(self.model, operator.outputs[0])
            if name not in self.layers:
                operators.append(operator)
                continue
            operators += self._dequantized(index for index in operator.inputs if index >= 0 and self._computed(index))
            output = int(operator.outputs[0])
            operators.append(self._in_float(operator, self.float_operators[name]))
            if self._read_as_int8(output):
                operators.append(self._convert("QUANTIZE", self.floats[output], output))
                made.append(output)
        self.graph.operators = operators
        for int8, twin in self.floats.items():
            # Inside an island nobody needs the int8 tensor, and the float one takes its name.
            if int8 not in made and self._inside(int8):
                self.graph.tensors[twin].name, self.graph.tensors[int8].name = self.graph.tensors[int8].name, b""

    @staticmethod
    def _name(model: Any, index: int) -> str:
        return str(model.subgraphs[0].tensors[index].name.decode())

    def _computed(self, index: int) -> bool:
        data = self.model.buffers[self.graph.tensors[index].buffer].data
        return data is None or not len(data)

    def _inside(self, index: int) -> bool:
        return self._name(self.model, index) in self.layers

    def _read_as_int8(self, index: int) -> bool:
        readers = (o for o in self.graph.operators if index in o.inputs)
        return index in self.graph.outputs or any(not self._inside(o.outputs[0]) for o in readers)

    def _dequantized(self, indices: Iterable[int]) -> list[Any]:
        """Operators that make the float twins which are not there yet."""
        missing = [index for index in dict.fromkeys(int(index) for index in indices) if index not in self.floats]
        return [self._convert("DEQUANTIZE", index, self._twin(index)) for index in missing]

    def _twin(self, index: int) -> int:
        int8 = self.graph.tensors[index]
        twin = schema.TensorT()
        twin.name, twin.shape, twin.shapeSignature = int8.name + FLOAT_SUFFIX.encode(), int8.shape, int8.shapeSignature
        twin.type, twin.hasRank, twin.buffer = schema.TensorType.FLOAT32, int8.hasRank, 0
        self.graph.tensors.append(twin)
        self.floats[index] = len(self.graph.tensors) - 1
        return self.floats[index]

    def _convert(self, name: str, given: int, output: int) -> Any:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = getattr(schema.BuiltinOperator, name)
        # The first versions that know int8.
        code.version = {"DEQUANTIZE": 2, "QUANTIZE": 1}[name]
        operator = schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self._code(code), [given], [output]
        return operator

    def _in_float(self, int8: Any, source: Any) -> Any:
        """The float file's operator between this graph's tensors."""
        computed = iter([index for index in int8.inputs if index >= 0 and self._computed(index)])
        inputs = []
        for index in source.inputs:
            data = None if index < 0 else self.source.buffers[self.source.subgraphs[0].tensors[index].buffer].data
            if index < 0:
                inputs.append(-1)
            elif data is not None and len(data):
                inputs.append(self._constant(index))
            else:
                inputs.append(self.floats[int(next(computed))])
        source.inputs, source.outputs = inputs, [self._twin(int(int8.outputs[0]))]
        source.opcodeIndex = self._code(self.source.operatorCodes[source.opcodeIndex])
        return source

    def _constant(self, index: int) -> int:
        if index not in self.constants:
            tensor = copy.copy(self.source.subgraphs[0].tensors[index])
            self.model.buffers.append(self.source.buffers[tensor.buffer])
            tensor.buffer = len(self.model.buffers) - 1
            self.graph.tensors.append(tensor)
            self.constants[index] = len(self.graph.tensors) - 1
        return self.constants[index]

    def _code(self, code: Any) -> int:
        codes = self.model.operatorCodes
        for number, known in enumerate(codes):
            if (builtin_name(known), known.version) == (builtin_name(code), code.version):
                return number
        codes.append(code)
        return len(codes) - 1


def drop_unused(model: Any) -> None:
    """Takes tensors that no operator has, buffers that no tensor has and operator codes that nothing uses away."""
    graph = model.subgraphs[0]
    used = {int(i) for o in graph.operators for i in (*o.inputs, *o.outputs) if i >= 0}
    tensors = sorted(used | {int(i) for i in (*graph.inputs, *graph.outputs)})
    place = {-1: -1, **{old: new for new, old in enumerate(tensors)}}
    graph.tensors = [graph.tensors[index] for index in tensors]
    for holder in (graph, *graph.operators):
        holder.inputs, holder.outputs = ([place[int(i)] for i in side] for side in (holder.inputs, holder.outputs))
    kept = {0} | {tensor.buffer for tensor in graph.tensors} | {entry.buffer for entry in model.metadata or ()}
    buffers = sorted(kept)
    for holder in (*graph.tensors, *(model.metadata or ())):
        holder.buffer = buffers.index(holder.buffer)
    model.buffers = [model.buffers[index] for index in buffers]
    codes = sorted({operator.opcodeIndex for operator in graph.operators})
    for operator in graph.operators:
        operator.opcodeIndex = codes.index(operator.opcodeIndex)
    model.operatorCodes = [model.operatorCodes[index] for index in codes]
