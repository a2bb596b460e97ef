"""Values that several tests of this folder need."""

from device_bench.case import Case, Model, RunSettings
from device_bench.measuring.plan import Plan
from device_bench.result import Delegation, LatencySummary, Measured, MemoryUse, RunnerOutput

NODES = {"nodes": "?", "nodes_total": "?", "kernels": "?", "backend": "?"}


def make_model(precision: str = "int8", **changes: object) -> Model:
    value = {
        "file": f"mobilenet_v1_0.25_128-{precision}.tflite", "format": "tflite", "precision": precision,
        "sha256": "0" * 64, "size_bytes": 300_000, "input_name": "image", "input_dtype": "uint8",
        "input_shape": (1, 128, 128, 3), "output_dtype": "uint8",
    }  # fmt: skip
    return Model(**{**value, **changes})  # type: ignore[arg-type]


def make_case(precision: str = "int8", **changes: object) -> Case:
    value = {"model": make_model(precision), "runner": "classic", "delegate": "cpu", "threads": 1, "affinity": "none"}
    return Case(**{**value, "cpu_mask": None, **changes})  # type: ignore[arg-type]


def make_plan(*cases: Case, **changes: object) -> Plan:
    value = {
        "cases": cases or (make_case(),), "skipped": (), "settings": RunSettings(), "repeats": 5, "memory": True,
        "profile": True, "check_images": 8, "accuracy_images": 0, "sustained_min": 0.0, "seed": 0,
    }  # fmt: skip
    return Plan(**{**value, **changes})  # type: ignore[arg-type]


def make_output(
    median_us: float = 2000.0, *, delegate: str = "xnnpack", verdict: str = "full", median: bool = True
) -> RunnerOutput:
    missing = {} if median else {"median_us": "not printed"}
    latency = LatencySummary(
        runs=50, mean_us=median_us, min_us=median_us - 1, max_us=median_us + 9, std_us=3.0, p5_us=median_us - 1,
        median_us=median_us if median else None, p95_us=median_us + 8, missing=missing,
    )  # fmt: skip
    memory = MemoryUse(
        init_peak_rss_growth_bytes=1, peak_rss_growth_bytes=2, peak_rss_bytes=9_000_000, end_rss_bytes=4, missing={}
    )
    return RunnerOutput(
        flavour="classic",
        version=None,
        parameters=(),
        measured=Measured(
            init_us=5000.0, first_us=median_us + 100, warmup=latency, latency=latency, memory=memory,
            samples_us=None, missing={"samples_us": "?"},
        ),
        delegations=(
            Delegation(
                delegate=delegate, verdict=verdict, nodes=None, nodes_total=None, kernels=None, backend=None,  # type: ignore[arg-type]
                evidence=("INFO: a line",), missing=NODES,
            ),
        ),
        profiles=None,
        warnings=(),
        missing={"version": "?", "profiles": "?"},
    )  # fmt: skip
