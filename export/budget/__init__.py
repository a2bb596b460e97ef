"""A budget of lost accuracy: the cheapest 8-bit files that are proven to keep it (`--max-drop`)."""
