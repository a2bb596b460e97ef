"""Many small questions to a target in one round trip: a script of marked sections, and what came back, by name.

A round trip over adb costs tens of milliseconds, and between two looks the state may change; so one script asks all.
Answers are foreign text: each is cut to a size on the target, and nothing in it can be taken for a mark.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from device_bench.target import Target
from models.errors import ProgramError

LARGEST_ANSWER_BYTES = 512 * 1024
"""`dumpsys power` of a busy phone has about 150 kB; all else is far smaller."""

_LONGEST_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one command printed to standard output."""

    text: str
    exit_code: int | None
    """None if the output was longer than allowed, so that its end and the code were cut off."""

    def refusal(self, program: str) -> str | None:
        """Why this cannot be used; None if it can."""
        if self.exit_code is None:
            return f"{program} printed more than was asked for"
        if self.exit_code in (126, 127):
            return f"no {program} on this target"
        if self.exit_code:
            return f"{program} failed with exit code {self.exit_code}"
        return None if self.text.strip() else f"{program} printed nothing"


@dataclass(slots=True)
class Findings:
    """Values under way to a frozen record: each is there, or None with its reason in `missing`."""

    values: dict[str, Any] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: Any, reason: str) -> None:
        """Keeps the value; if it is None, the reason why."""
        self.values[name] = value
        if value is None:
            self.missing[name] = reason

    def read(self, name: str, answer: Answer, parse: Callable[[str], Any], program: str) -> None:
        """Keeps what `parse` makes of the answer; None from it means that the answer does not tell."""
        refusal = answer.refusal(program)
        value = None if refusal else parse(answer.text)
        self.put(name, value, refusal or f"{program} does not tell")


def ask(
    target: Target,
    questions: Mapping[str, str],
    *,
    timeout_s: float = 45.0,
    largest_bytes: int = LARGEST_ANSWER_BYTES,
) -> dict[str, Answer]:
    """Answers to shell commands of our own, by the names given to them.

    Args:
        target: Who is asked.
        questions: POSIX shell commands by name; every word from outside in them is quoted by the caller.
        timeout_s: For all together. `dumpsys` alone waits up to 10 s for a service that hangs.
        largest_bytes: Of each answer; the rest is cut off.

    Raises:
        DeviceError: no answer; ProgramError (transient) if the shell there ended before the last one.
    """
    mark = secrets.token_hex(8)
    if not questions:
        return {}
    finished = target.shell(_script(questions, mark, largest_bytes), timeout_s=timeout_s)
    text = finished.stdout.decode(errors="replace")
    answers: dict[str, Answer] = {}
    for name in questions:
        _, begin, rest = text.partition(f"\n{mark} begin {name}\n")
        if not begin:
            said = clean(finished.stderr.decode(errors="replace")) or "no message"
            raise ProgramError(
                f"{target.name}: the shell ended after {len(answers)} of {len(questions)} questions, before {name!r}"
                f" (exit code {finished.exit_code}: {said}); run the same command again",
                transient=True,
            )
        section, _, _ = rest.partition(f"\n{mark} begin ")
        answers[name] = _answer(section, f"\n{mark} end ")
    return answers


def clean(text: str, *, longest: int = _LONGEST_TEXT) -> str:
    """Foreign text fit for a record and a terminal: no control characters, single spaces, bounded length."""
    # Cut before the work, so that 100 MB cost nothing.
    cut = "".join(c if c.isprintable() else " " for c in text[: 8 * longest])
    words = " ".join(cut.split())
    return words if len(words) <= longest else words[: longest - 1] + "…"


def _script(questions: Mapping[str, str], mark: str, largest_bytes: int) -> str:
    # `head -c` came to Android with version 8; without it the target's own limit on output has to do.
    lines = [
        "if echo x | head -c 1 >/dev/null 2>&1",
        f"then cap() {{ head -c {largest_bytes}; }}; else cap() {{ cat; }}; fi",
        # Phones' shell has no printf of its own; echo is safe for these words.
        f'begin() {{ echo; echo "{mark} begin $1"; }}',
        f'end() {{ echo; echo "{mark} end $1"; }}',
    ]
    for name, command in questions.items():
        lines += [f"begin {name}", f"{{ ( {command}\n) 2>/dev/null; end $?; }} </dev/null | cap"]
    return "\n".join(lines)


def _answer(section: str, end: str) -> Answer:
    text, found, code = section.rpartition(end)
    if not found or not code.strip().isdigit():
        return Answer(text=section, exit_code=None)
    return Answer(text=text, exit_code=int(code))
