"""Weights of rows and classes: what they change in fit, and what they leave as it is."""

import keras
import numpy as np
import pytest
from sklearn import config_context
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier
from tests.support.models import QUICK, weights_of

pytestmark = pytest.mark.filterwarnings("ignore:.* rows are too few to promise:UserWarning")
# One batch an epoch, so that the order of the rows does not matter.
WHOLE = {**QUICK, "threshold": 1.0, "epochs": 20, "batch_size": 1000}


@pytest.fixture
def detector(flowers):
    return AdversarialAEDetector(flowers, **WHOLE)


def same_weights(first, second, tolerance=0.0):
    pairs = zip(weights_of(first.autoencoder_), weights_of(second.autoencoder_), strict=True)
    return all(np.allclose(*pair, rtol=0, atol=tolerance) for pair in pairs)


def test_equal_weights_change_nothing(iris, detector):
    X, _ = iris
    assert same_weights(clone(detector).fit(X), clone(detector).fit(X, sample_weight=np.full(len(X), 3.0)), 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [{}, {"loss": lambda x, decoded: keras.ops.mean((x - decoded) ** 2, axis=1)}, {"reconstruction_weight": 1.0}],
    ids=["divergence", "own loss", "reconstruction"],
)
def test_weights_are_repetitions(iris, detector, settings):
    """As far as rows are not drawn at random: in one batch, without noise and calibration rows."""
    X, weights = iris[0], np.arange(len(iris[0])) % 3
    repeated = clone(detector).set_params(**settings).fit(np.repeat(X, weights, axis=0))
    weighted = clone(detector).set_params(**settings).fit(X, sample_weight=weights)
    assert same_weights(repeated, weighted, 1e-4)
    assert not same_weights(clone(detector).set_params(**settings).fit(X[weights > 0]), weighted, 1e-4)


@pytest.mark.slow
def test_rows_of_weight_0_are_left_out(iris, detector):
    X, used = iris[0], np.arange(len(iris[0])) % 2 == 0
    odd = np.where(used[:, None], X, 1e6)
    settings = {"threshold": None, "batch_size": 32, "noise": 0.1}
    with_zeros = clone(detector).set_params(**settings).fit(odd, sample_weight=used)
    without = clone(detector).set_params(**settings).fit(X[used])
    np.testing.assert_allclose(with_zeros.score_samples(X), without.score_samples(X), atol=1e-5)


def test_weights_reach_rows_that_are_preprocessed(iris, detector):
    X, weights = iris[0], 1.0 + np.arange(len(iris[0])) % 3
    plain = clone(detector).fit(X, sample_weight=weights)
    preprocessed = clone(detector).set_params(preprocess=lambda batch: batch).fit(X, sample_weight=weights)
    assert same_weights(plain, preprocessed, 1e-5)


@pytest.mark.slow
def test_weights_of_classes_are_those_of_their_rows(iris, flowers, detector):
    X, _ = iris
    of_rows = np.where(flowers.predict(X) == "virginica", 4.0, 1.0)
    by_class = clone(detector).set_params(class_weight={"virginica": 4}).fit(X)
    assert same_weights(by_class, clone(detector).fit(X, sample_weight=of_rows), 1e-6)
    assert not same_weights(by_class, clone(detector).fit(X), 1e-6)


def test_balanced_classes_and_row_weights_multiply(iris, flowers, detector):
    X, _ = iris
    labels, counts = np.unique(flowers.predict(X), return_counts=True)
    of_labels = dict(zip(labels, 1 / counts, strict=True))
    of_rows = 1.0 + np.arange(len(X)) % 2
    balanced = clone(detector).set_params(class_weight="balanced").fit(X, sample_weight=of_rows)
    both = of_rows * [of_labels[label] for label in flowers.predict(X)]
    assert same_weights(balanced, clone(detector).fit(X, sample_weight=both), 1e-6)


def test_a_cached_training_is_found_by_its_weights(iris, detector, tmp_path):
    X, detector = iris[0], detector.set_params(memory=str(tmp_path))
    first, other = clone(detector).fit(X), clone(detector).fit(X, sample_weight=1.0 + np.arange(len(X)))
    assert not same_weights(first, other, 1e-6)
    assert same_weights(other, clone(detector).fit(X, sample_weight=1.0 + np.arange(len(X))))


def test_an_unknown_class_is_an_error_before_training(iris, detector):
    with pytest.raises(ValueError, match=r"class_weight has weights for \['tulip'\]"):
        detector.set_params(class_weight={"tulip": 2}).fit(iris[0])
    assert not hasattr(detector, "classes_")


@pytest.mark.slow
def test_routing_takes_weights_through_pipelines_and_searches(iris, detector):
    (X, y), weights = iris, 1.0 + np.arange(len(iris[0])) % 3
    alone = clone(detector).fit(X, sample_weight=weights)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline("passthrough", clone(detector).set_fit_request(sample_weight=True))
        assert same_weights(pipeline.fit(X, sample_weight=weights)[-1], alone)
        scores = {"scoring": lambda estimator, rows, labels: 0.0, "cv": 2}
        search = GridSearchCV(pipeline, {"adversarialaedetector__noise": [0]}, **scores)
        assert same_weights(search.fit(X, y, sample_weight=weights).best_estimator_[-1], alone)


class TestCorrectedClassifier:
    @pytest.mark.parametrize("enable_metadata_routing", [False, True])
    def test_the_classifier_gets_the_weights_of_its_rows(self, iris, detector, enable_metadata_routing):
        (X, y), weights = iris, np.where(iris[1] == 2, 5.0, 1.0)
        settings = {"threshold": None, "calibration_fraction": 0.0}
        with config_context(enable_metadata_routing=enable_metadata_routing):
            scaler, step = StandardScaler(), LogisticRegression()
            if enable_metadata_routing:
                scaler.set_fit_request(sample_weight=False)
                step.set_fit_request(sample_weight=True)
            pipeline = make_pipeline(scaler, step)
            corrected = CorrectedClassifier(detector.set_params(classifier=pipeline, **settings))
            corrected.fit(X, y, sample_weight=weights)
        alone = LogisticRegression().fit(StandardScaler().fit_transform(X), y, sample_weight=weights)
        np.testing.assert_allclose(corrected.classifier_[-1].coef_, alone.coef_, atol=1e-6)

    @pytest.mark.slow
    def test_a_frozen_classifier_stays(self, iris, detector):
        X, y = iris
        frozen = FrozenEstimator(KNeighborsClassifier().fit(X, y))
        detector = detector.set_params(classifier=frozen, surrogate=None, epochs=0)
        corrected = CorrectedClassifier(detector).fit(X, y, sample_weight=np.ones(len(X)))
        assert corrected.classifier_ is not None

    def test_a_classifier_that_takes_no_weights(self, iris, detector):
        X, y = iris
        corrected = CorrectedClassifier(detector.set_params(classifier=KNeighborsClassifier()))
        with pytest.raises(TypeError, match=r"sample_weight must be None, because KNeighborsClassifier.fit does not"):
            corrected.fit(X, y, sample_weight=np.ones(len(X)))
