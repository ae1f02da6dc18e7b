import warnings

import numpy as np
import pytest

from skaae._scoring.calibration import calibrate, form_pools

random = np.random.default_rng(0)


def two_classes(n_common=1000, n_rare=60, scale=5.0):
    """Scores of which those of the rare class are larger."""
    scores = np.r_[random.exponential(size=n_common), scale * random.exponential(size=n_rare)]
    return scores, np.repeat([0, 1], [n_common, n_rare])


def calibrated(scores, labels, changed=(), percentile=95, class_thresholds=True):
    reconstructed = np.where(np.isin(np.arange(len(labels)), changed), 1 - labels, labels)
    return calibrate(scores, labels, reconstructed, 2, percentile, class_thresholds)


def test_a_class_with_too_many_false_alarms_gets_a_threshold_of_its_own():
    thresholds = form_pools(*two_classes(), 2, 95).of_classes(2)
    assert thresholds == pytest.approx([-np.log(0.05), -5 * np.log(0.05)], rel=0.25)


def test_classes_that_are_alike_share_one():
    """26 classes of exponential scores: thresholds of their own would be far less certain."""
    scores, labels = random.exponential(size=2600), np.tile(np.arange(26), 100)
    assert len(form_pools(scores, labels, 26, 95).calibration_scores) <= 2


@pytest.mark.parametrize(("n_classes", "n_pools"), [(2, 2), (10, 1)])
def test_of_few_classes_one_leaves_at_a_higher_level(n_classes, n_pools):
    """12 of 126 rows above the threshold have a chance of 3 %: too little for one class of two, not for one of ten."""
    labels = np.r_[np.repeat(np.arange(n_classes - 1), 144), np.full(126, n_classes - 1)]
    scores = np.r_[np.zeros(len(labels) - 12), np.arange(1.0, 13.0)]
    assert len(form_pools(scores, labels, n_classes, 95).calibration_scores) == n_pools


def test_the_promise_holds_for_each_class():
    """On average over many calibrations: with one threshold the rare class would have 55 % of false alarms."""
    alarms = []
    for _ in range(300):
        pools = form_pools(*two_classes(), 2, 95)
        alarms.append([np.mean(pools.is_adversarial(*rows)) for rows in fresh_rows()])
    assert np.mean(alarms, axis=0) == pytest.approx([0.05, 0.05], abs=0.01)


def fresh_rows():
    scores, labels = two_classes(500, 500)
    return [(scores[labels == label], labels[labels == label]) for label in (0, 1)]


def test_a_class_with_too_few_rows_is_never_flagged_and_a_warning_names_it():
    calibration = calibrated(*two_classes(n_rare=12, scale=50.0))
    assert calibration.thresholds.of_classes(2)[1] == np.inf
    with pytest.warns(UserWarning, match=r"never flagged: fraud \(12 calibration rows\).*at least 19 calibration rows"):
        calibration.warn_if_weak(np.array(["normal", "fraud"]), 95)


def test_a_class_without_calibration_rows_shares_the_threshold():
    scores, labels = two_classes()
    assert form_pools(scores, labels, 3, 95).of_classes(3)[2] == form_pools(scores, labels, 3, 95).threshold
    assert calibrated(scores[:1000], labels[:1000]).report(np.array([0, 1])).flagged.isna().tolist() == [False, True]


def test_a_warning_names_classes_that_have_lost_their_calibration_rows():
    """With rows of normal payments alone, all alerts were flagged, and the recall fell from .23 to .02."""
    (scores, labels), classes = two_classes(), np.array(["normal", "fraud"])
    before, after = calibrated(scores, labels), calibrated(scores[:1000], labels[:1000])
    with pytest.warns(UserWarning, match=r"no calibration row to these classes: fraud\. Their rows have the threshold"):
        after.warn_of_absent_classes(classes, 95, before)
    with warnings.catch_warnings(action="error"):
        after.warn_of_absent_classes(classes, 95, after)
        before.warn_of_absent_classes(classes, 95, after)
        after.warn_of_absent_classes(classes, 99.95, before)
        calibrated(scores[:1000], labels[:1000], class_thresholds=False).warn_of_absent_classes(classes, 95, before)


@pytest.mark.parametrize(("n_scores", "percentile"), [(12, 95), (500, 100)])
def test_what_cannot_be_promised_flags_rows_above_the_largest_score(n_scores, percentile):
    scores = np.arange(float(n_scores))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*rows are too few to promise", UserWarning)
        pools = form_pools(scores, np.zeros(n_scores, int), 2, percentile)
    assert pools.of_classes(2).tolist() == [n_scores - 1] * 2
    beyond = np.array([n_scores - 1, n_scores - 0.5])
    assert pools.is_adversarial(beyond, np.zeros(2, int)).tolist() == [False, True]


def test_one_threshold_as_published():
    scores, labels = two_classes()
    thresholds = calibrated(scores, labels, class_thresholds=False).thresholds
    assert thresholds.of_classes(2).tolist() == [thresholds.threshold] * 2
    np.testing.assert_array_equal(thresholds.normality(scores, labels), -scores)
    assert thresholds.offset == -thresholds.threshold


class TestLabelsLost:
    """x' has another label than x."""

    def test_of_one_class(self):
        calibration = calibrated(*two_classes(), changed=range(1000, 1045))
        with pytest.warns(UserWarning, match=r"cannot repair well.*some classes: 25% for fraud\. Pass more rows"):
            calibration.warn_if_weak(np.array(["normal", "fraud"]), 95)
        report = calibration.report(np.array(["normal", "fraud"]))
        assert report.label_kept.tolist() == [1, 0.25]

    def test_of_all_rows(self):
        calibration = calibrated(*two_classes(), changed=range(800))
        with pytest.warns(UserWarning, match=r"keeps the label of only 25% of the calibration rows"):
            calibration.warn_if_weak(np.array([0, 1]), 95)

    def test_of_few(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            calibrated(*two_classes(), changed=range(1000, 1020)).warn_if_weak(np.array([0, 1]), 95)
