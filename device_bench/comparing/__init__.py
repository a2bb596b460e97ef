"""Records side by side: two of them as old and new, or all of them over time."""
