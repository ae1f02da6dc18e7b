"""X: checks of its rows, and rows that are read without copying X."""
