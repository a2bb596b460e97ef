"""One report over everything found under build/: an HTML page, Markdown and JSON from the same values."""
