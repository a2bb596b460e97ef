"""The settings of a phone that a benchmark may change: what they are called, how each is read, written and judged.

Thermal protection is not among them, and never will be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from device_bench.result import check_reasons
from device_bench.state.android_text import parse_wakefulness
from device_bench.state.questions import Answer, clean

Outcome = Literal["changed", "unchanged", "accepted", "refused", "unavailable"]
"""changed: read back as wanted. unchanged: it was so already. accepted: the phone said yes, and does not tell the
value. refused: it has another value. unavailable: there is no such setting here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What became of one setting."""

    setting: str
    wanted: str
    before: str | None
    after: str | None
    """Read back."""
    outcome: Outcome
    reason: str
    """Of a refusal, in the target's words; empty if all is well."""
    missing: Mapping[str, str]

    def __post_init__(self) -> None:
        check_reasons(self)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON value, inverse of `from_json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Change:
        """Value from `to_json`'s form."""
        return cls(**value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting. Its commands consist of our own words and of values that match `known`."""

    name: str
    wanted: str
    suffices: tuple[str, ...]
    """Values that need no change."""
    known: str
    """Pattern of all values it can have."""
    program: str
    """That reads or writes it, as a message names it."""
    look: str
    """Command that prints it, or anything at all where Android only knows how to write it."""
    value: Callable[[str], str] | None
    """What `look` printed -> value; None if that is no value."""
    write: Callable[[str], str]
    """Value -> command."""
    default: str
    """To go back to where the value before cannot be read."""
    heals: bool = False
    """Goes back by itself sooner or later, so that a phone that is slow to do so is no error."""

    def parse(self, answer: Answer | None) -> tuple[str | None, str]:
        """The value, or None and the reason."""
        if self.value is None or answer is None:
            return None, "Android does not tell this setting"
        refusal = answer.refusal(self.program)
        value = "" if refusal else self.value(answer.text)
        if refusal or not re.fullmatch(self.known, value):
            return None, refusal or f"{self.program} says {clean(value, longest=80)!r}"
        return value, ""

    def judge(self, wanted: str, before: tuple[str | None, str], said: Answer, now: Answer | None) -> Change:
        """What became of it, from what the write command said and what was read afterwards."""
        after, unread = self.parse(now)
        outcome: Outcome
        if self.value:
            outcome = "changed" if after == wanted else "refused"
        elif said.exit_code in (126, 127):
            outcome = "unavailable"
        else:
            # A system that does not know the command may say so and still exit with 0.
            outcome = "accepted" if said.exit_code == 0 and not said.text.strip() else "refused"
        failed = outcome in ("refused", "unavailable")
        words = said.refusal(self.program) if outcome == "unavailable" else clean(said.text)
        still = f"exit code {said.exit_code}" if after is None else f"it is {after!r}"
        return Change(
            setting=self.name,
            wanted=wanted,
            before=before[0],
            after=after,
            outcome=outcome,
            reason=(words or still) if failed else "",
            missing={
                name: why for name, (value, why) in (("before", before), ("after", (after, unread))) if value is None
            },
        )

    def found(self, answer: Answer) -> Change | None:
        """What can be told before any change: it is as wanted, or cannot be had; None if a change must be tried."""
        before, reason = self.parse(answer)
        if self.value is None:
            absent = answer.refusal(self.program)
            if absent is None:
                return None
            reason = absent
        elif before is not None and before not in self.suffices:
            return None
        return Change(
            setting=self.name,
            wanted=self.wanted,
            before=before,
            after=before,
            outcome="unavailable" if before is None else "unchanged",
            reason=reason,
            missing={} if before is not None else dict.fromkeys(("before", "after"), reason),
        )


def _write_stay_awake(value: str) -> str:
    name = "global stay_on_while_plugged_in"
    return f"settings delete {name}" if value == "null" else f"settings put {name} {value}"


def _screen(text: str) -> str:
    state = parse_wakefulness(text)
    return clean(text) if state is None else "on" if state in ("Awake", "Dreaming") else "off"


STAY_AWAKE = Setting(
    name="stay_awake",
    # Bits of android.os.BatteryManager: 1 mains, 2 USB, 4 wireless, 8 dock.
    wanted="7",
    suffices=("7", "15"),
    known="null|[0-9]|1[0-5]",
    program="settings",
    look="settings get global stay_on_while_plugged_in",
    value=str.strip,
    write=_write_stay_awake,
    default="0",
)
SCREEN = Setting(
    name="screen",
    wanted="on",
    suffices=("on",),
    known="on|off",
    program="dumpsys power",
    look="command -v dumpsys >/dev/null || exit 127; dumpsys power | grep mWakefulness=",
    value=_screen,
    write=lambda value: f"input keyevent KEYCODE_{'WAKEUP' if value == 'on' else 'SLEEP'}",
    default="off",
    heals=True,
)
FIXED_PERFORMANCE = Setting(
    name="fixed_performance",
    wanted="true",
    suffices=(),
    known="true|false",
    program="cmd power",
    # AOSP's PowerManagerShellCommand can set the mode, and nothing reads it. It is off after each start of the phone.
    look="command -v cmd || exit 127",
    value=None,
    write=lambda value: f"cmd power set-fixed-performance-mode-enabled {value}",
    default="false",
)

SETTINGS: Mapping[str, Setting] = {row.name: row for row in (STAY_AWAKE, SCREEN, FIXED_PERFORMANCE)}
"""In the order of restoring, too: the screen may sleep only after nothing keeps it awake."""
