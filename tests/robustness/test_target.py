import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier
from skaae.robustness._target import read_rows, target_of
from tests.support.models import QUICK


def test_detector(iris, strict_detector):
    X, found = iris[0], strict_detector.correct(iris[0])
    target = target_of(strict_detector, X)
    verdict = target.judge(X)
    assert (verdict.predicted == found.corrected).all()
    assert (verdict.flagged == found.is_adversarial).all()
    assert (verdict.undefended == found.no_defense).all()
    assert target.own_gradient
    assert target.encode is None
    labels = {name: target.classes[np.argmax(network(X), axis=1)] for name, network in target.networks.items()}
    assert (labels["classifier"] == found.no_defense).all()
    assert (labels["defense"] == found.defense).all()
    assert (labels["corrected"] == found.corrected).mean() > 0.99, "the decision itself, in float32"
    assert target.probabilities["corrected"](X).argmax(axis=1).shape == (150,)


def test_frame_of_numbers(iris, iris_model):
    X = pd.DataFrame(iris[0], columns=list("abcd"))
    target = target_of(AdversarialAEDetector(iris_model, **QUICK).fit(X), X)
    assert target.encode(X) == pytest.approx(iris[0])
    assert target.judge(X).predicted.shape == (150,)


@pytest.mark.slow
def test_detector_with_a_surrogate(iris, iris_forest, short_distillation):
    detector = AdversarialAEDetector(iris_forest, **QUICK).fit(iris[0])
    target = target_of(detector, iris[0])
    assert not target.own_gradient
    again = target.with_surrogate_of(iris[0], 0)
    assert again.networks["classifier"] is not target.networks["classifier"]
    assert again.networks["classifier"](iris[0]).shape == (150, 3)


@pytest.mark.slow
def test_corrected_classifier_in_a_pipeline_in_a_search(iris):
    X, y = iris
    detector = AdversarialAEDetector(LogisticRegression(), **QUICK)
    pipeline = make_pipeline(StandardScaler(), CorrectedClassifier(detector))
    search = GridSearchCV(pipeline, {"correctedclassifier__detector__threshold_percentile": [90]}, cv=2).fit(X, y)
    target = target_of(FrozenEstimator(search), X)
    assert target.name == "CorrectedClassifier in Pipeline"
    assert target.has_prefix
    assert (target.judge(X).predicted == search.predict(X)).all()
    assert target.encode(X) == pytest.approx(StandardScaler().fit_transform(X), abs=1e-6)


def test_detector_before_a_classifier(iris, iris_model):
    X, y = iris
    pipeline = make_pipeline(AdversarialAEDetector(iris_model, **QUICK), LogisticRegression()).fit(X, y)
    verdict = target_of(pipeline, X).judge(X)
    assert (verdict.predicted == pipeline.predict(X)).all()
    assert (verdict.undefended == pipeline[-1].predict(X)).all()
    assert (verdict.flagged == (pipeline[0].predict(X) == -1)).all()


def test_bare_keras_model(iris, iris_model):
    target = target_of(iris_model, iris[0])
    assert target.own_gradient
    assert (target.judge(iris[0]).predicted == iris_model.predict(iris[0], verbose=0).argmax(axis=1)).all()
    assert target.probabilities["classifier"](iris[0]).sum(axis=1) == pytest.approx(1)


def test_bare_pipeline_is_exact(iris):
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(*iris)
    target = target_of(model, iris[0])
    assert target.own_gradient
    assert target.encode is None
    found = np.exp(target.networks["classifier"](iris[0]))
    assert found == pytest.approx(model.predict_proba(iris[0]), abs=1e-5)


def test_decision_threshold_is_in_the_network(cancer):
    model = FixedThresholdClassifier(LogisticRegression(), threshold=0.9).fit(*cancer)
    target = target_of(model, cancer[0])
    assert (np.argmax(target.networks["classifier"](cancer[0]), axis=1) == model.predict(cancer[0])).all()


def test_bare_forest_gets_a_surrogate(iris, short_distillation):
    model = RandomForestClassifier(5, random_state=0).fit(*iris)
    target = target_of(model, iris[0])
    assert not target.own_gradient
    same = np.argmax(target.networks["classifier"](iris[0]), axis=1) == model.predict(iris[0])
    assert same.mean() > 0.9


def test_images(digit_images, digits_model):
    assert target_of(digits_model, digit_images[0][:5]).images


@pytest.mark.parametrize(
    ("estimator", "error", "says"),
    [
        (LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), TypeError, "regressor LinearRegression"),
        (LogisticRegression(), NotFittedError, "not fitted"),
        (AdversarialAEDetector(keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])), NotFittedError, "fitted"),
        ("model.joblib", TypeError, "str"),
    ],
)
def test_other_kinds(estimator, error, says):
    with pytest.raises(error, match=says):
        target_of(estimator, np.array([[0.0], [1.0]]))


def test_missing_values_that_the_classifier_does_not_take(iris):
    X = iris[0].copy()
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="X contains NaN, but LogisticRegression takes no missing values"):
        read_rows(X, LogisticRegression().fit(*iris))
    with pytest.raises(NotFittedError, match="CorrectedClassifier"):
        read_rows(X, CorrectedClassifier(AdversarialAEDetector(LogisticRegression())))
