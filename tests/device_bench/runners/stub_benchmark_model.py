#!/usr/bin/env python3
"""Stands in for classic benchmark_model of TFLite 2.14: its flags, its value files, its words; its outputs are sums.

The value files are read as `SplitInputLayerNameAndValueFile` in benchmark_tflite_model.cc does. STUB_* in the
environment make it misbehave. Needs nothing but Python's standard library, so that a process takes milliseconds.
"""

import os
import re
import struct
import sys
from pathlib import Path

HELP = Path(__file__).with_name("stub_help.txt")
RUN = """\
INFO: STARTING!
WARN: Duplicate flags: num_threads
INFO: Log parameter values verbosely: [0]
INFO: Graph: [{graph}]
INFO: Input value files: [{files}]
INFO: Loaded model {graph}
INFO: The input model file size (MB): 0.597056
INFO: Initialized session in 21.589ms.
INFO: Running benchmark for at least {warmup} iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=0

INFO: Running benchmark for at least {runs} iterations and at least 0 seconds but terminate if exceeding 150 seconds.
INFO: count=1 curr=18313

INFO: Inference timings in us: Init: 21589, First inference: 0, Warmup (avg): 0, Inference (avg): 18313
INFO: Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual \
memory footprint of the model at runtime. Take the information at your discretion.
INFO: Memory footprint delta from the start of the tool (MB): init=3.12891 overall=4.75391
"""


def split(item: str) -> tuple[str, str]:
    """Name and path: parted by the one colon that is not doubled."""
    found = re.fullmatch(r"((?:[^:]|::)*):((?:[^:]|::)*)", item)
    if found is None:
        sys.exit(f"ERROR: {item} contains more than one delimiter.")
    return found[1].replace("::", ":"), found[2].replace("::", ":")


def main() -> int:
    flags = dict(word[2:].split("=", 1) for word in sys.argv[1:] if "=" in word)
    if "--help" in sys.argv:
        sys.stderr.write(HELP.read_text("utf-8"))
        return 1
    if os.environ.get("STUB_LOG"):
        with Path(os.environ["STUB_LOG"]).open("a", encoding="utf-8") as log:
            log.write(repr(sys.argv[1:]) + "\n")
    name, path = split(flags["input_layer_value_files"])
    if name != flags["input_layer"]:
        sys.exit(f"ERROR: no input {name}")
    values = Path(path).read_bytes()
    size = 4
    for part in flags["input_layer_shape"].split(","):
        size *= int(part)
    if len(values) != size:
        sys.stderr.write(f"FATAL: The size of {path} is {len(values)} bytes. It should be {size} bytes.\n")
        return 134
    numbers = struct.unpack(f"<{len(values) // 4}f", values)
    count = int(os.environ.get("STUB_CLASSES", "3"))
    if os.environ.get("STUB_UNEVEN") and numbers[0] > 1:
        count += 1
    if not os.environ.get("STUB_SILENT"):
        Path(flags["output_filepath"]).write_bytes(struct.pack(f"<{count}f", *[sum(numbers) * k for k in range(count)]))
    sys.stdout.write(
        RUN.format(graph=flags["graph"], files="", warmup=flags["warmup_runs"], runs=flags["num_runs"])
        + os.environ.get("STUB_MORE", "")
    )
    return int(os.environ.get("STUB_EXIT", "0"))


if __name__ == "__main__":
    sys.exit(main())
