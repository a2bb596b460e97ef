"""MobileNet variants: what exists (`zoo`), what it costs (`cost`), how it is built and trained (`build`, `train`)."""

import os

# Since 1.29 ONNX Runtime reports sessions and devices to its makers unless this is set before it is loaded
# (its Privacy.md). Nobody who runs this program agreed to that; programs that it starts inherit the setting.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
