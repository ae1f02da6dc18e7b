"""What scikit-learn adds to the decisions: Bunch, set_output, the threshold."""

import copy

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.pipeline import make_pipeline
from sklearn.utils import Bunch

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._scoring.outlier_detector import OutlierDetectorMixin
from skaae._scoring.pools import SharedThreshold
from tests.support.models import QUICK


class Distance(OutlierDetectorMixin, BaseEstimator):
    """S(x) is the absolute first feature, x' = 0."""

    classes_ = np.array(["low", "high"])
    threshold_percentile = 95.0
    class_thresholds = False

    def fit(self, X, y=None):
        return self

    def __sklearn_is_fitted__(self):
        return True

    def _validated(self, X, reset):
        return np.asarray(X)

    def _results(self, X, *names):
        high = (X[:, 0] > 0).astype(int)
        found = {"score": np.abs(X[:, 0]), "reconstruction": np.zeros_like(X), "no_defense": high, "defense": 0 * high}
        return {name: found[name] for name in names}


def test_threshold_and_what_follows():
    X = np.arange(1.0, 101.0).reshape(-1, 1)
    detector = Distance().infer_threshold(X)
    assert (detector.threshold_, detector.offset_) == (96, -96)
    assert (detector.predict(X) == -1).sum() == 4
    assert (detector.infer_threshold(X, 50).predict(X) == -1).sum() == 49
    found = detector.correct(X)
    assert type(found) is Bunch
    assert found.corrected.tolist() == ["high"] * 51 + ["low"] * 49


@pytest.mark.parametrize("attribute", ["threshold_", "class_thresholds_", "offset_", "class_report_"])
def test_before_fit(attribute):
    """class_report_ said that a threshold was given, the others that there is no attribute of a private name."""
    with pytest.raises(AttributeError, match=f"Distance instance is not fitted yet, so it has no {attribute}"):
        getattr(Distance(), attribute)


def test_no_threshold_before_fit():
    """With it, the detector counted as fitted."""
    detector = Distance()
    with pytest.raises(AttributeError, match="not fitted yet, so it has no threshold_"):
        detector.threshold_ = 1.0
    assert not hasattr(detector, "threshold_")


def test_thresholds_of_classes():
    """High rows score three times as much, and are judged by their own kind."""
    X = np.random.default_rng(0).uniform(-1, 3, 4000).reshape(-1, 1)
    detector = Distance()
    detector.class_thresholds = True
    detector.infer_threshold(X)
    high = X[:, 0] > 0
    flagged = detector.predict(X) == -1
    assert [flagged[rows].mean() for rows in (high, ~high)] == pytest.approx([0.05, 0.05], abs=0.002)
    np.testing.assert_allclose(detector.class_thresholds_, [0.95, 2.85], atol=0.02)
    np.testing.assert_array_equal(detector.decision_function(X) < 0, flagged)
    np.testing.assert_array_equal(detector.p_values(X) <= 0.05 + 1e-9, flagged)
    np.testing.assert_allclose(np.exp(detector.score_samples(X)), detector.p_values(X))
    report = detector.class_report_
    assert report.index.tolist() == ["low", "high"]
    assert report.calibration_rows.tolist() == [np.sum(~high), np.sum(high)]
    assert report.label_kept.tolist() == [1, 0]
    assert report.threshold.tolist() == detector.class_thresholds_.tolist()
    far = np.array([[3.1], [3.2], [1e6], [np.inf]])
    assert (np.diff(detector.score_samples(far)) < 0).all(), "scores go on falling where p-values no longer do"
    assert len(set(detector.p_values(far))) == 1
    assert (detector.predict(far) == -1).all()


def test_a_threshold_from_rows_of_one_class_alone_warns():
    X = np.random.default_rng(0).uniform(-1, 3, 1000).reshape(-1, 1)
    detector = Distance()
    detector.class_thresholds = True
    detector.infer_threshold(X)
    with pytest.warns(UserWarning, match="no calibration row to these classes: high"):
        detector.infer_threshold(X[X[:, 0] < 0])


def test_a_threshold_that_is_set_holds_for_all_classes():
    detector = Distance()
    detector.class_thresholds = True
    detector.infer_threshold(np.random.default_rng(0).uniform(-1, 3, 1000).reshape(-1, 1)).threshold_ = 0.5
    assert detector.class_thresholds_.tolist() == [0.5, 0.5]
    assert detector.predict([[0.5], [-0.6], [0.6]]).tolist() == [1, -1, -1]
    assert detector.score_samples([[2.0]]).tolist() == [-2]
    with pytest.raises(ValueError, match=r"p_values requires calibration rows, but the threshold was given"):
        detector.p_values([[0.5]])
    with pytest.raises(AttributeError, match="class_report_ requires calibration rows, but threshold was given"):
        detector.class_report_.describe()  # of the thresholds before


def test_transform_has_set_output():
    frame = pd.DataFrame({"a": [1.0, 99.0]})
    detector = Distance().set_output(transform="pandas")
    detector._thresholds = SharedThreshold(50.0)
    detector.feature_names_in_ = np.array(["a"], dtype=object)
    detector.n_features_in_ = 1
    assert detector.transform(frame).equals(frame.assign(a=[1.0, 0.0]))


@pytest.mark.parametrize("output", ["pandas", "polars"])
def test_images_and_sequences_stay_arrays(images_detector, digit_images, output):
    X = digit_images[0][:5]
    expected = images_detector.transform(X)
    detector = copy.copy(images_detector)
    with sklearn.config_context(transform_output=output):
        found = detector.transform(X)
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(detector.set_output(transform=output).transform(X), expected)
    assert not hasattr(detector, "get_feature_names_out")


def test_pipeline_of_images_with_an_output(digits_model, digit_images):
    X = digit_images[0][:100]
    frozen = FrozenKerasModel(digits_model)
    pipeline = make_pipeline(AdversarialAEDetector(frozen, **QUICK), frozen).set_output(transform="pandas")
    assert len(pipeline.fit(X).predict(X)) == len(X)


def test_no_report_where_the_threshold_was_given(iris, flowers):
    detector = AdversarialAEDetector(flowers, threshold=1.0, **QUICK).fit(iris[0])
    with pytest.raises(AttributeError, match="class_report_ requires calibration rows"):
        print(detector.class_report_)
    assert detector.infer_threshold(iris[0]).class_report_["calibration_rows"].sum() == len(iris[0])


@pytest.mark.parametrize("threshold", [-1.0, np.nan])
def test_a_threshold_that_would_flag_no_row_or_every_row(threshold):
    detector = Distance().infer_threshold(np.arange(1.0, 101.0).reshape(-1, 1))
    with pytest.raises(ValueError, match="threshold_ must be at least 0, got"):
        detector.threshold_ = threshold
    assert detector.threshold_ == 96
