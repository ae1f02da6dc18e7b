import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import train_classifier
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._classifiers import as_frozen_model, class_logits

dense = keras.layers.Dense


def ends_in(activation, n_outputs):
    keras.utils.set_random_seed(1)
    return keras.Sequential([keras.Input((4,)), dense(n_outputs, activation=activation)])


@pytest.fixture(scope="module")
def scikeras_classifier(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]

    def build():
        return keras.Sequential([keras.Input((4,)), dense(8, activation="relu"), dense(3, activation="softmax")])

    classifier = KerasClassifier(build, loss="sparse_categorical_crossentropy", epochs=20, verbose=0, random_state=0)
    return classifier.fit(X.astype("float32"), names)


class TestFrozenKerasModel:
    @pytest.mark.parametrize(("activation", "n_outputs"), [("softmax", 3), ("sigmoid", 1), ("softmax", 2)])
    def test_probabilities_are_those_of_the_model(self, iris, activation, n_outputs):
        model = ends_in(activation, n_outputs)
        wanted = model.predict(iris[0], verbose=0)
        wanted = np.hstack([1 - wanted, wanted]) if n_outputs == 1 else wanted
        probabilities = FrozenKerasModel(model).predict_proba(iris[0])
        np.testing.assert_allclose(probabilities, wanted, atol=1e-6)
        assert probabilities.dtype == np.float64

    @pytest.mark.parametrize(("activation", "n_outputs"), [("softmax", 3), ("sigmoid", 1)])
    def test_logits_give_the_same_as_their_probabilities(self, iris, activation, n_outputs):
        model, logits = ends_in(activation, n_outputs), ends_in(None, n_outputs)
        logits.set_weights(model.get_weights())
        np.testing.assert_array_equal(
            FrozenKerasModel(logits, from_logits=True).predict_logits(iris[0]),
            FrozenKerasModel(model).predict_logits(iris[0]),
        )

    def test_labels_are_those_given(self, iris, flowers, iris_model):
        X, y = iris
        labels = flowers.predict(X)
        assert labels.dtype.kind == "U"
        np.testing.assert_array_equal(labels, flowers.classes_[iris_model.predict(X, verbose=0).argmax(axis=1)])
        assert FrozenKerasModel(iris_model).score(X, y) > 0.9

    def test_fit_and_clone_keep_the_weights(self, iris, flowers):
        assert clone(flowers) is flowers
        assert flowers.fit(*iris) is flowers
        assert flowers.n_features_in_ == 4

    def test_pickle_predicts_the_same_and_leaves_the_graph_behind(self, iris, flowers):
        wanted = flowers.predict_proba(iris[0])
        state = flowers.__getstate__()
        assert set(state) <= {"model", "classes", "from_logits", "_sklearn_version"}
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(flowers)).predict_proba(iris[0]), wanted)

    def test_new_parameters_count_after_a_prediction(self, iris, iris_model):
        frozen = FrozenKerasModel(iris_model)
        frozen.predict_proba(iris[0])
        with pytest.raises(ValueError, match="different labels"):
            frozen.set_params(classes=["one", "two"]).predict(iris[0])

    def test_in_a_scikit_learn_pipeline(self, iris, flowers):
        pipeline = make_pipeline(StandardScaler(), flowers).fit(*iris)
        assert set(pipeline.predict(iris[0])) == set(flowers.classes_)


class TestLogits:
    def gradient_of_certain(self, model, x):
        x = tf.constant(x, tf.float32)

        @tf.function
        def gradient(x):
            with tf.GradientTape() as tape:
                tape.watch(x)
                logits = class_logits(model(x), from_logits=False)
                value = tf.nn.log_softmax(logits)[:, 0]
            return logits, tape.gradient(value, x)

        return gradient(x)

    @pytest.mark.parametrize(("activation", "n_outputs"), [("softmax", 3), ("sigmoid", 1)])
    def test_a_certain_prediction_has_a_gradient(self, activation, n_outputs):
        """On probabilities clipped at 1e-7 it would be exactly 0 here."""
        model = ends_in(activation, n_outputs)
        _, gradient = self.gradient_of_certain(model, 200 * np.ones((1, 4)) * np.sign(model.get_weights()[0][:, -1]))
        assert np.abs(gradient).min() > 0

    def test_softmax_layer_and_subclassed_model_are_looked_through(self):
        class Subclassed(keras.Model):
            def __init__(self):
                super().__init__()
                self.dense = dense(3)

            def call(self, x):
                return keras.ops.softmax(self.dense(x))

        x = 50 * np.ones((2, 4), dtype="float32")
        subclassed = Subclassed()
        subclassed(x)
        layer = keras.Sequential([keras.Input((4,)), dense(3), keras.layers.Softmax()])
        for model, wanted in ((layer, layer.layers[0]), (subclassed, subclassed.dense)):
            np.testing.assert_allclose(FrozenKerasModel(model).predict_logits(x), wanted(x), rtol=1e-5)

    def test_probabilities_made_otherwise_are_floored(self):
        inputs = keras.Input((2,))
        model = keras.Model(inputs, inputs / keras.ops.sum(inputs, axis=1, keepdims=True))
        logits = FrozenKerasModel(model).predict_logits(np.array([[1.0, 0.0], [3.0, 1.0]]))
        np.testing.assert_allclose(logits, [[0, np.log(np.finfo(np.float32).tiny)], np.log([0.75, 0.25])], rtol=1e-6)


