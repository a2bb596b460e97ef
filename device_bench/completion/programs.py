"""Commands, options and values of a program, from the very parser that reads its command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Sequence

from device_bench.completion.values import complete_value


def complete_program(parser: argparse.ArgumentParser, words: Sequence[str], typed: str) -> list[str]:
    """What may stand for `typed` after the words of a program's command line."""
    waiting: argparse.Action | None = None
    for word in words:
        commands = _commands(parser)
        if waiting is not None:
            waiting = None
        elif word.startswith("-"):
            waiting = _taking_a_value(parser, word)
        elif commands is not None and word in commands.choices:
            parser = commands.choices[word]
    if waiting is not None:
        return _values(waiting, typed)
    option, is_given, value = typed.partition("=")
    if is_given and option.startswith("-"):
        action = _taking_a_value(parser, option)
        return [f"{option}={found}" for found in _values(action, value)] if action else []
    if typed.startswith("-"):
        return [name for name in _options(parser) if name.startswith(typed)]
    return [word for word in _plain_words(parser, typed) if word.startswith(typed)]


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    # argparse tells its options to nobody else; completion libraries read the same list.
    return [action for action in parser._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001


def _commands(parser: argparse.ArgumentParser) -> argparse._SubParsersAction[argparse.ArgumentParser] | None:
    return next((a for a in _actions(parser) if isinstance(a, argparse._SubParsersAction)), None)  # noqa: SLF001


def _options(parser: argparse.ArgumentParser) -> list[str]:
    return [name for action in _actions(parser) for name in action.option_strings if name.startswith("--")]


def _taking_a_value(parser: argparse.ArgumentParser, word: str) -> argparse.Action | None:
    """The option that takes the next word as its value."""
    return next((a for a in _actions(parser) if word in a.option_strings and a.nargs != 0), None)


def _plain_words(parser: argparse.ArgumentParser, typed: str) -> Iterable[str]:
    commands = _commands(parser)
    if commands is not None:
        # Those that `--help` lists.
        return [action.dest for action in commands._choices_actions]  # noqa: SLF001
    positional = [action for action in _actions(parser) if not action.option_strings]
    return dict.fromkeys(value for action in positional for value in _values(action, typed))


def _values(action: argparse.Action, typed: str) -> list[str]:
    """Choices; else the words in small letters of a name like `SERIAL|all|local`; else those of the tables."""
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    literals = [word for word in metavar.split("|") if re.fullmatch(r"[a-z]+", word)]
    if action.choices is not None:
        known: Iterable[str] | None = [str(choice) for choice in action.choices]
    elif literals or action.dest == "device":
        # Names of devices differ from command to command.
        known = literals
    else:
        known = None
    return complete_value(action.dest, typed, known)
