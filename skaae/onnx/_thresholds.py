"""Thresholds and calibration scores as plain values in the metadata of the file. Needs only NumPy."""

from __future__ import annotations

from base64 import b64decode, b64encode
from typing import Any

import numpy as np

from skaae._scoring.pools import PooledThresholds, SharedThreshold, Thresholds


def as_values(thresholds: Thresholds) -> dict[str, Any]:
    """Thresholds as values that JSON can express.

    Examples
    --------
    >>> from skaae._scoring.pools import SharedThreshold
    >>> from skaae.onnx._thresholds import as_values
    >>> as_values(SharedThreshold(2.5))
    {'threshold': 2.5, 'calibration_scores': None}
    """
    if isinstance(thresholds, PooledThresholds):
        repairs = thresholds.repair_thresholds
        return {
            "calibration_scores": [_as_text(scores) for scores in thresholds.calibration_scores],
            "pool_of_class": thresholds.pool_of_class.tolist(),
            "offset": thresholds.offset,
            "repair_thresholds": None if repairs is None else _as_text(repairs),
        }
    scores = thresholds.calibration_scores
    return {"threshold": thresholds.threshold, "calibration_scores": None if scores is None else _as_text(scores)}


def from_values(values: dict[str, Any]) -> Thresholds:
    """The thresholds that `as_values` was given.

    Examples
    --------
    >>> from skaae._scoring.pools import SharedThreshold
    >>> from skaae.onnx._thresholds import as_values, from_values
    >>> from_values(as_values(SharedThreshold(2.5)))
    SharedThreshold(threshold=2.5, calibration_scores=None)
    """
    scores = values["calibration_scores"]
    if "pool_of_class" in values:
        repairs = values.get("repair_thresholds")  # which files of format 3 lack
        pools = tuple(map(_as_scores, scores)), np.array(values["pool_of_class"]), values["offset"]
        return PooledThresholds(*pools, None if repairs is None else _as_scores(repairs))
    return SharedThreshold(values["threshold"], None if scores is None else _as_scores(scores))


def _as_text(scores: np.ndarray) -> str:
    """Scores as float64, little-endian, in Base64."""
    return b64encode(scores.astype("<f8").tobytes()).decode()


def _as_scores(text: str) -> np.ndarray:
    return np.frombuffer(b64decode(text), "<f8").astype(np.float64)
