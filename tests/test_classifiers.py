import keras
import numpy as np
import pytest
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge

from skaae import AdversarialAEDetector
from skaae._classifiers import as_frozen_classifier

dense = keras.layers.Dense


@pytest.fixture(scope="module")
def scikeras_classifier(iris):
    X, y = iris
    names = np.array(["setosa", "versicolor", "virginica"])[y]

    def build():
        return keras.Sequential([keras.Input((4,)), dense(8, activation="relu"), dense(3, activation="softmax")])

    classifier = KerasClassifier(build, loss="sparse_categorical_crossentropy", epochs=20, verbose=0, random_state=0)
    return classifier.fit(X.astype("float32"), names)


class TestAcceptedKinds:
    def test_keras_model(self, iris_model):
        assert as_frozen_classifier(iris_model).model is iris_model

    def test_fitted_scikeras_classifier(self, iris, scikeras_classifier):
        X = iris[0].astype("float32")
        for classifier in (scikeras_classifier, FrozenEstimator(scikeras_classifier)):
            frozen = as_frozen_classifier(classifier)
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
        frozen = as_frozen_classifier(classifier)
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
        with pytest.raises(TypeError, match="classifier=Ridge is a regressor"):
            AdversarialAEDetector(Ridge().fit(*iris)).fit(iris[0])

    def test_classifier_of_several_labels(self, iris):
        X, y = iris
        targets = np.stack([y == 0, y == 1], axis=1).astype(int)

        def build():
            return keras.Sequential([keras.Input((4,)), dense(2, activation="sigmoid")])

        classifier = KerasClassifier(build, loss="binary_crossentropy", epochs=1, verbose=0)
        classifier.fit(X.astype("float32"), targets)
        with pytest.raises(ValueError, match="multilabel-indicator"):
            as_frozen_classifier(classifier)
