"""What may stand next on a command line: of `make`, and of the three programs. For shells to show on TAB."""
