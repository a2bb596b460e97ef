"""Parts of `benchmarks.quantization_vs_peers`."""
