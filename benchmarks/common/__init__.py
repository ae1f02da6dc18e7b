"""What several benchmarks use: the data sets, and detectors of other packages."""
