"""The course of a training for TensorBoard. Imports TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from models.files import output_errors

SCALARS = ("loss", "train_top1", "validation_top1", "learning_rate", "resolution_px")
PATTERN = "events.out.tfevents.*"


class EventLog:
    """Writes a row of scalars per epoch; replaces what an earlier run wrote, whose rows are given again."""

    def __init__(self, folder: Path | None) -> None:
        self.writer: Any = None
        self.epochs = 0
        if folder:
            with output_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
                for earlier in folder.glob(PATTERN):
                    earlier.unlink()
            self.writer = tf.summary.create_file_writer(str(folder))

    def add(self, row: Mapping[str, Any]) -> None:
        """The figures of one more epoch."""
        self.epochs += 1
        if self.writer:
            with self.writer.as_default():
                for name in SCALARS:
                    _write_scalar(name, float(row[name]), self.epochs)
            self.writer.flush()

    def close(self) -> None:
        """Ends the file."""
        if self.writer:
            self.writer.close()


def _write_scalar(name: str, value: float, step: int) -> None:
    # `tf.summary.scalar` wants TensorBoard, which is for reading.
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars"),
        data_class=tf.compat.v1.SummaryMetadata.DESCRIPTOR.file.enum_types_by_name["DataClass"]
        .values_by_name["DATA_CLASS_SCALAR"].number,
    )  # fmt: skip
    tf.summary.write(tag=name, tensor=tf.constant(value, tf.float32), step=step, metadata=metadata)
