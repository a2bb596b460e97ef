"""Whatever a name holds, it stays a string: read back by each language's own rules, or by its own parser."""

import ast
import html
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
import tree_sitter_kotlin
import tree_sitter_swift
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from tree_sitter import Language, Parser

from export.bundle import literals

HOSTILE = [
    '"; System.exit(0) //',
    "${Runtime.getRuntime().exec(\"sh\")}",
    "\\(exit(0))",
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "[click](javascript:alert(1))",
    "`code` | table\n# heading",
    "'''\"\"\"\\",
    "\N{RIGHT-TO-LEFT OVERRIDE}gnp.exe",
    "line\u2028separator\x00\x1b[31m",
    "\ud800",
    "#{exit}",
    "Straße 犬 😀",
]  # fmt: skip
TEXTS = st.text() | st.text(st.characters(codec=None)) | st.sampled_from(HOSTILE)


@settings(deadline=None)
@given(TEXTS)
def test_python_reads_its_literal_back_as_the_text(text: str) -> None:
    assert ast.literal_eval(literals.python(text)) == text


@settings(deadline=None)
@given(TEXTS)
def test_javascript_reads_its_literal_back_and_no_script_ends_in_it(text: str) -> None:
    made = literals.javascript(text)
    assert json.loads(made) == text
    assert "<" not in made


@settings(deadline=None)
@given(TEXTS)
def test_kotlin_reads_its_literal_back_as_the_text(text: str) -> None:
    made = literals.kotlin(text)
    # Kotlin's escapes are JSON's, and one for the dollar sign, which must never stand alone.
    assert not re.search(r"(?<!\\)(?:\\\\)*\$", made)
    assert json.loads(re.sub(r"\\(\\|\$)", lambda m: "$" if m[1] == "$" else r"\\", made)) == text


@settings(deadline=None)
@given(TEXTS)
def test_swift_reads_its_literal_back_as_the_text(text: str) -> None:
    def read(escape: re.Match[str]) -> str:
        return chr(int(escape[1], 16)) if escape[1] else escape[0][1]

    made = literals.swift(text)
    assert re.sub(r"\\u\{([0-9a-f]+)\}|\\.", read, made[1:-1]) == re.sub(
        "[\ud800-\udfff]", "\N{REPLACEMENT CHARACTER}", text
    )


PARSERS = [
    (tree_sitter_kotlin.language, "val x = {}\n", literals.kotlin),
    (tree_sitter_swift.language, "let x = {}\n", literals.swift),
]


@pytest.mark.parametrize(("language", "statement", "quote"), PARSERS, ids=["kotlin", "swift"])
@settings(deadline=None)
@given(text=TEXTS)
def test_a_real_parser_sees_one_string_without_templates(
    language: Callable[[], object], statement: str, quote: Callable[[str], str], text: str
) -> None:
    tree = Parser(Language(language())).parse(statement.format(quote(text)).encode())
    assert not tree.root_node.has_error
    assert "interpol" not in str(tree.root_node)


@settings(deadline=None)
@given(TEXTS)
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    # GitHub's dialect: tables and links that nobody marked as such.
    made = literals.markdown(text)
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").renderInline(made)
    assert html.unescape(shown) == shown_again(text)
    assert "<" not in shown
    table = MarkdownIt("commonmark").enable("table").render(f"| a | b |\n|---|---|\n| {made} | end |\n")
    assert table.count("<td>") == 2
    # At the start of a line, where lists, headings and rules begin.
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(f"{made}\n")
    assert html.unescape(page).removeprefix("<p>").removesuffix("</p>\n") == shown_again(text)


def shown_again(text: str) -> str:
    return " ".join(literals.comment(text).split())


@settings(deadline=None)
@given(TEXTS)
def test_html_shows_the_text_and_no_element(text: str) -> None:
    class Reader(HTMLParser):
        found = ""
        elements = 0

        def handle_data(self, data: str) -> None:
            self.found += data

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.elements += 1
            assert tag == "p"
            assert attrs == [("title", literals.comment(text))]

    reader = Reader()
    reader.feed(f'<p title="{literals.web(text)}">{literals.web(text)}</p>')
    reader.close()
    assert (reader.found, reader.elements) == (literals.comment(text), 1)


@settings(deadline=None)
@given(TEXTS)
def test_a_comment_stays_on_its_line_and_turns_nothing_around(text: str) -> None:
    made = literals.comment(text)
    assert made.isprintable()
    assert len(f"// {made}".splitlines()) == 1


@settings(deadline=None)
@given(TEXTS)
def test_a_file_name_fits_every_file_system(text: str) -> None:
    made = literals.file_name(text)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,85}", made)
    assert not made.endswith((".", " "))
    assert made.split(".")[0].lower() not in literals.RESERVED


@pytest.mark.parametrize(
    ("text", "name"),
    [("mobilenet_v2_1.4", "mobilenet_v2_1.4"), ("../../x", "x"), ("CON", "model-CON"), ("nul.txt", "model-nul.txt"),
     ("犬", "model"), ("Größe 1", "Groe-1"), ("a/b\\c:d", "a-b-c-d"), ("x" * 200, "x" * 80)],
)  # fmt: skip
def test_names_of_files_are_like_the_names_they_stand_for(text: str, name: str) -> None:
    assert literals.file_name(text) == name


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_source_text_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="no number that source text can hold"):
        literals.number(value)
