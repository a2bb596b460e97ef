"""Programs that measure one network in a process of their own, each behind the `Runner` protocol."""
