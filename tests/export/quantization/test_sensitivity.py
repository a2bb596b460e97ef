"""Which blocks stay float: the ones whose bits are missed, found by measuring."""

import numpy as np
import pytest

from export.precision import PRECISIONS
from export.quantization.blocks import Block, find_blocks
from export.quantization.calibration import Calibration, calibrate, load_calibration, save_calibration
from export.quantization.kernels import with_kernels
from export.quantization.sensitivity import LARGEST_SHARE, _Search, rank_blocks
from export.quantization.settings import DEFAULTS, QuantizationSettings, parse_settings
from export.quantize import make_tflite
from export.tflite_file import read_model
from models.errors import UsageError
from models.spec import Preprocessing
from tests.export.quantization.graphs import random_pictures, small_network

EXACT = Preprocessing(mean=(128.0,) * 3, std=(128.0,) * 3)


def silent(_: object) -> None:
    """Takes progress and shows none."""


def harmed() -> bytes:
    """The small network with one channel of a projection 300 times the others: its tensor's scale drowns them."""
    network = small_network()
    model = read_model(network)
    kernels = {}
    for name, channel, factor in (("block_1_project/kernel", 0, 300.0), ("block_2_depthwise/kernel", 3, 1 / 300)):
        tensor = next(t for t in model.subgraphs[0].tensors if t.name.decode() == name)
        values = model.buffers[tensor.buffer].data.view(np.float32).reshape(tensor.shape).copy()
        values[(0,) if channel == 0 else (..., 0)] *= factor
        kernels[name] = values
    return with_kernels(network, kernels)


def ranked(network: bytes, words: str) -> tuple[Block, ...]:
    return calibrate(network, random_pictures(32), EXACT, parse_settings(words), silent, islands=True).blocks


def test_the_blocks_around_a_drowned_tensor_come_first() -> None:
    found = ranked(harmed(), "float=2")
    # Alone neither gains, because the tensor between them would stay int8.
    assert {block.name for block in found} == {"block_1", "block_2"}
    gains = [block.gain_db or 0.0 for block in found]
    assert sum(gains) > 6
    assert gains[1] > gains[0]


def test_blocks_given_by_name_are_taken_in_the_order_of_the_network() -> None:
    found = ranked(small_network(), "float=classifier+stem")
    assert [block.name for block in found] == ["stem", "classifier"]
    assert all(block.gain_db is not None for block in found)


def test_a_block_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(UsageError) as refusal:
        ranked(small_network(), "float=head")
    assert str(refusal.value) == (
        "no block of this network is called 'head'; it has stem, block_1, block_2, classifier"
    )


def test_the_gains_add_up_to_what_all_of_them_gain() -> None:
    found = ranked(small_network(), "float=4")
    assert len(found) == len(find_blocks(small_network()))
    again = ranked(small_network(), "float=" + "+".join(block.name for block in found))
    assert sum(block.gain_db or 0 for block in found) == pytest.approx(
        sum(block.gain_db or 0 for block in again), abs=0.05
    )


def test_the_order_of_the_pictures_changes_nothing() -> None:
    pictures = random_pictures(24)
    settings = QuantizationSettings(float_blocks=2)
    one, other = (
        calibrate(harmed(), order, EXACT, settings, silent, islands=True).blocks for order in (pictures, pictures[::-1])
    )
    assert one == other


def search(gains_db: dict[frozenset[int], float], shares: list[float]) -> _Search:
    """Blocks of these shares; each set of float blocks gains the sum of all its subsets' entries."""
    blocks = [Block(name=str(row), layers=(str(row),), mult_add_share=share) for row, share in enumerate(shares)]

    def sqnr_db(layers: frozenset[str]) -> float:
        rows = {int(layer) for layer in layers}
        return 20.0 + sum(gain for need, gain in gains_db.items() if need <= rows)

    return _Search(blocks, sqnr_db, silent)


def test_a_run_is_found_whose_blocks_gain_nothing_alone() -> None:
    gains = {frozenset({3, 4, 5}): 9.0, frozenset({0}): 1.0}
    found = search(gains, [0.1] * 8).best(8, paying=True)
    assert [block.name for block in found] == ["3", "4", "5", "0"]
    assert [block.gain_db for block in found] == [0, 0, 9, 1]


def test_the_search_ends_where_nothing_pays() -> None:
    cheap = search({frozenset({0}): 4.0, frozenset({2}): 0.6}, [0.1] * 4).best(4, paying=True)
    assert [block.name for block in cheap] == ["0"]
    dear = search({frozenset({0}): 4.0, frozenset({2}): 1.5}, [0.1, 0.1, 0.3, 0.5]).best(4, paying=True)
    assert [block.name for block in dear] == ["0"], "1.5 dB for three tenths of the mult-adds"


def test_no_more_than_half_the_network_becomes_float_unless_it_is_asked_for() -> None:
    gains = {frozenset({row}): 10.0 for row in range(5)}
    some = search(gains, [0.2] * 5).best(5, paying=True)
    assert sum(block.mult_add_share for block in some) <= LARGEST_SHARE
    assert len(search(gains, [0.2] * 5).best(4, paying=False)) == 4


def test_of_equal_gains_the_cheaper_is_taken() -> None:
    found = search({frozenset({0}): 3.0, frozenset({2}): 3.0}, [0.4, 0.3, 0.05, 0.25]).best(1, paying=False)
    assert [block.name for block in found] == ["2"]


def test_one_block_is_chosen_even_where_none_pays() -> None:
    assert len(search({}, [0.5, 0.5]).best(2, paying=True)) == 1


def test_a_calibration_with_kernels_and_blocks_survives_its_files(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = QuantizationSettings(rounding=True, per_tensor=True, float_blocks=1)
    found = calibrate(small_network(), random_pictures(8), EXACT, settings, silent, islands=True)
    path = tmp_path_factory.mktemp("work") / "calibration.json"
    save_calibration(path, found)
    again = load_calibration(path)
    assert (again.ranges, again.shifts, again.blocks, again.per_tensor) == (
        found.ranges, found.shifts, found.blocks, True,
    )  # fmt: skip
    assert again.kernels.keys() == found.kernels.keys()
    assert all(np.array_equal(again.kernels[name], found.kernels[name]) for name in found.kernels)
    assert len(again.kernels) == 6


def test_a_mixed_file_is_nearer_to_float_than_int8() -> None:
    network = harmed()
    found: Calibration = calibrate(network, random_pictures(32), EXACT, DEFAULTS, silent, islands=True)
    int8 = make_tflite(network, PRECISIONS["tflite", "int8_npu"], found)
    all_blocks = rank_blocks(network, int8, random_pictures(16, seed=4), EXACT, silent, wanted=["block_1", "block_2"])
    assert sum(block.gain_db or 0 for block in all_blocks) > 6
