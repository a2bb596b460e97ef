"""What only the web snippet needs: Pillow's filters in JavaScript, and where a page without bundler finds LiteRT.js."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from export.bundle.contract import Contract
from export.bundle.literals import Literal, number

LITERT_JS = "2.5.3"
"""Of the npm packages, released together; documented at ai.google.dev/edge/litert/web."""

DTYPES = ("uint8", "float32")
"""Of tensors in LiteRT.js, which has no int8 and no int16 (`DATATYPES` in its index.d.ts)."""

MODULES = ("core", "wasm-utils")
IMPORT_MAP = json.dumps(
    {"imports": {f"@litertjs/{m}": f"./node_modules/@litertjs/{m}/dist/index.js" for m in MODULES}}, indent=2
)
"""Stands in the page; no text from outside is in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """A resampling filter."""

    formula: str
    support: Literal | None
    """How far it reaches on either side, in pixels of whichever of input and output has the larger; None: one pixel."""
    lines: tuple[Literal, ...]
    """JavaScript that returns its value at `x`."""


def _filter(formula: str, support: float | None, *lines: str) -> Filter:
    reach = None if support is None else number(support)
    return Filter(formula=formula, support=reach, lines=tuple(Literal(line) for line in lines))


FILTERS: Mapping[str, Filter] = MappingProxyType(
    {
        "nearest": _filter("The nearest pixel", None),
        "box": _filter("A box", 0.5, "return x > -0.5 && x <= 0.5 ? 1 : 0;"),
        "bilinear": _filter("A triangle", 1.0, "return Math.max(0, 1 - Math.abs(x));"),
        # Keys 1981 with a = -0.5, as Pillow has it; OpenCV and browsers differ.
        "bicubic": _filter(
            "Keys' cubic with a = -0.5",
            2.0,
            "const d = Math.abs(x);",
            "if (d < 1) return (1.5 * d - 2.5) * d * d + 1;",
            "return d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;",
        ),
        "lanczos": _filter(
            "Lanczos' with three lobes",
            3.0,
            "const sinc = (v) => (v === 0 ? 1 : Math.sin(Math.PI * v) / (Math.PI * v));",
            "return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;",
        ),
    }
)
"""By the name in `Preprocessing.resize`, as Pillow computes them."""


def runs_on_web(contract: Contract) -> bool:
    """Whether LiteRT.js takes the file's tensors."""
    return contract.input.dtype in DTYPES and contract.output.dtype in DTYPES


def web_values(contract: Contract) -> dict[str, object]:
    """What the templates below `web/` name beside what all templates do."""
    return {
        "litert_js": LITERT_JS,
        "page_name": f"A page that classifies pictures with {contract.file}",
        "model_url": f"./{contract.file}",
        "import_map": Literal(IMPORT_MAP),
        "import_map_hash": Literal(base64.b64encode(hashlib.sha256(IMPORT_MAP.encode()).digest()).decode()),
        "kernel": FILTERS[contract.preprocessing.resize],
    }
