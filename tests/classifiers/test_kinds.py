"""What is no classifier of ours, said before anything is trained, and what becomes one with its own fit."""

import keras
import numpy as np
import pandas as pd
import pytest
import xgboost
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier
from sklearn.svm import SVC, LinearSVC
from xgboost import XGBClassifier

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae.robustness import evaluate_robustness
from tests.support.models import QUICK, tiny_surrogate

pytestmark = [
    pytest.mark.usefixtures("short_distillation"),
    pytest.mark.filterwarnings("ignore:The surrogate:UserWarning"),
    pytest.mark.filterwarnings("ignore:y contains no unlabeled:UserWarning"),
]


def build(X, y):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
    model.compile(keras.optimizers.Adam(0.1), "categorical_crossentropy")
    return model


def wrapper():
    return keras.wrappers.SKLearnClassifier(build, fit_kwargs={"epochs": 10, "verbose": 0})


def corrected(classifier, **parameters):
    parameters = {**QUICK, "surrogate": tiny_surrogate, **parameters}
    return CorrectedClassifier(AdversarialAEDetector(classifier, **parameters))


def stack(**parameters):
    return StackingClassifier([("bayes", GaussianNB())], cv=2, **parameters)


class TestFittedWithTheDetector:
    @pytest.mark.parametrize(
        "classifier",
        [
            stack(),
            make_pipeline(StandardScaler(), stack()),
            GridSearchCV(stack(), {"passthrough": [True]}, cv=2),
            GridSearchCV(SGDClassifier(random_state=0), {"loss": ["log_loss"]}, cv=2),
            RandomizedSearchCV(LogisticRegression(), {"C": [1.0]}, n_iter=1, cv=2),
            SelfTrainingClassifier(stack()),
            VotingClassifier([("stack", stack())], voting="soft"),
        ],
        ids=lambda classifier: type(classifier).__name__,
    )
    def test_predict_proba_appears(self, iris, classifier):
        assert corrected(classifier).fit(*iris).score(*iris) > 0.8

    def test_keras_wrapper(self, iris):
        model = clone(corrected(wrapper(), optimizer="adam", epochs=5)).fit(*iris)
        assert model.score(*iris) > 0.8, "the clone keeps `fit_kwargs`"
        assert isinstance(model.detector_.classifier_, FrozenKerasModel)

    @pytest.mark.slow
    def test_search_over_a_keras_wrapper(self, iris):
        grid = {"model_kwargs": [{}]}
        search = GridSearchCV(keras.wrappers.SKLearnClassifier(build, fit_kwargs={"verbose": 0}), grid, cv=2)
        model = corrected(search).fit(*iris)
        assert isinstance(model.detector_.classifier_, FrozenKerasModel)

    @pytest.mark.parametrize(
        "classifier",
        [
            LinearSVC(),
            SVC(),
            SGDClassifier(),
            make_pipeline(StandardScaler(), SVC()),
            stack(final_estimator=LinearSVC()),
            VotingClassifier([("bayes", GaussianNB())]),
            GridSearchCV(LinearSVC(), {"C": [1.0]}),
        ],
        ids=lambda classifier: type(classifier).__name__,
    )
    def test_others_are_refused_before_training(self, iris, classifier, monkeypatch):
        monkeypatch.setattr(type(classifier), "fit", lambda *_: pytest.fail("training began"))
        with pytest.raises(TypeError, match=r"has no predict_proba.*CalibratedClassifierCV"):
            corrected(classifier).fit(*iris)


FRAME = pd.DataFrame({"score": np.random.default_rng(0).normal(size=200), "code": pd.Categorical(np.arange(200) % 5)})
LABELS = (FRAME.score + (FRAME.code.astype(int) > 2) > 0.5).to_numpy().astype(int)
BOOSTERS = {
    "XGBoost": XGBClassifier(n_estimators=3, enable_categorical=True, n_jobs=1),
    "LightGBM": LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1),
}


