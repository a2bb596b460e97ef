"""Metadata in a file: interpreters do not see it, others' readers do."""

import importlib.util
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from export.metadata.info import ModelInfo
from export.metadata.read import read_metadata
from export.metadata.write import add_metadata
from export.tflite_file import read_model, write_model
from models.errors import DataError
from tests.export.probe import SIDE_PX, make_probe

NAMES = [f"value {number}" for number in range(3 * SIDE_PX**2)]
LABELS = "".join(f"{name}\n" for name in NAMES).encode()
INFO = ModelInfo(
    name='my "net"', description="Says what it sees", version="0123456789ab", author="Ünïcode & <b>Söhne</b>",
    license="Apache-2.0", input_description="RGB 24 x 24", mean=127.5, std=64.0, score_threshold=0.25,
)  # fmt: skip


@pytest.fixture(params=["float32", "uint8"])
def bare(request: pytest.FixtureRequest) -> bytes:
    """A network without metadata."""
    model = read_model(make_probe(request.param))
    model.metadata = None
    return write_model(model)


def their_reader() -> ModuleType:
    """The reader that flatc generated for MediaPipe, loaded without MediaPipe, which would report home."""
    package = importlib.util.find_spec("mediapipe")
    assert package is not None
    assert package.origin is not None
    path = Path(package.origin).parent / "tasks" / "metadata" / "metadata_schema_py_generated.py"
    spec = importlib.util.spec_from_file_location("metadata_schema", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_reader_reads_every_field(bare: bytes) -> None:
    model = read_model(add_metadata(bare, INFO, LABELS))
    (entry,) = model.metadata
    assert entry.name == b"TFLITE_METADATA"
    content = bytes(model.buffers[entry.buffer].data)
    reader = their_reader()
    assert reader.ModelMetadata.ModelMetadataBufferHasIdentifier(content, 0)
    root = reader.ModelMetadataT.InitFromPackedBuf(content, 0)
    assert (root.name.decode(), root.author.decode()) == (INFO.name, INFO.author)
    assert (root.version, root.license, root.minParserVersion) == (b"0123456789ab", b"Apache-2.0", b"1.0.0")
    ((image,), (scores,)) = (
        root.subgraphMetadata[0].inputTensorMetadata,
        root.subgraphMetadata[0].outputTensorMetadata,
    )
    assert (image.name, scores.name) == (b"image", b"probabilities")
    picture = image.content.contentProperties
    assert image.content.contentPropertiesType == reader.ContentProperties.ImageProperties
    assert picture.colorSpace == reader.ColorSpaceType.RGB
    assert (picture.defaultSize.width, picture.defaultSize.height) == (SIDE_PX, SIDE_PX)
    (unit,) = image.processUnits
    assert unit.optionsType == reader.ProcessUnitOptions.NormalizationOptions
    assert (unit.options.mean, unit.options.std) == ([127.5], [64.0])
    wide = model.subgraphs[0].tensors[0].type == 3
    assert (image.stats.min, image.stats.max) == (([0], [255]) if wide else ([-127.5 / 64], [127.5 / 64]))
    (unit,) = scores.processUnits
    assert unit.optionsType == reader.ProcessUnitOptions.ScoreThresholdingOptions
    assert unit.options.globalScoreThreshold == 0.25
    (file,) = scores.associatedFiles
    assert (file.name, file.type) == (b"labels.txt", reader.AssociatedFileType.TENSOR_AXIS_LABELS)


def test_interpreters_compute_the_same_as_before(bare: bytes) -> None:
    answers = []
    for content in (bare, add_metadata(bare, INFO, LABELS)):
        interpreter = Interpreter(model_content=content)
        interpreter.allocate_tensors()
        details = interpreter.get_input_details()[0]
        picture = np.random.default_rng(0).integers(0, 256, details["shape"]).astype(details["dtype"])
        interpreter.set_tensor(details["index"], picture)
        interpreter.invoke()
        answers.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"]))
    np.testing.assert_array_equal(*answers)


def test_zip_tools_find_the_class_names(bare: bytes, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    path.write_bytes(add_metadata(bare, INFO, LABELS))
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["labels.txt"]
        assert archive.read("labels.txt") == LABELS
        assert archive.testzip() is None
        # Readers on phones use it where it lies.
        assert archive.getinfo("labels.txt").compress_type == zipfile.ZIP_STORED
    listing = subprocess.run(
        [sys.executable, "-m", "zipfile", "-l", str(path)], capture_output=True, text=True, check=True, timeout=60
    )
    assert "labels.txt" in listing.stdout
    if shutil.which("unzip"):
        run = subprocess.run(["unzip", "-p", str(path), "labels.txt"], capture_output=True, check=False, timeout=60)
        assert (run.returncode, run.stdout, run.stderr) == (0, LABELS, b"")


def test_equal_arguments_give_equal_bytes_and_metadata_written_twice_is_written_once(bare: bytes) -> None:
    once = add_metadata(bare, INFO, LABELS)
    assert once == add_metadata(bare, INFO, LABELS)
    flatbuffer = write_model(read_model(once))
    again = read_metadata(add_metadata(flatbuffer, INFO, LABELS))
    assert again == read_metadata(once)


def test_a_thousand_names_cost_their_length() -> None:
    bare = write_model(read_model(make_probe()))
    assert len(add_metadata(bare, INFO, LABELS)) - len(bare) < len(LABELS) + 2000


def test_texts_with_control_characters_and_broken_letters_are_made_harmless(bare: bytes) -> None:
    info = ModelInfo(
        name="two\nlines\x1b[2J\udc80", description="", version="", input_description="a\tb", mean=0.0, std=1.0
    )
    metadata = read_metadata(add_metadata(bare, info, LABELS))
    assert metadata is not None
    assert metadata.name == "two lines [2J "
    assert metadata.inputs[0].description == "a b"
    assert (metadata.author, metadata.license) == (None, None)


def test_names_that_do_not_fit_the_outputs_are_refused(bare: bytes) -> None:
    with pytest.raises(DataError, match=f"there are 2 class names and {len(NAMES)} outputs"):
        add_metadata(bare, INFO, b"a\nb\n")
