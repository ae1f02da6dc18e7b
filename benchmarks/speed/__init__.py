"""Times and memory, beside alibi-detect and against the number of rows."""
