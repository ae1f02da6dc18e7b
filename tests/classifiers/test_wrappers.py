"""A wrapper around a Keras model: its own labels and probabilities count, whatever it does between X and the model."""

import keras
import numpy as np
import pytest
from scikeras.wrappers import KerasClassifier
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae._classifiers.adapters import PredictProbaClassifier, as_frozen_classifier
from tests.support.models import QUICK, tiny_surrogate

pytestmark = [
    pytest.mark.usefixtures("short_distillation"),
    pytest.mark.filterwarnings("ignore:The surrogate:UserWarning"),
]
NAMES = np.array(["setosa", "versicolor", "virginica"])


def network(*layers):
    layers = layers or (keras.layers.Dense(3, "softmax"),)
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy")
    return model


class Scaled(KerasClassifier):
    @property
    def feature_encoder(self):
        return MinMaxScaler((-2, 2))


class Reversed(KerasClassifier):
    """Outputs in the order of the names backwards, and a `target_encoder` without classes_."""

    class Encoder(FunctionTransformer):
        def transform(self, y):
            return 2 - np.searchsorted(NAMES, y)

        def inverse_transform(self, y, return_proba=False):
            return y if return_proba else NAMES[2 - np.argmax(y, axis=1)]

    @property
    def target_encoder(self):
        return self.Encoder()


class Cautious(KerasClassifier):
    """Predicts another label than the most probable one."""

    def predict(self, X, **options):
        return self.classes_[(super().predict_proba(X, **options)[:, 0] < 0.9).astype(int)]


class OwnScaler(ClassifierMixin, BaseEstimator):
    """Not of scikeras: a scaler and a network."""

    def fit(self, X, y):
        keras.utils.set_random_seed(0)
        self.classes_, y = np.unique(y, return_inverse=True)
        self.scaler_, self.model_ = StandardScaler().fit(X), self.build()
        self.model_.fit(self.scaler_.transform(X), y, epochs=5, verbose=0)
        return self

    def build(self):
        return network()

    def predict_proba(self, X):
        return self.model_.predict(self.scaler_.transform(X), verbose=0)

    def predict(self, X):
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


class HiddenFeatures(OwnScaler):
    """Its network gives features for another classifier: two outputs, three classes."""

    def fit(self, X, y):
        super().fit(X, y)
        self.model_ = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
        return self

    def predict_proba(self, X):
        return np.exp(-X[:, :3]) / np.exp(-X[:, :3]).sum(axis=1, keepdims=True)


def scikeras(kind, **parameters):
    settings = {"loss": "sparse_categorical_crossentropy", "epochs": 5, "verbose": 0, "random_state": 0}
    return kind(network, optimizer=keras.optimizers.Adam(0.05), **{**settings, **parameters})


@pytest.fixture(scope="module")
def flowers_of_iris(iris):
    """Not standardized, so that a scaler that is left out shows."""
    return 3 * iris[0] + 5, NAMES[iris[1]]


def detector_of(classifier, **parameters):
    return AdversarialAEDetector(FrozenEstimator(classifier), surrogate=tiny_surrogate, **QUICK, **parameters)


@pytest.mark.slow
@pytest.mark.parametrize(
    "classifier", [scikeras(Scaled), OwnScaler(), HiddenFeatures()], ids=["scikeras", "own", "hidden"]
)
def test_wrapper_that_changes_rows_is_called(flowers_of_iris, classifier):
    X, y = flowers_of_iris
    classifier.fit(X, y)
    detector = detector_of(classifier).fit(X)
    assert isinstance(detector.classifier_, PredictProbaClassifier)
    np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))
    found = detector._results(X, "probabilities")["probabilities"]
    np.testing.assert_allclose(found, classifier.predict_proba(X), atol=1e-6)
    assert detector.correct(X[:1]).no_defense == classifier.predict(X[:1])


@pytest.mark.slow
def test_a_wrapper_is_trained_with_its_detector(flowers_of_iris):
    X, y = flowers_of_iris
    detector = AdversarialAEDetector(scikeras(Scaled), surrogate=tiny_surrogate, **QUICK)
    model = CorrectedClassifier(detector).fit(X, y)
    assert np.mean(model.detector_.correct(X).no_defense == y) > 0.75


