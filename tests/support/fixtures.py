"""Real data and real classifiers, trained once a session."""

from dataclasses import replace

import keras
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._training import surrogate
from skaae.robustness import evaluate_robustness
from skaae.robustness._arena import Arena
from skaae.robustness._budgets import moves_of
from skaae.robustness._efforts import DEFAULT, EFFORTS
from skaae.robustness._target import target_of
from tests.support.models import QUICK, tiny_autoencoder, train_classifier


@pytest.fixture
def short_distillation(monkeypatch):
    """A surrogate of 200 steps instead of 2,000, where its quality is not what a test is about."""
    monkeypatch.setattr(surrogate, "STEPS", 200)


@pytest.fixture(scope="session")
def iris():
    X, y = load_iris(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="session")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


@pytest.fixture(scope="session")
def digit_images():
    X, y = load_digits(return_X_y=True)
    return (X / 16).reshape(-1, 8, 8, 1), y


@pytest.fixture(scope="session")
def iris_model(iris):
    dense = keras.layers.Dense
    return train_classifier(*iris, dense(16, activation="relu", name="hidden"), dense(3, activation="softmax"))


@pytest.fixture(scope="session")
def cancer_model(cancer):
    dense = keras.layers.Dense
    layers = dense(16, activation="relu"), dense(1, activation="sigmoid")
    return train_classifier(*cancer, *layers, loss="binary_crossentropy", epochs=10)


@pytest.fixture(scope="session")
def digits_model(digit_images):
    convolution = keras.layers.Conv2D(8, 3, activation="relu", name="convolution")
    layers = convolution, keras.layers.Flatten(), keras.layers.Dense(10, activation="softmax")
    return train_classifier(*digit_images, *layers, epochs=5)


@pytest.fixture(scope="session")
def flowers(iris_model):
    """The iris classifier with the names of the flowers as labels."""
    return FrozenKerasModel(iris_model, classes=["setosa", "versicolor", "virginica"])


# Fitted detectors for all tests that change none: one that sets another threshold takes a copy.


@pytest.fixture(scope="session")
def iris_detector(iris, flowers):
    """Trained as by default, for two epochs, and with all terms of the score."""
    settings = {"hidden_layers": {0: 3}, "temperature": 0.5, "epochs": 2, "random_state": 0}
    return AdversarialAEDetector(flowers, **settings).fit(iris[0])


@pytest.fixture(scope="session")
def strict_detector(iris, flowers):
    """It flags three rows in ten."""
    return AdversarialAEDetector(flowers, epochs=2, random_state=0, threshold_percentile=70).fit(iris[0])


@pytest.fixture(scope="session")
def iris_forest(iris):
    return FrozenEstimator(RandomForestClassifier(5, random_state=0).fit(*iris))


@pytest.fixture(scope="session")
def images_detector(digit_images, digits_model):
    """For the digits as images, with the default autoencoder."""
    settings = {**QUICK, "autoencoder": None, "hidden_layers": {"convolution": 4}}
    return AdversarialAEDetector(digits_model, **settings).fit(digit_images[0][:200])


@pytest.fixture(scope="session")
def digits_detector():
    """A detector for the digits as a table, hardly trained, that flags many, and rows that it has not seen."""
    X, y = load_digits(return_X_y=True, as_frame=True)
    X = X / 16
    classifier = LogisticRegression(max_iter=200).fit(X[:400], y[:400])
    detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK, threshold_percentile=60).fit(X[400:800])
    return detector, X[800:900], y[800:900].to_numpy()


# Reports on them, for all tests of what is made of a report.

CHOSEN_ATTACKS = ["noise", "FGSM", "PGD Linf", "DeepFool L2", "composite PGD"]


@pytest.fixture(scope="session")
def short_attacks():
    """Ten steps and one start, where the strength of the attacks is not what tests are about."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EFFORTS, DEFAULT, replace(EFFORTS["fast"], steps=10))
        yield


@pytest.fixture(scope="session")
def bare_report(iris, iris_model, short_attacks):
    """Of a classifier without a defense."""
    return evaluate_robustness(iris_model, *iris, attacks=CHOSEN_ATTACKS, sizes=[0.2, 0.5], random_state=0)


@pytest.fixture(scope="session")
def trained_detector(iris, flowers):
    """It repairs most of what it flags."""
    return AdversarialAEDetector(
        flowers, autoencoder=tiny_autoencoder, learning_rate=2e-2, epochs=150, random_state=0
    ).fit(iris[0])


@pytest.fixture(scope="session")
def defended_report(iris, trained_detector, short_attacks):
    """Of a detector, on flowers with names."""
    X, y = iris
    names = trained_detector.classes_[y]
    return evaluate_robustness(trained_detector, X, names, attacks=CHOSEN_ATTACKS, sizes=[0.2, 0.5], random_state=0)


@pytest.fixture(scope="session")
def iris_arena(iris, trained_detector):
    """Thirty flowers and what is attacked on them."""
    X, y = iris[0][::5], iris[1][::5]
    target = target_of(trained_detector, X)
    return Arena.of(target, moves_of(X, None, None, False), y, 0.5)
