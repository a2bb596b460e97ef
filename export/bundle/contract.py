"""What whoever feeds a bundled file must know of it, as one value: for the snippets and the model card."""

from __future__ import annotations

from dataclasses import dataclass, fields

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
        preprocessing=read_preprocessing(manifest),
        input=artifact.input,
        output=artifact.output,
        classes=manifest.labels["count"],
    )


def read_preprocessing(manifest: Manifest) -> Preprocessing:
    """The preprocessing for whoever feeds the files of an export."""
    names = {field.name for field in fields(Preprocessing)}
    return Preprocessing.from_json({name: value for name, value in manifest.preprocessing.items() if name in names})
