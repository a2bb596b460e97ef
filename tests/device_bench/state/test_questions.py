import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bench.state.questions import Answer, Findings, ask, clean
from models.errors import ProgramError
from tests.device_bench.fake_targets import KINDS, ShellTarget, TableTarget, make_root


@pytest.fixture(params=KINDS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> ShellTarget:
    return ShellTarget(*make_root(tmp_path, request.param))


def test_all_questions_take_one_round_trip_and_keep_their_answers_apart(shell: ShellTarget) -> None:
    answers = ask(shell, {"one": "echo 1; echo 2", "two": "printf %s 'no line end'", "three": "true"})
    assert len(shell.scripts) == 1
    assert answers == {
        "one": Answer(text="1\n2\n", exit_code=0),
        "two": Answer(text="no line end", exit_code=0),
        "three": Answer(text="", exit_code=0),
    }


def test_exit_codes_and_absent_programs_are_told_apart(shell: ShellTarget) -> None:
    answers = ask(
        shell, {"bad": "echo x; exit 7", "absent": "no-such-program --now", "quiet": "true", "good": "echo x"}
    )
    assert answers["bad"].refusal("bad") == "bad failed with exit code 7"
    assert answers["absent"].refusal("thing") == "no thing on this target"
    assert answers["quiet"].refusal("quiet") == "quiet printed nothing"
    assert answers["good"].refusal("good") is None


def test_a_question_that_ends_its_shell_or_reads_input_does_not_take_the_next_ones_along(shell: ShellTarget) -> None:
    answers = ask(shell, {"leaves": "exit 0", "reads": "cat", "cd": "cd /", "last": "echo here"})
    assert [answers[name].text for name in ("leaves", "reads", "last")] == ["", "", "here\n"]


def test_error_output_is_not_taken_for_an_answer(shell: ShellTarget) -> None:
    shell.merged = True
    assert ask(shell, {"q": "echo noise >&2; echo answer"})["q"].text == "answer\n"


def test_an_endless_answer_is_cut_on_the_target_and_marked(shell: ShellTarget) -> None:
    started = time.monotonic()
    answers = ask(shell, {"endless": "while :; do echo aaaaaaaaaaaaaaaaaaaaaaaaaaa; done", "next": "echo fine"})
    assert answers["endless"].exit_code is None
    assert answers["endless"].refusal("endless") == "endless printed more than was asked for"
    assert len(answers["endless"].text) <= 512 * 1024
    assert answers["next"].text == "fine\n"
    assert time.monotonic() - started < 10


def test_an_old_head_without_bytes_leaves_the_answers_whole(shell: ShellTarget) -> None:
    shell.root.command("head", "exit 1")
    assert ask(shell, {"q": "echo answer"})["q"] == Answer(text="answer\n", exit_code=0)


def test_invalid_utf8_and_carriage_returns_are_survived() -> None:
    answers = ask(TableTarget({"q": b"\xff\xfe caf\xc3\xa9\r\n"}), {"q": "x"})
    assert answers["q"].text == "\ufffd\ufffd café\r\n"


def test_marks_of_another_call_in_an_answer_are_only_text(shell: ShellTarget) -> None:
    text = "0123456789abcdef begin next\n0123456789abcdef end 0\n"
    shell.root.write("proc/hostile", text)
    answers = ask(shell, {"q": "cat /proc/hostile", "next": "echo real"})
    assert answers["q"].text == text
    assert answers["next"].text == "real\n"


def test_a_shell_that_dies_in_the_middle_is_a_transient_error(shell: ShellTarget) -> None:
    message = (
        r"fake phone: the shell ended after 1 of 3 questions, before 'two' \(exit code 137: Killed\);"
        r" run the same command again"
    )
    shell.dies_after = "begin one"
    with pytest.raises(ProgramError, match=message) as caught:
        ask(shell, {"one": "echo 1", "two": "echo 2", "three": "echo 3"})
    assert caught.value.transient


def test_no_question_is_no_round_trip() -> None:
    target = TableTarget({})
    assert ask(target, {}) == {}
    assert target.asked == 0


@given(st.binary(max_size=300))
def test_any_bytes_come_back_as_one_text(data: bytes) -> None:
    answer = ask(TableTarget({"q": data}), {"q": "x"})["q"]
    assert answer == Answer(text=data.decode(errors="replace"), exit_code=0)


@given(st.text(max_size=2000), st.integers(2, 300))
def test_cleaned_text_is_short_and_cannot_steer_a_terminal(text: str, longest: int) -> None:
    result = clean(text, longest=longest)
    assert len(result) <= longest
    assert result.isprintable()
    assert result == result.strip()


def test_clean_keeps_words_and_shows_that_something_was_cut() -> None:
    assert clean(" Pixel\t9\n\x1b[31mPro\u202e ") == "Pixel 9 [31mPro"
    assert clean("a" * 300) == "a" * 199 + "…"


def test_a_finding_that_is_missing_has_its_reason() -> None:
    found = Findings()
    found.put("known", 0, "never needed")
    found.put("unknown", None, "nobody knows")
    found.read("number", Answer(text="5\n", exit_code=0), int, "five")
    found.read("refused", Answer(text="5\n", exit_code=3), int, "five")
    found.read("silent", Answer(text="x", exit_code=0), lambda _: None, "five")
    assert found.values == {"known": 0, "unknown": None, "number": 5, "refused": None, "silent": None}
    assert found.missing == {
        "unknown": "nobody knows",
        "refused": "five failed with exit code 3",
        "silent": "five does not tell",
    }
