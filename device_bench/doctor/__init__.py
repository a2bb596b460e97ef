"""What this machine has for each command, and what to install for those it lacks. Standard library only."""
