"""`Network`: a loaded network that is ready to compute batches. A new runtime is a file beside this one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from device_bench.baseline.case import Placement

NO_COPIES = "the CPU computes in the memory where the input is: nothing is copied to a device"
NOT_SEPARABLE = "this provider's buffers cannot stay on the device between calls from Python: copies are in end_to_end"


class Network(Protocol):
    """Each method returns when the device has finished, so that a clock around it is right."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the input: batch, height, width, 3."""
        ...

    @property
    def missing(self) -> Mapping[str, str]:
        """Phases that it does not have, with the reason."""
        ...

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Everything that was set, explicitly."""
        ...

    @property
    def versions(self) -> Mapping[str, str]:
        """Of the libraries that compute."""
        ...

    def put(self, value: NDArray[Any]) -> None:
        """Copies an input to the device."""
        ...

    def run(self) -> None:
        """Computes on the input that is there; the output stays there."""
        ...

    def take(self) -> NDArray[Any]:
        """The output, copied to the host: `[batch, classes]`."""
        ...

    def whole(self, value: NDArray[Any]) -> NDArray[Any]:
        """All three, as an application does it: waiting for the device once, at the end."""
        ...

    def placement(self) -> Placement:
        """Where the last run really computed. Called once, after the last run."""
        ...
