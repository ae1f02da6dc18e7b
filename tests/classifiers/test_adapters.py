import pickle

import keras
import numpy as np
import pandas as pd
import pytest
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from skaae import AdversarialAEDetector
from skaae._classifiers.adapters import PredictProbaClassifier, as_frozen_classifier
from tests.support.models import QUICK, tiny_surrogate

pytestmark = pytest.mark.usefixtures("short_distillation")

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

    @pytest.mark.slow
    def test_fitted_scikeras_classifier(self, iris, scikeras_classifier):
        X = iris[0].astype("float32")
        for classifier in (scikeras_classifier, FrozenEstimator(scikeras_classifier)):
            frozen = as_frozen_classifier(classifier)
            np.testing.assert_array_equal(frozen.predict(X), scikeras_classifier.predict(X))
            np.testing.assert_allclose(frozen.predict_proba(X), scikeras_classifier.predict_proba(X), atol=1e-6)

    def test_detector_around_a_frozen_scikeras_classifier_is_cloned(self, iris, scikeras_classifier):
        detector = clone(AdversarialAEDetector(FrozenEstimator(scikeras_classifier), **QUICK)).fit(iris[0])
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
        keras.utils.set_random_seed(0)  # scikeras may have left op determinism on
        classifier = keras.wrappers.SKLearnClassifier(build, fit_kwargs={"epochs": 3, "verbose": 0})
        names = np.array(["a", "b", "c"])[y]
        classifier.fit(X, names)
        frozen = as_frozen_classifier(classifier)
        np.testing.assert_allclose(frozen.predict_proba(X), classifier.model_.predict(X, verbose=0), atol=1e-6)
        np.testing.assert_array_equal(frozen.predict(X), classifier.predict(X).ravel())


