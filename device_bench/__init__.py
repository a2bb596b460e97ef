"""On-device latency measurement over adb."""
