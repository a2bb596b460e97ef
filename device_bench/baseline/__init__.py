"""The desktop baseline: latency of the same networks on this machine's GPU, or on its CPU, clearly labelled."""