class TestCategoriesOfPandas:
    @pytest.mark.slow
    @pytest.mark.parametrize("kind", BOOSTERS)
    def test_inside_the_corrected_classifier(self, kind):
        for classifier in (BOOSTERS[kind], make_pipeline(BOOSTERS[kind]), CalibratedClassifierCV(BOOSTERS[kind], cv=2)):
            fitted = corrected(classifier).fit(FRAME, LABELS)
            result = fitted.detector_.correct(FRAME)
            np.testing.assert_array_equal(result.no_defense, fitted.classifier_.predict(FRAME))

    @pytest.mark.parametrize("kind", BOOSTERS)
    def test_numbers_where_it_was_fitted_on_categories(self, kind):
        classifier = FrozenEstimator(clone(BOOSTERS[kind]).fit(FRAME, LABELS))
        with pytest.raises(ValueError, match=r"was fitted on categories of pandas, but X has none"):
            AdversarialAEDetector(classifier, surrogate=tiny_surrogate, **QUICK).fit(FRAME.astype(float))

    @pytest.mark.parametrize(
        ("X", "kind", "message"),
        [
            (FRAME.drop(columns="score"), ValueError, "must take X as it is, but it raises: columns are missing"),
            (FRAME[:0], ValueError, "must take X as it is, but it raises: Found array with 0 sample"),
            (FRAME.assign(score=pd.Timestamp("2024-01-31")), TypeError, "X has dates in the columns"),
        ],
        ids=["missing column", "no rows", "dates"],
    )
    def test_rows_that_it_refuses(self, X, kind, message):
        """X has categories, so an error that says it has none would be wrong."""
        classifier = HistGradientBoostingClassifier(max_iter=2).fit(FRAME, LABELS)
        with pytest.raises(kind, match=message):
            AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X)

    @pytest.mark.parametrize("kind", BOOSTERS)
    def test_fitted_on_numbers(self, kind):
        classifier = clone(BOOSTERS[kind]).fit(FRAME.astype(float), LABELS)
        detector = AdversarialAEDetector(FrozenEstimator(classifier), surrogate=tiny_surrogate, **QUICK).fit(FRAME)
        np.testing.assert_array_equal(detector.correct(FRAME).no_defense, classifier.predict(FRAME.astype(float)))

    @pytest.mark.slow
    @pytest.mark.parametrize("features", [["code"], [1], [False, True]], ids=["name", "index", "mask"])
    def test_numbers_that_are_categories_by_name(self, features):
        """The error said that X has no categories of pandas, which the classifier has never seen."""
        X = FRAME.astype({"code": int})
        classifier = HistGradientBoostingClassifier(max_iter=3, categorical_features=features).fit(X, LABELS)
        detector = AdversarialAEDetector(FrozenEstimator(classifier), surrogate=tiny_surrogate, **QUICK).fit(X)
        np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))

    def test_histogram_boosting_works(self):
        assert corrected(HistGradientBoostingClassifier(max_iter=5)).fit(FRAME, LABELS).score(FRAME, LABELS) > 0.8


def of_keras_2(name):
    """A class as that of the package tf_keras, which the tests do not install."""
    base = type("Model", (), {"__module__": "tf_keras.src.engine.training"})
    return type(name, (base,), {"__module__": __name__, "__call__": lambda self, x: x})()


@pytest.mark.parametrize("argument", ["classifier", "autoencoder", "encoder", "decoder", "surrogate"])
def test_models_of_keras_2(iris, iris_model, argument):
    parameters = {"classifier": iris_model, argument: of_keras_2("Sequential")}
    with pytest.raises(TypeError, match=rf"{argument} must be a model of Keras 3, got the Sequential of Keras 2.*save"):
        AdversarialAEDetector(**parameters).fit(iris[0])


def test_models_of_keras_2_elsewhere(iris, iris_model):
    old = of_keras_2("Functional")
    for detector, name in (
        (AdversarialAEDetector(iris_model, hidden_models=[old]), r"hidden_models\[0\]"),
        (AdversarialAEDetector(FrozenKerasModel(old)), r"FrozenKerasModel\(model=...\)"),
        (AdversarialAEDetector(iris_model, autoencoder=lambda sample_shape: old), r"autoencoder\(\(4,\)\)"),
        (AdversarialAEDetector(FrozenEstimator(old)), "classifier"),
    ):
        with pytest.raises(TypeError, match=f"{name} must be a model of Keras 3, got the Functional"):
            detector.fit(iris[0])


@pytest.mark.parametrize("train", ["xgboost", "lightgbm"])
def test_raw_boosters(iris, train):
    """What `train` of XGBoost and LightGBM returns is no classifier of scikit-learn."""
    X, y = iris
    if train == "xgboost":
        booster = xgboost.train({"objective": "multi:softprob", "num_class": 3}, xgboost.DMatrix(X, y), 2)
    else:
        booster = LGBMClassifier(n_estimators=2, verbose=-1).fit(X, y).booster_
    for refuse in (
        lambda: AdversarialAEDetector(booster).fit(X),
        lambda: evaluate_robustness(booster, X, y),
    ):
        with pytest.raises(TypeError, match=r"classifier must be a .* got an object of type Booster"):
            refuse()


def test_search_without_refit(iris):
    search = GridSearchCV(LogisticRegression(), {"C": [1.0]}, cv=2, refit=False).fit(*iris)
    with pytest.raises(TypeError, match="has no best estimator, because it was made with refit=False"):
        AdversarialAEDetector(search).fit(iris[0])
    with pytest.raises(TypeError, match="has no best estimator, because it was made with refit=False"):
        evaluate_robustness(search, *iris)
