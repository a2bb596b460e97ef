"""What a command says to type next."""

import argparse
import shlex

import pytest
from rich.text import Text

from device_bench.commands.options import add_model_option, add_weights_options, next_line
from device_bench.commands.targets import add_target_options


def said(*given: str, more: tuple[str, ...] = ()) -> str:
    """The line as rich shows it."""
    parser = argparse.ArgumentParser()
    add_model_option(parser)
    add_weights_options(parser)
    add_target_options(parser)
    return Text.from_markup(next_line("bench", parser.parse_args(["--model=mobilenet_v2_1.4", *given]), *more)).plain


def test_the_next_line_leaves_out_what_was_left_to_the_defaults() -> None:
    assert said(more=("ACCURACY=100",)) == "next:  make bench MODEL=mobilenet_v2_1.4 ACCURACY=100"


@pytest.mark.parametrize("text", ["imagenet", "my nets/[bold]'a'.keras", "$(reboot)", "*"])
def test_the_next_line_means_the_same_export_as_the_command(text: str) -> None:
    line = said(f"--weights={text}", f"--dataset={text}", f"--device={text}")
    make = ["next:", "make", "bench", "MODEL=mobilenet_v2_1.4"]
    assert shlex.split(line) == [*make, f"WEIGHTS={text}", f"DATASET={text}", f"DEVICE={text}"]


def test_the_next_line_is_one_line() -> None:
    assert said("--dataset=a\n\x1b[2Jb") == "next:  make bench MODEL=mobilenet_v2_1.4 DATASET='a  [2Jb'"
