"""The threshold that a promised percentage of new normal rows does not exceed."""

from __future__ import annotations

import math

import numpy as np

from skaae._utils.warnings import warn


def conformal_threshold(scores: np.ndarray, percentile: float) -> float:
    """Threshold that the given percentage of new normal rows does not exceed.

    It is the k-th smallest of n scores, k = ceil((n + 1) * percentile / 100). A new score that is exchangeable with
    them exceeds it with a probability of at most 1 - percentile / 100 (split conformal prediction; Vovk, Gammerman
    and Shafer, 2005).

    Parameters
    ----------
    scores : ndarray of shape (n_samples,)
        Scores of normal rows on which neither the classifier nor the autoencoder was trained.
    percentile : float
        In (0, 100].

    Returns
    -------
    threshold : float

    Raises
    ------
    ValueError
        If the threshold would be infinite or NaN.

    Warns
    -----
    UserWarning
        If there are fewer than percentile / (100 - percentile) scores. The largest score is returned then, and
        more new rows than promised exceed it. A percentile of 100 means the largest score, without a promise.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._scoring.threshold import conformal_threshold
    >>> conformal_threshold(np.arange(1.0, 100.0), 95)
    95.0
    """
    rank = math.ceil(round((len(scores) + 1) * percentile / 100, 6))
    if rank > len(scores) and percentile < 100:
        warn(
            f"{len(scores)} rows are too few to promise threshold_percentile={percentile}, which needs at least "
            f"{rows_needed(percentile)}. The threshold is the largest score, which 1 in "
            f"{len(scores) + 1} new normal rows exceeds."
        )
    threshold = float(np.sort(scores)[min(max(1, rank), len(scores)) - 1])
    if not np.isfinite(threshold):
        raise ValueError(
            f"{np.sum(~np.isfinite(scores))} of {len(scores)} rows of X have a score that is not finite, so that there "
            f"is no threshold. The classifier or the autoencoder overflows for these rows. Scale X (StandardScaler)."
        )
    return threshold


def rows_needed(percentile: float) -> float:
    """The least number of calibration rows with which a percentile can be promised.

    Examples
    --------
    >>> from skaae._scoring.threshold import rows_needed
    >>> rows_needed(95), rows_needed(100)
    (19, inf)
    """
    return math.inf if percentile == 100 else math.ceil(round(percentile / (100 - percentile), 6))
