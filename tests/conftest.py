"""Settings that must be in place before the first test file imports TensorFlow."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# Tests compute on the CPU, alike on every machine; `CUDA_VISIBLE_DEVICES=0 pytest -m gpu` asks for the GPU.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
