"""Changes settings of a phone for a benchmark, and puts them back whatever happens.

The old values are on the phone before anything is changed, in a journal of fixed words. It is removed when all of them
are confirmed again; if this process is killed, the next session reads it and puts them back.

/data/local/tmp/device_bench/restore      mode 0600: a title line, then lines `setting=old value`
"""

from __future__ import annotations

import logging
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from device_bench.state.questions import Answer, ask, clean
from device_bench.state.settings import FIXED_PERFORMANCE, SCREEN, SETTINGS, STAY_AWAKE, Change, Setting
from device_bench.target import DeviceUnderTest
from models.errors import DeviceError, StorageError

JOURNAL = "/data/local/tmp/device_bench/restore"

_TITLE = "device_bench settings 1"
_LARGEST_JOURNAL_BYTES = 4096
_LOOKS = 4
"""A second apart: a screen takes a second or two to wake."""
_PATIENCE_S = 20.0
"""For each look and change: while settings are put back, Ctrl-C waits."""

_log = logging.getLogger(__name__)

Sleep = Callable[[float], object]
_Before = Mapping[str, tuple[str | None, str]]
"""By setting: the value found, or None and why it is not known."""


@contextmanager
def changed_settings(
    target: DeviceUnderTest,
    *,
    stay_awake: bool = False,
    fixed_performance: bool = False,
    journal: str = JOURNAL,
    sleep: Sleep = time.sleep,
) -> Iterator[tuple[Change, ...]]:
    """What became of each setting asked for; afterwards all are as before, also on Ctrl-C.

    A setting that the target lacks or refuses is reported, not raised: the caller decides whether it matters. Use it
    inside the target's session, so that nobody else changes settings meanwhile.

    Args:
        target: The phone; a machine without Android's tools has none of these settings.
        stay_awake: Wake the screen and keep it on while plugged in: many phones clock lower when it is off.
        fixed_performance: Bound the clocks to what the phone can sustain (Android 11 and later).
        journal: Where on the target the old values are kept.
        sleep: Waits between looks.

    Raises:
        DeviceError: no answer; or, at the end, the old values could not be put back.
        StorageError: the old values could not be noted, and nothing was changed; or the journal cannot be removed.
    """
    rows = [*([STAY_AWAKE, SCREEN] if stay_awake else []), *([FIXED_PERFORMANCE] if fixed_performance else [])]
    restore_left_over(target, journal=journal, sleep=sleep)
    answers = ask(target, {row.name: row.look for row in rows})
    before = {row.name: row.parse(answers[row.name]) for row in rows}
    changes = {row.name: row.found(answers[row.name]) for row in rows}
    old = {name: before[name][0] or SETTINGS[name].default for name, change in changes.items() if change is None}
    if not old:
        yield tuple(change for change in changes.values() if change)
        return
    _write_journal(target, journal, old)
    try:
        wanted = {name: SETTINGS[name].wanted for name in old}
        changes.update({change.setting: change for change in _write(target, wanted, before, sleep)})
        made = tuple(change for change in changes.values() if change)
        kept = {change.setting for change in made if not _may_differ(change)}
        if kept & old.keys():
            # What the phone refuses to change it would refuse to put back, too.
            old = {name: value for name, value in old.items() if name not in kept}
            _write_journal(target, journal, old)
        yield made
    except BaseException:
        try:
            _restore(target, old, journal, sleep)
        except DeviceError as error:
            # The first error is the one to raise; the journal stays, and the next session restores.
            _log.warning("%s", error)
        raise
    _restore(target, old, journal, sleep)


def restore_left_over(
    target: DeviceUnderTest, *, journal: str = JOURNAL, sleep: Sleep = time.sleep
) -> tuple[Change, ...]:
    """Puts back what a killed benchmark changed; what was done, empty if there was nothing.

    Raises:
        DeviceError: the journal cannot be understood, or a setting not be put back; the journal stays.
    """
    where = shlex.quote(journal)
    question = {"journal": f"if [ -e {where} ] || [ -L {where} ]; then cat {where}; fi"}
    answer = ask(target, question, largest_bytes=_LARGEST_JOURNAL_BYTES)["journal"]
    if answer.exit_code == 0 and not answer.text:
        return ()
    return _restore(target, _parse_journal(target, answer, journal), journal, sleep)


