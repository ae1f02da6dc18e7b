import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator

from skaae import AdversarialAEDetector
from skaae._training import defense
from tests.support.models import QUICK, tiny_surrogate

pytestmark = pytest.mark.usefixtures("short_distillation")


@pytest.fixture
def trainings(monkeypatch):
    """Counts the trainings of a surrogate and of an autoencoder."""
    counts = {"distill": 0, "train": 0}

    def counted(name, function):
        def call(*arguments):
            counts[name] += 1
            return function(*arguments)

        return call

    for name in counts:
        monkeypatch.setattr(defense, name, counted(name, getattr(defense, name)))
    return counts


def test_cached_training_brings_the_surrogate_too(iris, iris_forest, trainings, tmp_path):
    X, _ = iris
    detector = AdversarialAEDetector(iris_forest, surrogate=tiny_surrogate, **QUICK, memory=str(tmp_path))
    first, second = clone(detector).fit(X), clone(detector).set_params(threshold_percentile=80).fit(X)
    assert trainings == {"distill": 1, "train": 1}
    for name in ("autoencoder_", "surrogate_"):
        models = [getattr(getattr(fitted, name), "model", getattr(fitted, name)) for fitted in (first, second)]
        for before, after in zip(*(model.get_weights() for model in models), strict=True):
            np.testing.assert_array_equal(before, after)
    assert first.surrogate_agreement_ == second.surrogate_agreement_
    np.testing.assert_array_equal(first.adversarial_score(X), second.adversarial_score(X))


def test_another_classifier_is_another_training(iris, iris_forest, trainings, tmp_path):
    X, y = iris
    other = FrozenEstimator(RandomForestClassifier(5, random_state=1).fit(X, y))
    for classifier in (iris_forest, other):
        AdversarialAEDetector(classifier, surrogate=tiny_surrogate, **QUICK, memory=str(tmp_path)).fit(X)
    assert trainings == {"distill": 2, "train": 2}


def test_targets_are_the_real_predictions(iris, iris_forest, monkeypatch):
    """Not those of the surrogate, which only lends its gradient."""
    X = iris[0].astype("float32")
    seen = []
    monkeypatch.setattr(defense, "train", lambda autoencoder, heads, rows, logits, *rest: seen.append(logits) or {})
    AdversarialAEDetector(iris_forest, surrogate=tiny_surrogate, **QUICK, threshold=1.0).fit(X)
    floored = np.maximum(iris_forest.predict_proba(X), 0.02 / 3)
    np.testing.assert_allclose(seen[0][0], np.log(floored), atol=1e-6)
