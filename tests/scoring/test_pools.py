import math
import pickle

import numpy as np
import pytest

from skaae._scoring.pools import PooledThresholds, SharedThreshold, offset_of, threshold_of_pool
from skaae._scoring.threshold import conformal_threshold


@pytest.mark.parametrize("n_scores", [19, 20, 99, 100, 101, 999, 4321])
@pytest.mark.parametrize("percentile", [50, 90, 95, 99.9, 100 / 3])
def test_threshold_is_that_of_split_conformal_prediction(n_scores, percentile):
    scores = np.sort(np.random.default_rng(0).normal(size=n_scores))
    threshold = threshold_of_pool(scores, offset_of(percentile))
    if math.isfinite(threshold):
        assert threshold == conformal_threshold(scores, percentile)
    else:
        assert n_scores < percentile / (100 - percentile)


@pytest.mark.parametrize("n_scores", [19, 99, 100, 12345])
@pytest.mark.parametrize("percentile", [50, 90, 95, 99])
def test_flags_scores_and_p_values_agree(n_scores, percentile):
    random = np.random.default_rng(0)
    calibration = np.sort(random.integers(0, n_scores // 2, n_scores).astype(float))  # many are equal
    pools = PooledThresholds((calibration,), np.zeros(1, int), offset_of(percentile))
    scores = np.r_[calibration, calibration[-1] + 1, calibration + 1e-9]
    labels, rate = np.zeros(len(scores), int), 1 - percentile / 100
    flagged = pools.is_adversarial(scores, labels)
    np.testing.assert_array_equal(flagged, scores > pools.threshold)
    np.testing.assert_array_equal(flagged, pools.normality(scores, labels) < pools.offset)
    np.testing.assert_array_equal(flagged, pools.p_values(scores, labels) <= rate * (1 + 1e-8))


def test_p_values_of_new_rows_are_uniform():
    random = np.random.default_rng(0)
    p_values = np.concatenate(
        [
            SharedThreshold(0.0, np.sort(random.exponential(size=99))).p_values(random.exponential(size=5), None)
            for _ in range(2000)
        ]
    )
    shares = np.bincount(np.round(p_values * 100).astype(int), minlength=101)[1:] / len(p_values)
    assert p_values.min() == pytest.approx(0.01)
    np.testing.assert_allclose(shares, 0.01, atol=0.005)


def test_infinite_scores_are_flagged_in_every_class():
    """Also in a class that is never flagged, and where calibration rows are infinite too."""
    few, overflowing = np.arange(5.0), np.r_[np.arange(98.0), np.inf]
    pools = PooledThresholds((overflowing, few), np.array([0, 1]), offset_of(95))
    assert pools.of_classes(2).tolist() == [94, np.inf]
    labels = np.array([0, 0, 1, 1])
    assert pools.is_adversarial(np.array([96.0, np.inf, 96.0, np.inf]), labels).tolist() == [True, True, False, True]
    assert not np.isnan(pools.normality(np.array([96.0, np.inf, 96.0, np.inf]), labels)).any()


def test_thresholds_are_computed_once_and_not_saved():
    pools = PooledThresholds((np.arange(99.0), np.arange(99.0) * 10), np.array([0, 1]), offset_of(95))
    thresholds = pools.of_classes(2)
    thresholds[0] = -1.0
    assert pools.of_classes(2).tolist() == [94.0, 940.0]
    assert pickle.loads(pickle.dumps(pools)).of_classes(2).tolist() == [94.0, 940.0]
    assert set(pools.__getstate__()) == {"calibration_scores", "pool_of_class", "offset", "repair_thresholds"}
