"""FrozenEstimator at every place where a user may put it: it changes nothing but clone and fit."""

import imblearn.pipeline
import keras
import numpy as np
import pytest
from imblearn.under_sampling import RandomUnderSampler
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import MinMaxScaler, OrdinalEncoder, StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae._classifiers.adapters import ConvertedClassifier, PredictProbaClassifier, as_frozen_classifier, is_fitted
from skaae._classifiers.kinds import encodes_categories
from skaae._classifiers.unwrapping import (
    all_steps_of,
    inner_estimators,
    is_same_classifier,
    steps_of,
    transformed,
    unwrapped,
)
from skaae.onnx._classifiers import classifier_model
from tests.onnx.test_classifiers import run


def around_pipeline(scaler, classifier):
    return FrozenEstimator(make_pipeline(scaler, classifier))


def around_steps(scaler, classifier):
    return make_pipeline(FrozenEstimator(scaler), FrozenEstimator(classifier))


def around_inner_pipeline(scaler, classifier):
    return make_pipeline(FrozenEstimator(make_pipeline("passthrough", FrozenEstimator(scaler))), classifier)


def nested(scaler, classifier):
    inner = make_pipeline(scaler, FrozenEstimator(FrozenEstimator(classifier)))
    return FrozenEstimator(Pipeline([("nothing", None), ("inner", FrozenEstimator(inner))]))


PLACES = [around_pipeline, around_steps, around_inner_pipeline, nested]


@pytest.fixture
def fitted(iris):
    def fit(classifier):
        X, y = iris
        scaler = StandardScaler().fit(X)
        return scaler, classifier.fit(scaler.transform(X), y)

    return fit


@pytest.mark.parametrize("place", PLACES)
def test_conversion_is_exact_wherever_it_is_frozen(iris, fitted, place):
    X, _ = iris
    classifier = place(*fitted(LogisticRegression()))
    frozen = as_frozen_classifier(classifier)
    assert isinstance(frozen, FrozenKerasModel)
    np.testing.assert_allclose(frozen.predict_proba(X), classifier.predict_proba(X), atol=1e-6)


@pytest.mark.parametrize("place", PLACES)
def test_onnx_wherever_it_is_frozen(iris, fitted, place):
    X, _ = iris
    classifier = place(*fitted(GaussianNB()))
    frozen = as_frozen_classifier(classifier)
    assert isinstance(frozen, PredictProbaClassifier)
    found = run(classifier_model(frozen, 4), X)
    np.testing.assert_allclose(found, classifier.predict_proba(X), atol=2e-6)


@pytest.mark.parametrize(
    "wrap",
    [
        FrozenEstimator,
        lambda classifier: FrozenEstimator(FrozenEstimator(classifier)),
        lambda classifier: make_pipeline(FrozenEstimator(classifier)),
        lambda classifier: FrozenEstimator(make_pipeline("passthrough", make_pipeline(FrozenEstimator(classifier)))),
    ],
)
def test_keras_inside(iris, iris_model, wrap):
    """The network itself is found, so that no surrogate is needed."""
    scikeras = KerasClassifier(iris_model, loss="sparse_categorical_crossentropy")
    scikeras.model_, scikeras.classes_ = iris_model, np.array(["a", "b", "c"])
    for classifier in (scikeras, FrozenKerasModel(iris_model)):
        wrapped = wrap(classifier)
        assert unwrapped(wrapped) is classifier
        assert as_frozen_classifier(wrapped).model is iris_model
        assert is_same_classifier(wrapped, iris_model)
        assert is_fitted(wrapped)


def test_steps_that_differ_in_depth():
    scaler, classifier = MinMaxScaler(), GaussianNB()
    inner = make_pipeline(StandardScaler(), scaler)
    pipeline = FrozenEstimator(make_pipeline(FrozenEstimator(inner), "passthrough", FrozenEstimator(classifier)))
    assert steps_of(pipeline) == [inner, classifier]
    assert all_steps_of(pipeline)[1:] == [scaler, classifier]
    assert unwrapped(pipeline) is pipeline.estimator
    assert steps_of(FrozenEstimator(classifier)) == all_steps_of(classifier) == [classifier]


def test_encoders_are_found_inside_what_is_frozen(iris):
    X, y = iris
    columns = ColumnTransformer([("category", FrozenEstimator(OrdinalEncoder().fit(X[:, :1])), [0])])
    pipeline = make_pipeline(FrozenEstimator(columns.fit(X)), GaussianNB()).fit(X, y)
    assert OrdinalEncoder in map(type, inner_estimators(pipeline))
    assert encodes_categories(FrozenEstimator(pipeline))


def test_unfitted_inside(iris):
    for wrapped in (FrozenEstimator(GaussianNB()), make_pipeline(FrozenEstimator(GaussianNB()))):
        assert not is_fitted(wrapped)


def test_corrected_classifier_does_not_train_a_frozen_keras_model(iris, iris_model):
    X, y = iris
    weights = iris_model.get_weights()
    detector = AdversarialAEDetector(FrozenEstimator(iris_model), epochs=0, threshold=1.0)
    corrected = CorrectedClassifier(detector).fit(X, y)
    assert isinstance(corrected.classifier_, keras.Model)
    for before, after in zip(weights, corrected.classifier_.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)


def test_clone_of_a_pipeline_of_frozen_steps_is_fitted(fitted):
    assert is_fitted(clone(around_steps(*fitted(LogisticRegression()))))


def test_steps_that_resample_do_nothing_after_fit(iris):
    X, y = iris
    classifier = imblearn.pipeline.make_pipeline(StandardScaler(), RandomUnderSampler(), LogisticRegression()).fit(X, y)
    assert steps_of(classifier) == [classifier[0], classifier[2]]
    converted = as_frozen_classifier(FrozenEstimator(classifier))
    assert isinstance(converted, ConvertedClassifier)
    np.testing.assert_allclose(converted.predict_proba(X), classifier.predict_proba(X), atol=1e-6)
    np.testing.assert_array_equal(transformed(classifier, X), classifier[0].transform(X))
