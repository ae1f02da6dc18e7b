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
from tests.support.models import QUICK


class Distance(OutlierDetectorMixin, BaseEstimator):
    """S(x) is the absolute first feature, x' = 0."""

    classes_ = np.array(["low", "high"])
    threshold_percentile = 95.0

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


def test_transform_has_set_output():
    frame = pd.DataFrame({"a": [1.0, 99.0]})
    detector = Distance().set_output(transform="pandas")
    detector.threshold_ = 50.0
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
