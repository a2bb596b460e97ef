"""On-device latency measurement over adb."""

import models  # noqa: F401  # before anything loads ONNX Runtime: see there
