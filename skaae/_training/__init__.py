"""The fit: AE, what it is trained on, the stand-in for M, the loop and its cache."""
