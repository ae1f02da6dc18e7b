import warnings

import keras
import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import entropy
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._classifiers.adapters import ROWS_PER_CALL
from skaae._divergence import AdversarialScore
from skaae._scoring.scorer import compare_predictions
from tests.support.models import PUBLISHED, QUICK, tiny_surrogate

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


def network(n_classes):
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(n_classes, activation="softmax")])


def test_many_hidden_models(iris):
    """TensorFlow orders results by their names, in which 10 must not come before 2."""
    X, y = iris[0].astype("float32"), iris[1]
    keras.utils.set_random_seed(0)
    models, surrogate = [network(3) for _ in range(7)], FrozenKerasModel(network(3))
    detector = AdversarialAEDetector(
        GaussianNB().fit(X, y), surrogate=surrogate, hidden_models=models, epochs=0, threshold=1.0, **PUBLISHED
    )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The surrogate", UserWarning)
        detector.fit(X)
    x_reconstructed = detector.reconstruct(X)
    logits, again = (detector.classifier_.predict_logits(rows) for rows in (X, x_reconstructed))
    expected = entropy(softmax(logits, axis=1), softmax(again, axis=1), axis=1)
    expected += sum(entropy(model(X).numpy(), model(x_reconstructed).numpy(), axis=1) for model in models)
    np.testing.assert_allclose(detector.adversarial_score(X), expected, rtol=1e-3)


def test_compare_predictions():
    generator = np.random.default_rng(0)
    logits, reconstructed = generator.normal(size=(2, 5, 3))
    labels = logits.argmax(axis=1), reconstructed.argmax(axis=1)
    found = compare_predictions(AdversarialScore(1.0, ()), [logits], [reconstructed], labels)
    p, q = softmax(logits, axis=1), softmax(reconstructed, axis=1)
    np.testing.assert_allclose(found["score"], np.sum(p * np.log(p / q), axis=1), atol=1e-7)
    np.testing.assert_array_equal(found["no_defense"], logits.argmax(axis=1))
    np.testing.assert_allclose(found["probabilities_reconstructed"], q)


def test_a_reconstruction_that_overflows_is_adversarial_though_the_classifier_saturates():
    saturating = keras.layers.Dense(2, activation="tanh"), keras.layers.Dense(2, activation="softmax")
    classifier = keras.Sequential([keras.Input((1,)), *saturating])
    overflowing = keras.Sequential([keras.Input((1,)), keras.layers.Rescaling(1e30), keras.layers.Rescaling(1e30)])
    rows = np.array([[0.0], [1.0]])
    detector = AdversarialAEDetector(classifier, autoencoder=overflowing, epochs=0, threshold=1.0).fit(np.zeros((2, 1)))
    assert np.isfinite(classifier.predict(np.array([[np.inf]]), verbose=0)).all()
    assert np.isinf(detector.adversarial_score(rows)).tolist() == [False, True]
