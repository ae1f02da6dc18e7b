"""Classifiers that take only rows like those of fit."""

import warnings

import keras
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import CategoricalNB, GaussianNB, MultinomialNB
from sklearn.neighbors import RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, PowerTransformer, StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier
from skaae._classifiers.adapters import PredictProbaClassifier
from skaae._scoring.scorer import SCORE_WITHOUT_REPAIR
from skaae._training.domain import find_domain, into_domain, tensor_into_domain
from tests.support.models import QUICK, tiny_surrogate

pytestmark = pytest.mark.usefixtures("short_distillation")

normal = np.random.default_rng(0).normal(size=(400, 4))
HEAVY = np.minimum(np.exp(2 * normal), 1e4)
CODES = np.exp(normal).round().clip(0, 3)
LABELS = (normal[:, 0] + normal[:, 1] > 0).astype(int)
FIRST_STEPS = {
    "Box-Cox": (PowerTransformer(method="box-cox"), HEAVY),
    "logarithm": (FunctionTransformer(np.log), HEAVY),
    "square root": (FunctionTransformer(np.sqrt), HEAVY),
    "categories": (OrdinalEncoder(), CODES),
    "one-hot": (OneHotEncoder(sparse_output=False), CODES),
}


def far_away(sample_shape):
    """An autoencoder whose x' leave the range of X."""
    shift = keras.layers.Rescaling(1.0, offset=-1.3)
    return keras.Sequential(
        [keras.Input(sample_shape), shift, keras.layers.Dense(*sample_shape, "linear", False, "identity")]
    )


def fitted(classifier, X, **parameters):
    settings = {**QUICK, "autoencoder": far_away, "epochs": 0, "surrogate": tiny_surrogate}
    detector = AdversarialAEDetector(FrozenEstimator(classifier), **{**settings, **parameters})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The surrogate", UserWarning)
        return detector.fit(X)


def assert_whole_batch(detector, X):
    """Everything works for all rows, and what the next classifier gets is in its range."""
    found = detector.correct(X)
    np.testing.assert_array_equal(found.no_defense, detector.classifier.predict(X))
    np.testing.assert_array_equal(detector.predict(X) == -1, found.is_adversarial)
    np.testing.assert_array_equal(detector.classifier.predict(detector.transform(X)), found.corrected)
    assert np.isfinite(detector.classifier.predict_proba(detector.reconstruct(X).astype(X.dtype))).all()
    assert np.isfinite(detector._corrected_probabilities(X)).all()


@pytest.mark.parametrize("kind", FIRST_STEPS)
def test_first_step_of_a_pipeline(kind):
    step, X = FIRST_STEPS[kind]
    classifier = make_pipeline(step, StandardScaler(), LogisticRegression()).fit(X, LABELS)
    assert_whole_batch(fitted(classifier, X), X)


@pytest.mark.slow
@pytest.mark.parametrize("classifier", [MultinomialNB(), CategoricalNB()])
def test_classifiers_of_counts(classifier):
    assert_whole_batch(fitted(classifier.fit(CODES, LABELS), CODES), CODES)


def test_trees_behind_a_logarithm_get_no_missing_values():
    """They take NaN, but the logarithm warns."""
    classifier = make_pipeline(FunctionTransformer(np.log), HistGradientBoostingClassifier(max_iter=3))
    assert_whole_batch(fitted(classifier.fit(HEAVY, LABELS), HEAVY), HEAVY)


def test_corrected_classifier():
    classifier = make_pipeline(FunctionTransformer(np.log), GaussianNB())
    detector = AdversarialAEDetector(classifier, **{**QUICK, "autoencoder": far_away}, surrogate=tiny_surrogate)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The surrogate", UserWarning)
        model = CorrectedClassifier(detector).fit(HEAVY, LABELS)
    assert np.isfinite(model.predict_proba(HEAVY)).all()


def test_others_are_not_limited(iris):
    forest = PredictProbaClassifier(RandomForestClassifier(5, random_state=0).fit(*iris))
    assert find_domain(forest, iris[0], seed=0) is None
    assert into_domain(iris[0], None) is iris[0]


