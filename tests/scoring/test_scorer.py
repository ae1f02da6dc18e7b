import numpy as np
import pytest
from scipy.special import softmax
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skaae import AdversarialAEDetector
from skaae._classifiers.adapters import ROWS_PER_CALL
from skaae._divergence import AdversarialScore
from skaae._scoring.scorer import compare
from tests.support.models import QUICK, tiny_surrogate

NAMES = ("score", "reconstruction", "no_defense", "defense", "probabilities", "probabilities_reconstructed")


@pytest.fixture(scope="module", params=[LogisticRegression(), RandomForestClassifier(5, random_state=0)])
def detector(request, iris):
    classifier = request.param.fit(*iris)
    return AdversarialAEDetector(classifier, surrogate=tiny_surrogate, **QUICK, threshold=0.1).fit(iris[0])


def test_results_are_those_of_the_classifier(detector, iris):
    X, _ = iris
    found = detector._results(X, *NAMES)
    again = found["reconstruction"].astype(X.dtype)
    np.testing.assert_array_equal(again, detector.reconstruct(X))
    np.testing.assert_allclose(found["probabilities"], detector.classifier.predict_proba(X), atol=1e-6)
    np.testing.assert_allclose(
        found["probabilities_reconstructed"], detector.classifier.predict_proba(again), atol=1e-6
    )
    np.testing.assert_array_equal(found["defense"], detector.classifier.predict(again))


def test_any_number_of_rows_scores_the_same(detector, iris):
    X = np.resize(iris[0], (ROWS_PER_CALL + 3, 4))
    np.testing.assert_array_equal(detector.adversarial_score(X)[-3:], detector.adversarial_score(X[-3:]))


def test_compare():
    generator = np.random.default_rng(0)
    logits, reconstructed = generator.normal(size=(2, 5, 3))
    found = compare(AdversarialScore(1.0, ()), [logits], [reconstructed])
    p, q = softmax(logits, axis=1), softmax(reconstructed, axis=1)
    np.testing.assert_allclose(found["score"], np.sum(p * np.log(p / q), axis=1), atol=1e-7)
    np.testing.assert_array_equal(found["no_defense"], logits.argmax(axis=1))
    np.testing.assert_allclose(found["probabilities_reconstructed"], q)
