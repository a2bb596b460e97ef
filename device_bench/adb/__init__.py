"""adb and the phones behind it."""
