"""Recognize scores that equal the threshold except for rounding. NumPy only.

The conformal threshold is the score of a calibration row. Where the classifier has few different
probabilities (nearest neighbors, small forests) or rows occur several times, many rows have this
very score. The estimator flags none of them. In the file their scores differ by rounding, which
would flag all of them or none. A score that rounding could have moved away from the threshold is
therefore set to the threshold, by the graph and by `OnnxDetector`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

# Logits of file and estimator differ by up to 5e-7 on the data of tests/onnx/test_ties.py.
LARGEST_ERROR_OF_LOGITS = 1e-5
# Saturated networks have scores of 1e-50, which rounding changes by a small part of themselves.
LARGEST_RELATIVE_ERROR = 1e-3
# float64 products of probabilities that should be equal.
LARGEST_ERROR_OF_ZERO = 1e-15
# Scores above are log-odds, see skaae._divergence. That module requires TensorFlow.
LABEL_CHANGE = 1000.0


def error_of_scores(threshold: float, temperature: float, hidden_weights: Sequence[float]) -> float:
    """Bound the rounding error of a score close to the threshold.

    Parameters
    ----------
    threshold : float
        The threshold.
    temperature : float
        Temperature of M(x).
    hidden_weights : sequence of float
        The weight of each hidden term.

    Returns
    -------
    error : float
        Less than 0.1 % of a threshold below 1000.

    Notes
    -----
    Let the logits be wrong by e. KL(p || q) and its gradient are 0 at p = q, so the error of a small
    divergence S is of the order of e * sqrt(S), not of e (Pinsker's inequality bounds the gradient
    by sqrt(2 * S)). A large divergence, or log-odds, is a difference of logits, and e grows with
    these. With weights w, the error is at most sqrt(sum(w)) times as large (Cauchy-Schwarz
    inequality). A temperature divides the logits, and with them their error.

    Examples
    --------
    >>> from skaae.onnx._ties import error_of_scores
    >>> error_of_scores(0.25, temperature=1.0, hidden_weights=[])
    5e-06
    """
    if threshold <= 0:
        return LARGEST_ERROR_OF_ZERO
    error = LARGEST_ERROR_OF_LOGITS / min(1.0, temperature) * math.sqrt(1.0 + sum(hidden_weights))
    if threshold >= LABEL_CHANGE:
        return error * max(1.0, threshold - LABEL_CHANGE)
    return min(error * max(math.sqrt(threshold), threshold), LARGEST_RELATIVE_ERROR * threshold)


def with_ties(scores: np.ndarray, threshold: float, error: float) -> np.ndarray:
    """Set the scores that differ from the threshold by no more than their error to the threshold.

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores.
    threshold : float
        The threshold.
    error : float
        The error of the scores.

    Returns
    -------
    scores : ndarray of shape (n_samples,)

    Examples
    --------
    >>> import numpy as np
    >>> from skaae.onnx._ties import with_ties
    >>> with_ties(np.array([1.0, 2.0000001, 3.0]), threshold=2.0, error=1e-6)
    array([1., 2., 3.])
    """
    is_tied = (scores >= threshold - error) & (scores <= threshold + error)
    return np.where(is_tied, threshold, scores)
