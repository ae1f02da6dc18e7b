"""The order of the gallery: from the first steps to what few need."""

from __future__ import annotations

from pathlib import Path

ORDER = (
    *("quickstart", "random_forest", "scikeras_search", "grid_search"),
    *("robustness_report", "fraud"),
    *("hidden_layers", "natural_corruptions", "knowing_attacks"),
    *("onnx_export", "serve", "two_workers"),
)


def position(path: str | Path) -> int:
    """Place of an example; one that is not listed is an error."""
    return ORDER.index(Path(path).stem)