def _write(target: DeviceUnderTest, values: Mapping[str, str], before: _Before, sleep: Sleep) -> tuple[Change, ...]:
    """Writes values, reads them back for as long as a phone may take, and judges each."""
    rows = [SETTINGS[name] for name in values]
    said = ask(target, {row.name: f"( {row.write(values[row.name])} ) 2>&1" for row in rows}, timeout_s=_PATIENCE_S)
    now = _read_back(target, rows, values, sleep)
    return tuple(row.judge(values[row.name], before[row.name], said[row.name], now.get(row.name)) for row in rows)


def _read_back(
    target: DeviceUnderTest, rows: list[Setting], values: Mapping[str, str], sleep: Sleep
) -> dict[str, Answer]:
    questions = {row.name: row.look for row in rows if row.value}
    for looks_left in reversed(range(_LOOKS if questions else 0)):
        answers = ask(target, questions, timeout_s=_PATIENCE_S)
        if not looks_left or all(SETTINGS[name].parse(answers[name])[0] == values[name] for name in questions):
            return answers
        sleep(1.0)
    return {}


def _may_differ(change: Change) -> bool:
    """Whether the setting may have another value than at the start."""
    if change.outcome == "unavailable":
        return False
    return change.outcome != "refused" or change.after != change.before


def _restore(target: DeviceUnderTest, old: Mapping[str, str], journal: str, sleep: Sleep) -> tuple[Change, ...]:
    unread = dict.fromkeys(old, (None, "it was not looked at before it was put back"))
    values = {name: old[name] for name in SETTINGS if name in old}
    with target.shielded():
        try:
            changes = _write(target, values, unread, sleep)
        except DeviceError as error:
            if not error.transient:
                raise
            target.recover()
            changes = _write(target, values, unread, sleep)
        for change in changes:
            if change.outcome == "refused":
                _say_refused(target, change, journal)
        removed = target.shell(f"rm -f {shlex.quote(journal)}")
        if removed.exit_code:
            said = clean(removed.stderr.decode(errors="replace")) or f"exit code {removed.exit_code}"
            raise StorageError(
                f"{target.name} has its settings back, but keeps their journal: {said}; remove {clean(journal)} from"
                " the device"
            )
    return changes


def _say_refused(target: DeviceUnderTest, change: Change, journal: str) -> None:
    what = f"{target.name} does not put back {change.setting} to {change.wanted!r} ({change.reason})"
    if not SETTINGS[change.setting].heals:
        raise DeviceError(f"{what}; set it by hand and remove {clean(journal)} from the device")
    _log.warning("%s", what)


def _write_journal(target: DeviceUnderTest, journal: str, old: Mapping[str, str]) -> None:
    lines = [_TITLE, *(f"{name}={value}" for name, value in old.items())]
    where, made = shlex.quote(journal), shlex.quote(f"{journal}.partial")
    folder = shlex.quote(journal.rpartition("/")[0] or "/")
    echo = "; ".join(f"echo {shlex.quote(line)}" for line in lines)
    script = (
        f"umask 077; mkdir -p {folder} && rm -f {made} && {{ {echo}; }} >{made} && mv -f {made} {where} && cat {where}"
    )
    finished = target.shell(script)
    if finished.exit_code or finished.stdout.decode(errors="replace").split() != " ".join(lines).split():
        said = clean(finished.stderr.decode(errors="replace")) or f"exit code {finished.exit_code}"
        raise StorageError(
            f"{target.name} cannot note its old settings in {clean(journal)}: {said}; nothing was changed: free or mend"
            " its storage, or leave the settings alone"
        )


def _parse_journal(target: DeviceUnderTest, answer: Answer, journal: str) -> dict[str, str]:
    """Old values by setting. Only known words pass: nothing else that may lie there is ever run."""
    title, *lines = answer.text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    pairs = [line.partition("=")[::2] for line in lines]
    known = all(name in SETTINGS and re.fullmatch(SETTINGS[name].known, value) for name, value in pairs)
    if answer.exit_code != 0 or title != _TITLE or not known or len(dict(pairs)) != len(pairs):
        raise DeviceError(
            f"{clean(journal)} on {target.name} should hold settings to put back, and cannot be read"
            f" ({clean(answer.text, longest=60)!r}); look at it, then remove it from the device"
        )
    return dict(pairs)
