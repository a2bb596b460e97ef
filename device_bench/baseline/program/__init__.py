"""The program that measures: one engine, one precision, one batch, in a process of its own."""
