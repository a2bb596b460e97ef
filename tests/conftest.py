"""Settings that must be in place before the first test file imports TensorFlow, or starts a program."""

import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests compute on the CPU, alike on every machine; `CUDA_VISIBLE_DEVICES=0 pytest -m gpu` asks for the GPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

# Programs inherit ignored signals. A script's background job ignores Ctrl-C, and under `nohup` the hang-up is ignored:
# then programs that are tested for how they end by them would not end.
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
