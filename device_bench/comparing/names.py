"""Names of the conditions. Standard library only: `--help` lists them."""

from __future__ import annotations

from collections.abc import Mapping

CONDITIONS: Mapping[str, str] = {
    "model": "network",
    "device": "model of the phone or board, and its chip",
    "unit": "this very one: two phones of one model differ by a few percent",
    "os": "operating system and its build",
    "cpus": "processor and number of CPUs in use",
    "mode": "Android's fixed-performance mode",
    "settings": "runs, seconds and warm-up of a process",
    "input": "shape of the input",
    "runner": "program that measured, with its versions",
    "delegate": "where the network was asked to run",
    "threads": "their number",
    "affinity": "CPUs that the process may use",
    "precision": "file format and precision",
    "statistic": "median or mean of each process",
    "cases": "everything measured in OLD is in NEW",
}
"""By the name under which `--across` allows it to differ."""

CHOSEN = frozenset({"runner", "delegate", "threads", "affinity", "precision"})
"""Those that are in a case's name."""
