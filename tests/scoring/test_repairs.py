"""Repairs of normal rows add at most as many rows to a rare class as may be flagged in it."""

import copy

import joblib
import numpy as np
import pytest
import tensorflow as tf
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skaae import AdversarialAEDetector
from skaae._scoring.calibration import calibrate
from skaae._scoring.pools import PooledThresholds, SharedThreshold, offset_of
from skaae._scoring.repairs import infer_repair_thresholds
from skaae.metrics import defense_report
from skaae.onnx import OnnxDetector, to_onnx
from skaae.robustness._target import corrected_network
from tests.support.models import QUICK

random = np.random.default_rng(0)


def rows(n_common=1000, n_rare=50, share=0.03):
    """Scores and labels, of which some common rows change into the rare class, and as many rare ones into the other."""
    labels = np.repeat([0, 1], [n_common, n_rare])
    scores, changes = random.exponential(size=len(labels)), random.random(len(labels)) < share
    scores[changes] += 1000
    return scores, labels, np.where(changes, 1 - labels, labels)


def test_the_promise_holds_on_average():
    """Without the limit, three fifths as many rows as the rare class has would join it."""
    added, unlimited = [], []
    for _ in range(300):
        thresholds = calibrate(*rows(), 2, 95, True).thresholds
        scores, labels, new_labels = rows(20_000, 1000)
        joins = (labels == 0) & (new_labels == 1)
        repaired = thresholds.is_repaired(scores, labels, new_labels)
        added.append(np.sum(repaired & joins) / 1000)
        unlimited.append(np.sum(thresholds.is_adversarial(scores, labels) & joins) / 1000)
    assert np.mean(unlimited) == pytest.approx(0.6, abs=0.05)
    assert 0.03 < np.mean(added) < 0.05


def test_classes_that_are_not_rare_have_no_limit():
    """With one for each of the 26 letters, .05 of the accuracy under attack was lost."""
    for n_rare, is_limited in ((500, False), (120, False), (100, True)):
        thresholds = calibrate(*rows(1000, n_rare, share=0.2), 2, 95, True).thresholds
        assert np.isfinite(thresholds.repair_thresholds).tolist() == [False, is_limited]


@pytest.mark.parametrize("n_rare", [1, 19])
def test_one_calibration_row_where_the_share_is_less(n_rare):
    """With many classes of few rows, nothing could be repaired at all otherwise."""
    labels, scores = np.repeat([0, 1], [1000, n_rare]), np.r_[np.arange(1000.0), np.zeros(n_rare)]
    threshold = infer_repair_thresholds(scores, labels, np.ones(len(labels), int), 2, 95)[1]
    assert threshold == pytest.approx(999, rel=1e-5)
    assert threshold > 999, "a row with the score of a calibration row is not repaired"


def test_a_class_that_nothing_changes_into_has_no_limit():
    labels = np.repeat([0, 1], [1000, 100])
    assert np.isinf(infer_repair_thresholds(np.arange(1100.0), labels, labels, 3, 95)).all()


def test_infinite_scores_do_not_count():
    """Their rows have no x', so that nothing is repaired there."""
    scores, labels = np.r_[np.full(50, np.inf), np.arange(50.0)], np.zeros(100, int)
    assert infer_repair_thresholds(scores, labels, np.ones(100, int), 2, 95)[1] == pytest.approx(49, rel=1e-5)


def test_flagged_rows_whose_label_stays_are_repaired():
    """Probabilities and rows are still those of x'."""
    pools = PooledThresholds((np.arange(99.0),), np.zeros(2, int), offset_of(95), np.array([-np.inf, 1000.0]))
    scores = np.array([98.0, 98.0, 1001.0, 98.0, 10.0])
    found = pools.is_repaired(scores, np.array([0, 0, 0, 1, 0]), np.array([0, 1, 1, 0, 0]))
    assert found.tolist() == [True, False, True, True, False]


def test_no_limit_for_one_threshold_as_published():
    assert SharedThreshold(1.0).of_repairs(2).tolist() == [-np.inf, -np.inf]
    assert SharedThreshold(1.0).is_repaired(np.array([2.0]), np.array([0]), np.array([1])).tolist() == [True]


@pytest.fixture(scope="module")
def table():
    X, y = make_classification(30_000, n_features=6, n_informative=5, n_redundant=0, weights=[0.95], random_state=3)
    return X.astype(np.float32), y


@pytest.fixture(scope="module")
def detector(table):
    """With little training, x' of many common rows is of the rare class. Many rows make the limit certain."""
    X, y = table
    classifier = LogisticRegression(class_weight={0: 1, 1: 3}).fit(X[:2000], y[:2000])
    return AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X[2000:6000]).infer_threshold(X[6000:16_000])


def test_everything_that_repairs_goes_by_it(table, detector, tmp_path):
    X = table[0][16_000:]
    found = detector.correct(X)
    changed = found.is_adversarial & (found.defense != found.no_defense)
    kept = changed & (found.corrected == found.no_defense)
    assert 10 < kept.sum() < changed.sum(), "some are repaired, others are not"
    assert set(found.defense[kept]) == {1}
    assert (found.instance_score[kept] <= detector.repair_thresholds_[1]).all()
    added = np.sum((found.no_defense == 0) & (found.corrected == 1)) / np.sum(found.no_defense)
    assert 0.02 < added < 0.08
    probabilities = detector._corrected_probabilities(X)
    np.testing.assert_array_equal(probabilities.argmax(axis=1), found.corrected)
    np.testing.assert_allclose(tf.nn.softmax(corrected_network(detector)(X)), probabilities, atol=1e-6)
    np.testing.assert_array_equal(make_pipeline(detector, detector.classifier).predict(X), found.corrected)
    np.testing.assert_array_equal(detector.transform(X)[kept], X[kept])
    explained = detector.explain(X).drop_duplicates("row").set_index("row")
    np.testing.assert_array_equal(explained.corrected, found.corrected[explained.index])
    report = defense_report(detector, X, found.no_defense, {})
    assert report.loc["clean", "accuracy"] == np.mean(found.corrected == found.no_defense)
    joblib.dump(detector, tmp_path / "detector.joblib")
    to_onnx(detector, tmp_path / "detector.onnx")
    for loaded in (joblib.load(tmp_path / "detector.joblib"), OnnxDetector(tmp_path / "detector.onnx")):
        np.testing.assert_array_equal(loaded.correct(X).corrected, found.corrected)
        np.testing.assert_array_equal(loaded.transform(X)[kept], X[kept])
        assert loaded.repair_thresholds_.tolist() == detector.repair_thresholds_.tolist()


def test_a_threshold_that_is_set_repairs_every_flagged_row(table, detector):
    X, copied = table[0][16_000:], copy.deepcopy(detector)
    copied.threshold_ = detector.threshold_
    found = copied.correct(X)
    np.testing.assert_array_equal(found.corrected[found.is_adversarial], found.defense[found.is_adversarial])
    assert np.isinf(copied.repair_thresholds_).all()