def test_into_domain():
    lowest, highest = np.array([0, -1], np.float32), np.array([3, 1], np.float32)
    domain = lowest, highest, np.array([True, False])
    X = np.array([[1.4, 0.5], [-7, 7], [2.6, np.nan]], np.float32)
    expected = np.array([[1, 0.5], [0, 1], [3, np.nan]], np.float32)
    np.testing.assert_array_equal(into_domain(X, domain), expected)
    np.testing.assert_array_equal(tensor_into_domain(X, domain), expected)


class Gap(GaussianNB):
    """Refuses what no row of fit has, in the middle of the range."""

    def predict_proba(self, X):
        if (np.abs(X[:, 0]) < self.gap).any():
            raise ValueError("no value near 0")
        return super().predict_proba(X)


def gap_of(width):
    X = normal[np.abs(normal[:, 0]) > width]
    labels = (X[:, 0] + X[:, 1] > 0).astype(int)
    classifier = Gap().fit(X, labels)
    classifier.gap = width
    return classifier, X


def shifted(offset):
    def build(sample_shape):
        return keras.Sequential(
            [keras.Input(sample_shape), keras.layers.Rescaling(1.0, offset=[offset, 0.0, 0.0, 0.0])]
        )

    return build


@pytest.mark.slow
def test_rows_whose_repair_is_refused_are_flagged_alone():
    classifier, X = gap_of(0.02)
    detector = fitted(classifier, X, autoencoder=shifted(0.5))
    refused = np.abs(X[:, 0] + 0.5) < 0.02
    assert 0 < refused.mean() < 0.05
    score = detector.adversarial_score(X)
    np.testing.assert_array_equal(score == SCORE_WITHOUT_REPAIR, refused)
    assert (detector.predict(X)[refused] == -1).all()
    np.testing.assert_array_equal(detector.transform(X)[refused], X[refused])
    found = detector.correct(X)
    np.testing.assert_array_equal(found.corrected[refused], classifier.predict(X[refused]))
    np.testing.assert_array_equal(detector._corrected_probabilities(X)[refused], classifier.predict_proba(X[refused]))
    np.testing.assert_array_equal(detector.adversarial_score(X[refused][:1]), [SCORE_WITHOUT_REPAIR])


def test_rows_that_the_classifier_itself_refuses():
    classifier, X = gap_of(0.02)
    detector = fitted(classifier, X, autoencoder=shifted(0.5))
    X = np.concatenate([X[:5], np.zeros((1, 4))])
    assert np.isinf(detector.adversarial_score(X)).tolist() == [False] * 5 + [True]
    assert detector.predict(X)[-1] == -1
    with pytest.raises(ValueError, match=r"1 sample\(s\) .*which the classifier refuses, the first at index 5"):
        detector.correct(X)


def test_too_many_refused_repairs():
    classifier, X = gap_of(0.4)
    with pytest.raises(ValueError, match=r"classifier must take x' = AE\(x\), but it refuses"):
        fitted(classifier, X, autoencoder=shifted(0.6))


class OnlyKnown(GaussianNB):
    """Like a table of known rows."""

    def fit(self, X, y):
        self.known = set(map(tuple, X.astype(np.float32)))
        return super().fit(X, y)

    def predict_proba(self, X):
        if not {tuple(row) for row in X.astype(np.float32)} <= self.known:
            raise KeyError("unknown row")
        return super().predict_proba(X)


def test_a_classifier_of_known_rows_is_refused_before_training():
    with pytest.raises(ValueError, match=r"classifier=OnlyKnown must take values between those of X.*unknown row"):
        fitted(OnlyKnown().fit(normal, LABELS), normal, callbacks=None)


def test_own_errors_about_the_rows_of_fit_are_raised():
    neighbors = RadiusNeighborsClassifier(0.1).fit(normal, LABELS)
    with pytest.raises(ValueError, match="No neighbors found"):
        fitted(neighbors, normal + 100)
