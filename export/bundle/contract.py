"""What whoever feeds a bundled file must know of it, as one value: for the snippets and the model card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from export.artifact import Artifact, Manifest
from export.contents import TensorInfo
from models.spec import Preprocessing


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One file's input and output."""

    model: str
    """The network's name, which may come from outside."""
    file: str
    """Name of the `.tflite` file, safe everywhere."""
    precision: str
    side_px: int
    """Of the square input."""
    preprocessing: Preprocessing
    """RGB, one mean and std: what is more is in the graph."""
    input: TensorInfo
    output: TensorInfo
    classes: int

    @property
    def gives_logits(self) -> bool:
        """Whether a softmax is still to be done."""
        return self.output.name == "logits"

    @property
    def mean(self) -> float:
        """Of float inputs, in grey levels."""
        return self.preprocessing.mean[0]

    @property
    def std(self) -> float:
        """Of float inputs, in grey levels."""
        return self.preprocessing.std[0]

    @property
    def fits_mediapipe(self) -> bool:
        """Whether MediaPipe's image classifier does all of it: uint8 or float, the whole picture stretched, a softmax.

        It refuses int8 and int16, never crops or pads, and shows logits as they are.
        """
        return (
            self.input.dtype in ("uint8", "float32")
            and self.output.dtype in ("uint8", "float32")
            and self.preprocessing.fit == "stretch"
            and not self.gives_logits
        )


def read_contract(manifest: Manifest, artifact: Artifact, file: str) -> Contract:
    """The contract of one exported file that is called `file` in its bundle."""
    return Contract(
        model=manifest.model["name"],
        file=file,
        precision=artifact.precision,
        side_px=manifest.model["resolution_px"],
        preprocessing=_read_preprocessing(manifest.preprocessing),
        input=artifact.input,
        output=artifact.output,
        classes=manifest.labels["count"],
    )


def bundled_contract(manifest: Mapping[str, Any], model: Mapping[str, Any]) -> Contract:
    """The contract of one model as a bundle's manifest states it.

    Raises:
        KeyError, TypeError: the manifest has another form.
    """
    ends = {side: {name: model[side][name] for name in TensorInfo.__slots__} for side in ("input", "output")}
    return Contract(
        model=manifest["model"]["name"],
        file=model["file"].rpartition("/")[2],
        precision=model["precision"],
        side_px=manifest["model"]["resolution_px"],
        preprocessing=_read_preprocessing(manifest["preprocessing"]),
        input=TensorInfo.from_json(ends["input"]),
        output=TensorInfo.from_json(ends["output"]),
        classes=manifest["labels"]["count"],
    )


def _read_preprocessing(value: Mapping[str, Any]) -> Preprocessing:
    """The preprocessing for whoever feeds the files."""
    names = {field.name for field in fields(Preprocessing)}
    return Preprocessing.from_json({name: said for name, said in value.items() if name in names})
