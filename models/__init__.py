"""MobileNet variants: what exists (`zoo`), what it costs (`cost`), how it is built and trained (`build`, `train`)."""