class TestAcceptedKinds:
    def test_keras_model(self, iris_model):
        assert as_frozen_model(iris_model).model is iris_model

    def test_fitted_scikeras_classifier(self, iris, scikeras_classifier):
        X = iris[0].astype("float32")
        for classifier in (scikeras_classifier, FrozenEstimator(scikeras_classifier)):
            frozen = as_frozen_model(classifier)
            np.testing.assert_array_equal(frozen.predict(X), scikeras_classifier.predict(X))
            np.testing.assert_allclose(frozen.predict_proba(X), scikeras_classifier.predict_proba(X), atol=1e-6)

    def test_detector_around_a_frozen_scikeras_classifier_is_cloned(self, iris, scikeras_classifier):
        detector = clone(AdversarialAEDetector(FrozenEstimator(scikeras_classifier), epochs=1)).fit(iris[0])
        assert set(detector.correct(iris[0]).corrected) == {"setosa", "versicolor", "virginica"}

    def test_clone_of_a_bare_scikeras_classifier_is_unfitted_and_says_what_to_do(self, iris, scikeras_classifier):
        with pytest.raises(NotFittedError, match=r"FrozenEstimator.*CorrectedClassifier"):
            clone(AdversarialAEDetector(scikeras_classifier)).fit(iris[0])

    def test_keras_sklearn_classifier(self, iris):
        def build(X, y):
            model = keras.Sequential([keras.Input(X.shape[1:]), dense(y.shape[1], activation="softmax")])
            model.compile("adam", "categorical_crossentropy")
            return model

        X, y = iris
        classifier = keras.wrappers.SKLearnClassifier(build, fit_kwargs={"epochs": 3, "verbose": 0})
        names = np.array(["a", "b", "c"])[y]
        classifier.fit(X, names)
        frozen = as_frozen_model(classifier)
        np.testing.assert_allclose(frozen.predict_proba(X), classifier.model_.predict(X, verbose=0), atol=1e-6)
        np.testing.assert_array_equal(frozen.predict(X), classifier.predict(X).ravel())


def two_inputs():
    first, second = keras.Input((4,)), keras.Input((4,))
    return keras.Model([first, second], dense(2, activation="softmax")(first + second))


def constant(values):
    """A model that returns the same outputs for every row."""
    inputs = keras.Input((4,))
    return keras.Model(inputs, 0 * inputs[:, :1] + keras.ops.convert_to_tensor([values]))


class TestRefused:
    @pytest.mark.parametrize(
        ("classifier", "error", "message"),
        [
            (None, ValueError, "classifier=None was given: the detector needs the classifier"),
            (KerasClassifier, TypeError, "classifier is the class KerasClassifier: a fitted instance is wanted"),
            (KerasClassifier(two_inputs), NotFittedError, "FrozenEstimator.*CorrectedClassifier"),
            (LogisticRegression(), NotFittedError, "FrozenEstimator.*CorrectedClassifier"),
            (FrozenEstimator(LogisticRegression()), NotFittedError, "FrozenEstimator.*CorrectedClassifier"),
            ("model", TypeError, "classifier is of type str"),
            (two_inputs(), ValueError, "classifier has 2 inputs"),
            (keras.Sequential([keras.Input((5,)), dense(2)]), ValueError, r"takes samples of shape \(5,\).*\(4,\)"),
            (keras.Sequential([keras.Input((4,)), keras.layers.Reshape((2, 2))]), ValueError, r"\(None, 2, 2\)"),
            (keras.Sequential([dense(2)]), ValueError, "the Sequential is not built"),
            (constant([0.5, 0.6]), ValueError, "sums to 1.1.*from_logits=True"),
            (constant([-1.0, 2.0]), ValueError, "values from -1 to 2.*from_logits=True"),
            (constant([1.5]), ValueError, "from_logits=True"),
            (constant([np.nan, 1.0]), ValueError, "classifier returned NaN or infinity"),
        ],
    )
    def test_before_anything_is_trained(self, iris, classifier, error, message):
        trained = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: pytest.fail("training began"))
        detector = AdversarialAEDetector(classifier, callbacks=[trained])
        before = vars(detector).copy()
        with pytest.raises(error, match=message):
            detector.fit(iris[0])
        assert vars(detector) == before

    def test_regressor(self, iris):
        with pytest.raises(TypeError, match="classifier is of type Ridge"):
            AdversarialAEDetector(Ridge().fit(*iris)).fit(iris[0])

    def test_classifier_of_several_labels(self, iris):
        X, y = iris
        targets = np.stack([y == 0, y == 1], axis=1).astype(int)

        def build():
            return keras.Sequential([keras.Input((4,)), dense(2, activation="sigmoid")])

        classifier = KerasClassifier(build, loss="binary_crossentropy", epochs=1, verbose=0)
        classifier.fit(X.astype("float32"), targets)
        with pytest.raises(ValueError, match="multilabel-indicator"):
            as_frozen_model(classifier)

    def test_wrong_labels(self, iris_model):
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