def test_encoder_that_leaves_these_rows_unchanged(iris):
    """It may change others."""

    class Clipped(KerasClassifier):
        @property
        def feature_encoder(self):
            return FunctionTransformer(np.clip, kw_args={"a_min": -100, "a_max": 100})

    classifier = scikeras(Clipped, epochs=1).fit(*iris)
    assert isinstance(as_frozen_classifier(classifier, iris[0]), PredictProbaClassifier)


@pytest.mark.slow
def test_labels_in_another_order(flowers_of_iris):
    X, y = flowers_of_iris
    classifier = scikeras(Reversed).fit(X, y)
    detector = detector_of(classifier).fit(X)
    assert list(detector.classes_) == list(NAMES[::-1])
    np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))


def test_other_labels_than_the_most_probable_are_refused(iris):
    classifier = scikeras(Cautious, epochs=1).fit(*iris)
    with pytest.raises(ValueError, match=r"classifier=Cautious must predict the most probable of its classes_"):
        detector_of(classifier).fit(iris[0])


def test_softmax_of_the_wrapper(iris):
    """The model returns logits: the wrapper's probabilities are still exactly those of the model."""

    class Softmax(OwnScaler):
        def build(self):
            model = network(keras.layers.Dense(3))
            model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            return model

        def predict_proba(self, X):
            return softmax(self.model_.predict(X, verbose=0), axis=1)

    classifier = Softmax().fit(*iris)
    frozen = as_frozen_classifier(classifier, iris[0])
    assert isinstance(frozen, FrozenKerasModel)
    assert frozen.from_logits
    np.testing.assert_allclose(frozen.predict_proba(iris[0]), classifier.predict_proba(iris[0]), atol=1e-6)


@pytest.mark.parametrize("kind", ["decision_function", "images"])
def test_refused_by_name(iris, digit_images, kind):
    X, y = iris if kind == "decision_function" else (digit_images[0][:100], digit_images[1][:100])

    class Shifted(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.classes_ = np.unique(y)
            flat = keras.layers.Flatten()
            self.model_ = keras.Sequential(
                [keras.Input(X.shape[1:]), flat, keras.layers.Dense(len(self.classes_), "softmax")]
            )
            return self

        def predict(self, X):
            return self.classes_[getattr(self, name)(X).argmax(axis=1)]

    name = "decision_function" if kind == "decision_function" else "predict_proba"
    setattr(Shifted, name, lambda self, X: self.model_.predict(1 - X, verbose=0))
    with pytest.raises(ValueError, match="classifier=Shifted must return what its Keras model returns for X"):
        AdversarialAEDetector(Shifted().fit(X, y)).fit(X)


@pytest.mark.slow
def test_dtype_of_fit(iris):
    """scikeras refuses float64 after it was fitted on float32, and every float after whole numbers."""
    X, y = iris[0].astype("float32"), iris[1]
    pipeline = make_pipeline(StandardScaler(), scikeras(KerasClassifier, epochs=1))
    for classifier in (scikeras(Scaled, epochs=1), pipeline):
        detector = detector_of(classifier.fit(X, y)).fit(iris[0])
        assert len(detector.correct(iris[0]).corrected) == len(X)
        assert len(detector.predict(iris[0][:1])) == 1
    whole = (10 * X).astype(int)
    classifier = scikeras(Scaled, epochs=1).fit(whole, y)
    with pytest.raises(ValueError, match=r"classifier=Scaled must take the rows of X, .*float64.* raises: .*int64"):
        detector_of(classifier).fit(whole + 0.5)


@pytest.mark.slow
def test_progress_bars_are_not_shown(flowers_of_iris, capsys):
    classifier = scikeras(Scaled, epochs=1, verbose=1).fit(*flowers_of_iris)
    capsys.readouterr()
    detector_of(classifier).fit(flowers_of_iris[0]).predict(flowers_of_iris[0])
    assert capsys.readouterr().out == ""
