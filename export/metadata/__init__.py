"""TFLite metadata: written into exported classifiers, and read from any file."""

from export.metadata.read import FileMetadata, TensorNotes, read_metadata
from export.metadata.write import ModelInfo, add_metadata

__all__ = ["FileMetadata", "ModelInfo", "TensorNotes", "add_metadata", "read_metadata"]
