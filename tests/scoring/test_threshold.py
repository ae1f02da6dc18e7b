import warnings

import numpy as np
import pytest

from skaae._scoring.threshold import conformal_threshold


@pytest.mark.parametrize(
    ("n_scores", "percentile", "rank"), [(99, 95, 95), (100, 95, 96), (199, 99.5, 199), (9, 50, 5)]
)
def test_threshold_is_the_quantile_of_split_conformal_prediction(n_scores, percentile, rank):
    scores = np.random.default_rng(0).permutation(np.arange(1.0, n_scores + 1))
    assert conformal_threshold(scores, percentile) == rank


def test_false_alarms_are_at_most_the_nominal_on_average():
    generator = np.random.default_rng(0)
    alarms = [
        np.mean(generator.exponential(size=500) > conformal_threshold(generator.exponential(size=199), 95))
        for _ in range(2000)
    ]
    # Exactly 0.05 in expectation for 199 scores; the standard error of this mean is 0.0004.
    assert np.mean(alarms) == pytest.approx(0.05, abs=0.002)


def test_too_few_rows_for_the_promise_warn_and_take_the_largest():
    with pytest.warns(UserWarning, match="18 rows are too few .* at least 19"):
        assert conformal_threshold(np.arange(18.0), 95) == 17
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert conformal_threshold(np.arange(19.0), 95) == 18
        assert conformal_threshold(np.arange(5.0), 100) == 4


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_threshold_is_finite_or_an_error(bad):
    scores = np.r_[np.arange(99.0), bad]
    assert conformal_threshold(scores, 90) == 90
    with pytest.raises(ValueError, match=r"1 of 100 rows of X have a score that is not finite.*Scale X"):
        conformal_threshold(scores, 100)
