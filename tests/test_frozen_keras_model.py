import pickle

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import FrozenKerasModel
from tests.support.models import train_classifier

dense = keras.layers.Dense


def ends_in(activation, n_outputs):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((4,)), dense(n_outputs, activation=activation)])


@pytest.mark.parametrize(("activation", "n_outputs"), [("softmax", 3), ("sigmoid", 1), ("softmax", 2)])
def test_probabilities_are_those_of_the_model(iris, activation, n_outputs):
    model = ends_in(activation, n_outputs)
    wanted = model.predict(iris[0], verbose=0)
    wanted = np.hstack([1 - wanted, wanted]) if n_outputs == 1 else wanted
    probabilities = FrozenKerasModel(model).predict_proba(iris[0])
    np.testing.assert_allclose(probabilities, wanted, atol=1e-6)
    assert probabilities.dtype == np.float64


@pytest.mark.parametrize(("activation", "n_outputs"), [("softmax", 3), ("sigmoid", 1)])
def test_logits_give_the_same_as_their_probabilities(iris, activation, n_outputs):
    model, logits = ends_in(activation, n_outputs), ends_in(None, n_outputs)
    logits.set_weights(model.get_weights())
    np.testing.assert_array_equal(
        FrozenKerasModel(logits, from_logits=True).predict_logits(iris[0]),
        FrozenKerasModel(model).predict_logits(iris[0]),
    )


def test_labels_are_those_given(iris, flowers, iris_model):
    X, y = iris
    labels = flowers.predict(X)
    assert labels.dtype.kind == "U"
    np.testing.assert_array_equal(labels, flowers.classes_[iris_model.predict(X, verbose=0).argmax(axis=1)])
    assert FrozenKerasModel(iris_model).score(X, y) > 0.9


def test_fit_and_clone_keep_the_weights(iris, flowers):
    assert clone(flowers) is flowers
    assert flowers.fit(*iris) is flowers
    assert flowers.n_features_in_ == 4


def test_pickle_predicts_the_same_and_leaves_the_graph_behind(iris, flowers):
    wanted = flowers.predict_proba(iris[0])
    state = flowers.__getstate__()
    assert set(state) == {"model", "classes", "from_logits", "_skaae_format", "_skaae_version"}
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(flowers)).predict_proba(iris[0]), wanted)


def test_new_parameters_count_after_a_prediction(iris, iris_model):
    frozen = FrozenKerasModel(iris_model)
    frozen.predict_proba(iris[0])
    with pytest.raises(ValueError, match="different labels"):
        frozen.set_params(classes=["one", "two"]).predict(iris[0])


def test_in_a_scikit_learn_pipeline(iris, flowers):
    pipeline = make_pipeline(StandardScaler(), flowers).fit(*iris)
    assert set(pipeline.predict(iris[0])) == set(flowers.classes_)


def test_wrong_labels(iris_model):
    for classes in (["a", "b"], ["a", "b", "b"], [["a", "b", "c"]]):
        with pytest.raises(ValueError, match="classes must be 3 different labels"):
            assert FrozenKerasModel(iris_model, classes=classes).classes_
    with pytest.raises(TypeError, match=r"FrozenKerasModel\(model=...\) must be a keras.Model, got str"):
        FrozenKerasModel("model").predict(np.zeros((2, 4)))


def test_softmax_classifier_in_mixed_precision(iris):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = train_classifier(*iris, dense(8, activation="relu"), dense(3, activation="softmax"), epochs=2)
    finally:
        keras.config.set_dtype_policy("float32")
    probabilities = FrozenKerasModel(model).predict_proba(iris[0])
    np.testing.assert_allclose(probabilities, model.predict(iris[0], verbose=0), atol=1e-3)