class TestPredictProba:
    def test_logits_are_floored(self, iris):
        X, y = iris
        frozen = as_frozen_classifier(RandomForestClassifier(5, random_state=0).fit(X, y))
        assert isinstance(frozen, PredictProbaClassifier)
        assert (frozen.predict_proba(X) == 0).any()
        np.testing.assert_allclose(frozen.predict_logits(X), np.log(np.maximum(frozen.predict_proba(X), 0.02 / 3)))

    @pytest.mark.filterwarnings("ignore:The surrogate:UserWarning")
    def test_rows_of_zeros_are_equal_probabilities(self, iris):
        """One-vs-rest of trees, where each binary classifier says no."""
        X, y = iris
        trees = OneVsRestClassifier(DecisionTreeClassifier(random_state=0)).fit(X[::2, :2], y[::2])
        given = trees.predict_proba(X[:, :2])
        is_zero = (given == 0).all(axis=1)
        assert is_zero.any()
        detector = AdversarialAEDetector(trees, surrogate=tiny_surrogate, **QUICK).fit(X[:, :2])
        found = detector._results(X[:, :2], "probabilities")["probabilities"]
        np.testing.assert_array_equal(found, np.where(is_zero[:, None], 1 / 3, given))
        # Of classes that are equally probable scikit-learn 1.7 predicts the last, later ones the first.
        np.testing.assert_array_equal(detector.correct(X[:, :2]).no_defense, trees.predict(X[:, :2]))

    @pytest.mark.slow
    def test_names_of_features_reach_the_classifier(self, iris):
        """Otherwise it would warn that X has none."""
        X, y = iris
        frame = pd.DataFrame(X, columns=list("abcd"))
        numeric = ColumnTransformer([("scaled", StandardScaler(), ["a", "b"])], remainder="passthrough")
        for classifier in (GaussianNB(), make_pipeline(numeric, GaussianNB())):
            classifier.fit(frame, y)
            detector = AdversarialAEDetector(classifier, surrogate=tiny_surrogate, **QUICK).fit(frame)
            np.testing.assert_array_equal(detector.correct(frame).no_defense, classifier.predict(frame))

    def test_converted_classifier_is_pickled_as_the_original(self, iris):
        X, y = iris
        frozen = as_frozen_classifier(FrozenEstimator(LogisticRegression().fit(X, y)))
        again = pickle.loads(pickle.dumps(frozen))
        assert isinstance(again.estimator, LogisticRegression)
        np.testing.assert_array_equal(again.predict_proba(X), frozen.predict_proba(X))


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
            (None, ValueError, "classifier must be the classifier to defend, .*, got None"),
            (KerasClassifier, TypeError, "classifier must be a fitted instance, .*, got the class KerasClassifier"),
            (KerasClassifier(two_inputs), NotFittedError, "FrozenEstimator.*CorrectedClassifier"),
            (LogisticRegression(), NotFittedError, "FrozenEstimator.*CorrectedClassifier"),
            (FrozenEstimator(LogisticRegression()), NotFittedError, "FrozenEstimator.*CorrectedClassifier"),
            ("model", TypeError, "classifier must be .*, got an object of type str"),
            (two_inputs(), ValueError, "classifier must have one input and one output, but has 2 inputs"),
            (keras.Sequential([keras.Input((5,)), dense(2)]), ValueError, r"expects samples of shape \(5,\).*\(4,\)"),
            (keras.Sequential([keras.Input((4,)), keras.layers.Reshape((2, 2))]), ValueError, r"\(None, 2, 2\)"),
            (keras.Sequential([dense(2)]), ValueError, "the Sequential is not built"),
            (constant([0.5, 0.6]), ValueError, "sums to 1.1.*from_logits=True"),
            (constant([-1.0, 2.0]), ValueError, "values from -1 to 2.*from_logits=True"),
            (constant([1.5]), ValueError, "from_logits=True"),
            (constant([np.nan, 1.0]), ValueError, "classifier must return finite predictions, but returned NaN"),
        ],
    )
    def test_before_anything_is_trained(self, iris, classifier, error, message):
        trained = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: pytest.fail("training began"))
        detector = AdversarialAEDetector(classifier, callbacks=[trained])
        before = vars(detector).copy()
        with pytest.raises(error, match=message):
            detector.fit(iris[0])
        assert vars(detector) == before

    def test_estimators_that_are_no_classifier_of_one_label(self, iris):
        X, y = iris
        several = np.stack([y == 0, y == 1], axis=1).astype(int)
        for classifier, error, message in [
            (Ridge().fit(X, y), TypeError, "classifier must be .*, got the regressor Ridge"),
            (LinearSVC().fit(X, y), TypeError, "LinearSVC has no predict_proba.*CalibratedClassifierCV"),
            (SGDClassifier().fit(X, y), TypeError, "SGDClassifier has no predict_proba.*CalibratedClassifierCV"),
            (RandomForestClassifier(3).fit(X, several), ValueError, "but .* predicts several"),
            (KNeighborsClassifier().fit(X, several), ValueError, "but .* predicts several"),
            (
                MultiOutputClassifier(GaussianNB()).fit(X, several),
                ValueError,
                "but .* predicts several",
            ),
            (
                OneVsRestClassifier(GaussianNB()).fit(X, several),
                ValueError,
                "but .* predicts several",
            ),
            (
                MLPClassifier((3,), max_iter=500, tol=1).fit(X, several),
                ValueError,
                "but MLPClassifier was fitted with several",
            ),
        ]:
            with pytest.raises(error, match=message):
                AdversarialAEDetector(classifier).fit(X)
            with pytest.raises(error, match=message):
                AdversarialAEDetector(FrozenEstimator(classifier)).fit(X)

    @pytest.mark.parametrize(
        ("probabilities", "message"),
        [
            (np.full((1, 3), np.nan), "classifier must return finite predictions, but returned NaN"),
            (
                np.full((1, 2), 0.5),
                r"predict_proba must return shape \(\d+, 3\), .* got the shape \(\d+, 2\)",
            ),
            (np.array([[0.5, 0.6, 0.1]]), "sums to 1.2"),
            (np.array([[1.5, -0.5, 0.0]]), "values from -0.5 to 1.5"),
        ],
    )
    def test_strange_probabilities(self, iris, probabilities, message):
        class Strange(GaussianNB):
            def predict_proba(self, X):
                return np.repeat(probabilities, len(X), axis=0)

        with pytest.raises(ValueError, match=message):
            AdversarialAEDetector(Strange().fit(*iris), epochs=1).fit(iris[0])

    def test_other_number_of_features(self, iris):
        X, y = iris
        for classifier in (GaussianNB(), LogisticRegression()):
            with pytest.raises(ValueError, match=r"expects samples of shape \(3,\), but gets .* \(4,\)"):
                AdversarialAEDetector(classifier.fit(X[:, :3], y)).fit(X)
        with pytest.raises(ValueError, match=r"expects samples of shape \(4,\)"):
            AdversarialAEDetector(GaussianNB().fit(X, y)).fit(X.reshape(-1, 2, 2))

    def test_categorical_columns_behind_the_detector(self, iris):
        X, y = iris
        columns = ColumnTransformer(
            [("category", OneHotEncoder(handle_unknown="ignore"), [0])], remainder="passthrough"
        )
        classifier = make_pipeline(columns, GaussianNB()).fit(X.round(), y)
        detector = AdversarialAEDetector(classifier, surrogate=tiny_surrogate, **QUICK).fit(X.round())
        np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))
        frame = pd.DataFrame(X).assign(color="red")
        with pytest.raises(ValueError, match=r"hold no numbers: \['color'\]. Encode them before the detector"):
            AdversarialAEDetector(GaussianNB().fit(X, y)).fit(frame.rename(columns=str))

    def test_classifier_of_several_labels(self, iris):
        X, y = iris
        targets = np.stack([y == 0, y == 1], axis=1).astype(int)

        def build():
            return keras.Sequential([keras.Input((4,)), dense(2, activation="sigmoid")])

        classifier = KerasClassifier(build, loss="binary_crossentropy", epochs=1, verbose=0)
        classifier.fit(X.astype("float32"), targets)
        with pytest.raises(ValueError, match="multilabel-indicator"):
            as_frozen_classifier(classifier)
