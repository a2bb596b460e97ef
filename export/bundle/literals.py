"""Text from outside as literals of the languages that a bundle speaks: no name, label or licence can become code."""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Callable


class Literal(str):
    """Source text that is inert where it is meant to stand."""

    __slots__ = ()


def _quoted(text: str, special: str, escape: Callable[[str], str]) -> Literal:
    """`text` in double quotes; what no screen shows, direction marks among it, as escapes that a reader sees."""
    shown = (f"\\{c}" if c in special else c if c.isprintable() else escape(c) for c in text)
    return Literal(f'"{"".join(shown)}"')


def _utf16(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i] << 8 | units[i + 1]:04x}" for i in range(0, len(units), 2))


def kotlin(text: str) -> Literal:
    """A Kotlin string; a `$` in it is no template."""
    return _quoted(text, '\\"$', _utf16)


def javascript(text: str) -> Literal:
    """A JavaScript string that is also JSON, and that ends no `<script>`."""
    return Literal(_quoted(text, '\\"', _utf16).replace("<", "\\u003c"))


def python(text: str) -> Literal:
    """A Python string."""
    return _quoted(text, '\\"', lambda c: f"\\U{ord(c):08x}")


def swift(text: str) -> Literal:
    r"""A Swift string; a `\(` in it is no interpolation. Half a character, which Swift has not, becomes U+FFFD."""
    whole = re.sub("[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text)
    return _quoted(whole, '\\"', lambda c: f"\\u{{{ord(c):x}}}")


def ruby(text: str) -> Literal:
    """A Ruby string in single quotes, for a Podfile."""
    shown = "".join(f"\\{c}" if c in "\\'" else c if c.isprintable() else "?" for c in text)
    return Literal(f"'{shown}'")


def comment(text: str) -> Literal:
    """Text inside a comment to the end of the line, of any of the languages."""
    return Literal("".join(c if c.isprintable() else "?" for c in text))


_MARKUP = re.compile(
    r"""[\\`*{}\[\]<>&|\#~!$^@"']  # wherever they stand; quotes for titles of links
    |(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])  # emphasis begins and ends at words only
    |:(?=/)|(?<=www)\.  # what some readers make links of
    |^[-+](?=[-+\s]|$)|^=  # lists and underlines, at the start of a line
    |(?<=^\d{1})[.)](?=\s|$)
    |(?<=^\d{2})[.)](?=\s|$)
    |(?<=^\d{3})[.)](?=\s|$)
    |(?<=^\d{4})[.)](?=\s|$)
    |(?<=^\d{5})[.)](?=\s|$)
    |(?<=^\d{6})[.)](?=\s|$)
    |(?<=^\d{7})[.)](?=\s|$)
    |(?<=^\d{8})[.)](?=\s|$)
    |(?<=^\d{9})[.)](?=\s|$)
    """,
    re.VERBOSE | re.IGNORECASE,
)


def markdown(text: str) -> Literal:
    """Text as such in Markdown, in a table too: no link, no image, no markup, no HTML."""
    line = " ".join(comment(text).split())
    return Literal(_MARKUP.sub(lambda found: html.escape(found[0]) if found[0] in "<>&\"'" else f"\\{found[0]}", line))


def web(text: str) -> Literal:
    """Text as such in HTML, in a quoted attribute too."""
    return Literal(html.escape(comment(text)))


def number(value: float) -> Literal:
    """A number that all the languages read alike.

    Raises:
        ValueError: it is not finite.
    """
    if not math.isfinite(value):
        raise ValueError(f"{value} is no number that source text can hold")
    return Literal(repr(value))


RESERVED = frozenset(
    ["aux", "con", "nul", "prn", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))]
)  # fmt: skip
"""What Windows opens as a device, with any ending."""


def file_name(text: str) -> str:
    """A name like `text` that every file system, archive and Android's assets take: ASCII, at most 80 characters."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("-.")[:80].rstrip("-.") or "model"
    return f"model-{name}" if name.split(".")[0].lower() in RESERVED else name
