"""X: what is asked of its rows, and how they are read where they lie."""
