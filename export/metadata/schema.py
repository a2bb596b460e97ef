"""Slot numbers of TFLite's metadata, schema 1.5.0 (`metadata_schema.fbs`, file identifier M001), as far as used here.

A union takes two slots: the number of its member, then the member.
"""

from __future__ import annotations

from enum import IntEnum

IDENTIFIER = b"M001"
ENTRY = "TFLITE_METADATA"
"""Name of the model's metadata entry whose buffer holds the flatbuffer."""

MIN_PARSER_VERSION = "1.0.0"
"""All slots and numbers below are as old as that."""


class ModelMetadata(IntEnum):
    """The root."""

    NAME = 0
    DESCRIPTION = 1
    VERSION = 2
    SUBGRAPHS = 3
    AUTHOR = 4
    LICENSE = 5
    MIN_PARSER_VERSION = 7


class SubGraphMetadata(IntEnum):
    """One per subgraph; its tensors in the order of the graph's own."""

    INPUTS = 2
    OUTPUTS = 3


class TensorMetadata(IntEnum):
    """An input or output."""

    NAME = 0
    DESCRIPTION = 1
    CONTENT = 3
    PROCESS_UNITS = 4
    STATS = 5
    FILES = 6


class Content(IntEnum):
    """What a tensor's numbers mean."""

    PROPERTIES_TYPE = 0
    PROPERTIES = 1


FEATURE_PROPERTIES, IMAGE_PROPERTIES = 1, 2
"""Members of the union in `Content`."""


class ImageProperties(IntEnum):
    """A picture."""

    COLOR_SPACE = 0
    DEFAULT_SIZE = 1


class ImageSize(IntEnum):
    """In pixels."""

    WIDTH = 0
    HEIGHT = 1


COLOR_SPACES = {0: "unknown", 1: "RGB", 2: "grayscale"}
RGB = 1


class ProcessUnit(IntEnum):
    """A step before or after the network."""

    OPTIONS_TYPE = 0
    OPTIONS = 1


NORMALIZATION, SCORE_THRESHOLDING = 1, 3
"""Members of the union in `ProcessUnit`."""


class Normalization(IntEnum):
    """`(byte - mean) / std`, one number each or one per channel."""

    MEAN = 0
    STD = 1


SCORE_THRESHOLD_SLOT = 0
"""Of the table ScoreThresholdingOptions."""


class Stats(IntEnum):
    """Greatest and least value of a tensor."""

    MAX = 0
    MIN = 1


class AssociatedFile(IntEnum):
    """A member of the archive at the model's end."""

    NAME = 0
    DESCRIPTION = 1
    TYPE = 2
    LOCALE = 3


TENSOR_AXIS_LABELS = 2
FILE_TYPES = {
    0: "unknown", 1: "descriptions", 2: "TENSOR_AXIS_LABELS", 3: "TENSOR_VALUE_LABELS",
    4: "TENSOR_AXIS_SCORE_CALIBRATION", 5: "VOCABULARY", 6: "SCANN_INDEX_FILE",
}  # fmt: skip
