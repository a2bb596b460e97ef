"""Source code for one bundled file, in the languages of apps. A new snippet is a row and a template."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from export.bundle.contract import Contract
from export.bundle.literals import Literal
from export.bundle.rendering import render
from export.bundle.web import runs_on_web, web_values

VERSIONS: Mapping[str, str] = MappingProxyType(
    {
        # google-ai-edge/mediapipe#6165 (August 2026): 16 KB pages since 0.10.26, 1.0.0 keeps them.
        "mediapipe_android": "com.google.mediapipe:tasks-vision:1.0.0",
        # developers.google.com/edge/litert/next/android_kotlin, the GPU's too: without the second, 2.3.0 finds none.
        "litert_compiled": "com.google.ai.edge.litert:litert:2.3.0",
        "litert_gpu": "com.google.ai.edge.litert:litert-gpu:2.3.0",
        # ai.google.dev/edge/litert/android: the newest for the class org.tensorflow.lite.Interpreter, which 2.0 had not
        # (google-ai-edge/LiteRT#4775); #43: 16 KB pages.
        "litert_interpreter": "com.google.ai.edge.litert:litert:1.4.2",
        # ai.google.dev/edge/mediapipe/solutions/vision/image_classifier/ios, without a version there.
        "mediapipe_ios": "MediaPipeTasksVision",
        # ai.google.dev/edge/litert/ios/quickstart, likewise.
        "tflite_ios": "TensorFlowLiteSwift",
    }
)
"""What the snippets are written against, and where that is documented."""

PRIVACY_NOTICE = "developers.google.com/edge/mediapipe/solutions/tasks"
"""Of MediaPipe Tasks: pictures stay on the device, metrics of its use are sent, users are to be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """A file of source code."""

    file: str
    """Path below the file's own folder in the bundle; the template is called alike."""
    use: str
    """When to take it, for the bundle's first page."""
    suits: Callable[[Contract], bool]


def _mediapipe(contract: Contract) -> bool:
    return contract.fits_mediapipe


def _all(_: Contract) -> bool:
    return True


def _not_int16(contract: Contract) -> bool:
    # CompiledModel's buffers can be written as float, int, int8 and boolean.
    return contract.input.dtype != "int16"


SNIPPETS: tuple[Snippet, ...] = (
    Snippet(file="android/build.gradle.kts", use="Android: lines for the build file", suits=_all),
    Snippet(file="android/MediaPipeClassifier.kt", use="Android, the least code: MediaPipe Tasks", suits=_mediapipe),
    Snippet(
        file="android/CompiledModelClassifier.kt", use="Android, GPU or NPU: LiteRT's CompiledModel", suits=_not_int16
    ),
    Snippet(file="android/InterpreterClassifier.kt", use="Android, as TensorFlow Lite was: Interpreter", suits=_all),
    Snippet(file="ios/Podfile", use="iOS: lines for the Podfile", suits=_all),
    Snippet(file="ios/MediaPipeClassifier.swift", use="iOS, the least code: MediaPipe Tasks", suits=_mediapipe),
    Snippet(file="ios/InterpreterClassifier.swift", use="iOS: TensorFlow Lite's Interpreter", suits=_all),
    Snippet(file="python/classify.py", use="Python: a program that runs as it is", suits=_all),
    Snippet(file="web/classify.js", use="Web: LiteRT.js; its first lines say how to see it run", suits=runs_on_web),
    Snippet(file="web/index.html", use="Web: a page that runs it", suits=runs_on_web),
    Snippet(file="web/page.js", use="Web: the page's script", suits=runs_on_web),
    Snippet(file="web/package.json", use="Web: lines for package.json", suits=runs_on_web),
)


def render_snippets(contract: Contract) -> dict[str, str]:
    """Text of every snippet that suits a file, by its path below the file's own folder."""
    dtype, preprocessing = contract.input.dtype, contract.preprocessing
    values = {
        "c": contract,
        "versions": VERSIONS,
        "notice": PRIVACY_NOTICE,
        "feeds": describe_feed(contract),
        "fit_words": describe_fit(contract),
        "crop": preprocessing.fit == "crop",
        "pad": preprocessing.fit == "pad",
        "resampling": preprocessing.resize.upper(),
        # Parts of Kotlin's expressions. Its bytes have signs, and `and` binds less than a minus.
        "minus": Literal(" - 128" if dtype == "int8" else ""),
        "byte_in": Literal("(byte - 128)" if dtype == "int8" else "byte"),
        "signed_output_get": Literal(_unsigned("output.get().toInt()", contract)),
        "signed_output_at": Literal(_unsigned("stored[it].toInt()", contract)),
        "input_bytes": _SIZES_BYTES[dtype],
        "output_bytes": _SIZES_BYTES[contract.output.dtype],
        **web_values(contract),
    }
    return {row.file: render(row.file, **values) for row in SNIPPETS if row.suits(contract)}


_SIZES_BYTES = {"float32": 4, "int16": 2, "int8": 1, "uint8": 1}


def _unsigned(expression: str, contract: Contract) -> str:
    return f"({expression} and 0xFF)" if contract.output.dtype == "uint8" else expression


def describe_feed(contract: Contract) -> str:
    """What is put into the input tensor, of bytes 0..255."""
    normalised = f"(byte - {contract.mean:g}) / {contract.std:g}"
    return {
        "uint8": "the bytes 0..255 as they are",
        "int8": "byte - 128",
        "int16": f"round({normalised} / {contract.input.scale!r}) + {contract.input.zero_point}",
    }.get(contract.input.dtype, normalised)


def describe_fit(contract: Contract) -> str:
    """How a picture of any shape becomes the square input."""
    size, how = f"{contract.side_px} x {contract.side_px} px", contract.preprocessing.resize
    return {
        "stretch": f"stretched to {size} ({how}, antialiased)",
        "crop": f"its middle square, {contract.preprocessing.crop_share:.4g} of the shorter side, scaled to {size} "
        f"({how}, antialiased)",
        "pad": f"scaled to fit {size} ({how}, antialiased), with black bars",
    }[contract.preprocessing.fit]
