"""LiteRT on the CPU, with XNNPACK as applications have it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from numpy.typing import NDArray

from device_bench.baseline.case import Placement
from device_bench.baseline.program.network import NO_COPIES
from device_bench.baseline.program.request import Request
from device_bench.runners.timed_loop import delegated_nodes


class Litert:
    """An exported file in LiteRT's interpreter."""

    def __init__(self, request: Request, interpreter_class: Any) -> None:
        """Loads the file.

        Args:
            request: What to do.
            interpreter_class: `ai_edge_litert.interpreter.Interpreter`.
        """
        self._interpreter = interpreter_class(request.model, num_threads=request.threads)
        source, target = self._interpreter.get_input_details()[0], self._interpreter.get_output_details()[0]
        self._source, self._target = source["index"], target["index"]
        self.shape = (request.batch, *(int(size) for size in source["shape"][1:]))
        self._interpreter.resize_tensor_input(self._source, self.shape, strict=False)
        self._interpreter.allocate_tensors()
        self.parameters: Mapping[str, Any] = {"threads": request.threads, "delegate": "xnnpack"}
        self.missing: Mapping[str, str] = dict.fromkeys(("copy_in", "copy_out"), NO_COPIES)
        self.versions: Mapping[str, str] = {"ai-edge-litert": version("ai-edge-litert")}

    def put(self, value: NDArray[Any]) -> None:
        """As `Network.put`."""
        self._interpreter.set_tensor(self._source, value)

    def run(self) -> None:
        """As `Network.run`."""
        self._interpreter.invoke()

    def take(self) -> NDArray[Any]:
        """As `Network.take`."""
        value: NDArray[Any] = self._interpreter.get_tensor(self._target)
        return value

    def whole(self, value: NDArray[Any]) -> NDArray[Any]:
        """As `Network.whole`."""
        self.put(value)
        self.run()
        return self.take()

    def placement(self) -> Placement:
        """As `Network.placement`: LiteRT's Python interpreter has no GPU, so all of it is on the CPU."""
        taken = delegated_nodes(self._interpreter)
        nodes = None
        told = "this version does not list which nodes XNNPACK took"
        if taken is not None:
            rest = taken["nodes_total"] - taken["nodes"]
            nodes = {"xnnpack": taken["nodes"]} | ({"builtin": rest} if rest else {})
            told = f"XNNPACK took {taken['nodes']} of {taken['nodes_total']} nodes"
        return Placement(
            accelerator="cpu",
            device="CPU",
            whole=True,
            nodes=nodes,
            evidence=f"LiteRT's Python interpreter computes on the CPU alone; {told}",
        )
