"""Blocks: every operator is in one, in their order, by name or by kernel."""

import json

from export.quantization.blocks import Block, find_blocks
from export.tflite_file import read_model, write_model
from tests.export.quantization.graphs import LAYERS, small_network


def test_operators_with_a_numbered_prefix_are_a_block_and_what_has_no_kernel_joins_the_one_before() -> None:
    assert [(block.name, block.layers) for block in find_blocks(small_network())] == [
        ("stem", ("stem",)),
        ("block_1", ("block_1_depthwise", "block_1_project")),
        ("block_2", ("block_2_depthwise", "block_2_project", "block_2_add", "pool")),
        ("classifier", ("classifier", "probabilities")),
    ]


def test_the_shares_are_those_of_the_mult_adds() -> None:
    shares = [block.mult_add_share for block in find_blocks(small_network())]
    # 8 x 8 positions: 27 inputs to 8 channels; 9 and 8 inputs for each of 8 channels, twice; 8 inputs to 5 classes.
    counts = [64 * 27 * 8, 64 * 8 * (9 + 8), 64 * 8 * (9 + 8), 8 * 5]
    assert shares == [count / sum(counts) for count in counts]


def test_without_such_names_each_kernel_begins_a_block_and_names_are_told_apart() -> None:
    model = read_model(small_network())
    names = ["conv2d", "conv2d", "conv2d_1", "x", "y", "add", "mean", "dense", "softmax"]
    for operator, name in zip(model.subgraphs[0].operators, names, strict=True):
        model.subgraphs[0].tensors[operator.outputs[0]].name = name.encode()
    found = find_blocks(write_model(model))
    # Two operators of one name that follow each other are one block.
    assert [block.name for block in found] == ["conv2d", "conv2d_1", "x", "y", "dense"]
    assert [layer for block in found for layer in block.layers] == names


def test_a_block_survives_json() -> None:
    block = Block(name="block_1", layers=LAYERS[1:3], mult_add_share=0.25, gain_db=1.5)
    assert Block.from_json(json.loads(json.dumps(block.to_json()))) == block
