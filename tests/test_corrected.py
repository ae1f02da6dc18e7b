"""CorrectedClassifier goes wherever a classifier goes."""

import pickle

import keras
import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from scikeras.wrappers import KerasClassifier
from sklearn.base import clone
from sklearn.calibration import CalibrationDisplay
from sklearn.ensemble import RandomForestClassifier, VotingClassifier
from sklearn.exceptions import DataConversionWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from xgboost import XGBClassifier

from skaae import AdversarialAEDetector, CorrectedClassifier
from skaae._training import defense
from tests.support.models import PUBLISHED, QUICK, tiny_surrogate

pytestmark = pytest.mark.usefixtures("short_distillation")


def corrected(classifier, **parameters):
    parameters = {**QUICK, **PUBLISHED, "surrogate": tiny_surrogate, **parameters}
    return CorrectedClassifier(AdversarialAEDetector(classifier, **parameters))


def network():
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input((30,)), dense(8, activation="relu"), dense(1, activation="sigmoid")])


CLASSIFIERS = {
    "forest": RandomForestClassifier(10),
    "logistic": LogisticRegression(),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "XGBoost": XGBClassifier(n_estimators=10, n_jobs=1),
    "LightGBM": LGBMClassifier(n_estimators=10, verbose=-1, n_jobs=1),
    "scikeras": KerasClassifier(network, loss="binary_crossentropy", epochs=10, verbose=0),
}


@pytest.fixture
def trainings(monkeypatch):
    trained = []
    train = defense.train
    counted = lambda *arguments, **options: trained.append(arguments) or train(*arguments, **options)  # noqa: E731
    monkeypatch.setattr(defense, "train", counted)
    return trained


class TestFit:
    @pytest.mark.slow
    @pytest.mark.parametrize("kind", CLASSIFIERS)
    def test_trains_the_classifier_first(self, cancer, kind):
        X, y = cancer[0].astype("float32"), cancer[1]
        model = corrected(CLASSIFIERS[kind]).fit(X[::2], y[::2])
        assert model.score(X[1::2], y[1::2]) > 0.9
        np.testing.assert_array_equal(model.classes_, [0, 1])
        assert not hasattr(CLASSIFIERS[kind], "classes_"), "the user's own stays unfitted"

    @pytest.mark.slow
    @pytest.mark.parametrize("kind", ["forest", "scikeras"])  # which draw random numbers
    def test_is_repeatable(self, cancer, kind):
        X, y = cancer[0][:100].astype("float32"), cancer[1][:100]
        first, again = (corrected(clone(CLASSIFIERS[kind])).fit(X, y) for _ in range(2))
        np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))

    def test_calibration_rows_are_kept_from_classifier_and_autoencoder(self, cancer, trainings):
        X, y = cancer
        seen = []

        class Watched(LogisticRegression):
            def fit(self, X, y):
                seen.append(X)
                return super().fit(X, y)

        model = corrected(Watched(), calibration_fraction=0.25).fit(X, y)
        assert len(seen[0]) == len(X) - np.ceil(len(X) / 4)
        np.testing.assert_array_equal(seen[0], trainings[0][2][:])
        rest = (X[:, None] != seen[0][None]).any(axis=2).all(axis=1)
        assert model.detector_.threshold_ in model.detector_.adversarial_score(X[rest])

    def test_string_labels_and_frames(self, cancer):
        X, y = cancer
        frame = pd.DataFrame(X, columns=[f"feature {place}" for place in range(30)])
        names = np.array(["malignant", "benign"])[y]
        model = corrected(RandomForestClassifier(10)).fit(frame, names)
        assert list(model.feature_names_in_) == list(model.classifier_.feature_names_in_) == list(frame.columns)
        assert set(model.predict(frame)) == {"malignant", "benign"}
        with pytest.raises(ValueError, match="feature names"):
            model.predict(frame[frame.columns[::-1]])

    def test_a_class_of_one_row_is_trained_on(self, iris):
        X, y = iris
        y = np.where(np.arange(150) == 75, 3, y)
        for seed in range(3):
            model = corrected(LogisticRegression(), random_state=seed).fit(X, y)
            np.testing.assert_array_equal(model.classes_, [0, 1, 2, 3])

    def test_frozen_classifier_is_not_trained(self, cancer):
        X, y = cancer
        frozen = LogisticRegression().fit(X, y)
        model = corrected(FrozenEstimator(frozen)).fit(X, y)
        assert model.classifier_ is frozen
        wanted = AdversarialAEDetector(frozen, **{**QUICK, **PUBLISHED}).fit(X)
        assert model.detector_.threshold_ == wanted.threshold_

    def test_pickle(self, cancer):
        X, y = cancer
        model = corrected(RandomForestClassifier(10)).fit(X, y)
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("classifier", [LogisticRegression(), RandomForestClassifier(10, random_state=0)])
def test_predictions_are_the_corrected_ones(cancer, classifier):
    X, y = cancer
    model = corrected(classifier, threshold_percentile=60.0).fit(X, y)
    inner, found = model.classifier_, model.detector_.correct(X)
    flagged = found.is_adversarial
    assert 0.2 < flagged.mean() < 0.6
    probabilities = model.predict_proba(X)
    again = model.detector_.reconstruct(X).astype(float)
    np.testing.assert_allclose(probabilities[~flagged], inner.predict_proba(X[~flagged]), atol=1e-6)
    np.testing.assert_allclose(probabilities[flagged], inner.predict_proba(again[flagged]), atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), found.corrected)
    np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], found.corrected)


def test_methods_of_the_detector(iris):
    X, y = iris
    corrected = CorrectedClassifier(AdversarialAEDetector(LogisticRegression(max_iter=500), **QUICK)).fit(X, y)
    np.testing.assert_array_equal(corrected.correct(X).corrected, corrected.predict(X))
    flagged = np.flatnonzero(corrected.correct(X).is_adversarial)
    assert corrected.explain(X, n_features=1)["row"].tolist() == flagged.tolist()
    np.testing.assert_array_equal(corrected.p_values(X), corrected.detector_.p_values(X))
    np.testing.assert_array_equal(corrected.score_samples(X), corrected.detector_.score_samples(X))


class TestInScikitLearn:
    @pytest.mark.slow
    def test_search_trains_the_autoencoder_once_a_fold(self, cancer, trainings, tmp_path):
        model = corrected(RandomForestClassifier(10), memory=str(tmp_path), optimizer="adam", epochs=100)
        grid = {"detector__threshold_percentile": [80.0, 95.0]}
        search = GridSearchCV(model, grid, cv=2).fit(*cancer)
        assert len(trainings) == 2 + 1
        assert search.best_score_ > 0.9

    @pytest.mark.slow
    def test_cross_val_score(self, cancer):
        assert cross_val_score(corrected(LogisticRegression(), optimizer="adam", epochs=10), *cancer, cv=3).min() > 0.9

    def test_voting(self, cancer):
        members = [("corrected", corrected(LogisticRegression())), ("forest", RandomForestClassifier(10))]
        assert VotingClassifier(members, voting="soft").fit(*cancer).score(*cancer) > 0.9

    def test_calibration_display(self, cancer):
        model = corrected(LogisticRegression()).fit(*cancer)
        display = CalibrationDisplay.from_estimator(model, *cancer)
        np.testing.assert_allclose(display.y_prob, model.predict_proba(cancer[0])[:, 1])

    def test_fixed_threshold(self, cancer):
        X, y = cancer
        model = FixedThresholdClassifier(corrected(LogisticRegression()), threshold=0.9).fit(X, y)
        np.testing.assert_array_equal(model.predict(X) == 1, model.estimator_.predict_proba(X)[:, 1] >= 0.9)

    def test_pipeline(self, cancer):
        pipeline = make_pipeline(StandardScaler(), corrected(LogisticRegression())).fit(*cancer)
        assert pipeline.score(*cancer) > 0.9


class Untrainable(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        raise AssertionError("the classifier was trained")


class TestRefused:
    @pytest.mark.parametrize(
        ("detector", "error", "message"),
        [
            (None, ValueError, "'detector' parameter of CorrectedClassifier must be an instance of"),
            (LogisticRegression(), ValueError, "'detector' parameter of CorrectedClassifier must be an instance of"),
            (AdversarialAEDetector(None), ValueError, "classifier must be the classifier to defend"),
            (AdversarialAEDetector(LogisticRegression), TypeError, "got the class LogisticRegression"),
            (AdversarialAEDetector(LogisticRegression(), epochs=-1), ValueError, "'epochs' parameter"),
            (AdversarialAEDetector(Untrainable(), class_weight={"fruad": 5}), ValueError, "class_weight.*fruad"),
            (AdversarialAEDetector(LinearSVC()), TypeError, "no predict_proba.*CalibratedClassifierCV"),
            (AdversarialAEDetector(Ridge()), TypeError, "got the regressor Ridge"),
            (
                AdversarialAEDetector(LogisticRegression(), calibration_fraction=0.999),
                ValueError,
                "leaves too few rows to train on each of the 2 classes",
            ),
        ],
    )
    def test_before_the_classifier_is_trained(self, cancer, detector, error, message):
        model = CorrectedClassifier(detector)
        with pytest.raises(error, match=message):
            model.fit(*cancer)
        assert set(vars(model)) == {"detector"}

    def test_labels_that_the_frozen_classifier_does_not_know(self, iris):
        X, y = iris
        frozen = FrozenEstimator(LogisticRegression().fit(X[y < 2], y[y < 2]))
        with pytest.raises(ValueError, match=r"not classes of the frozen classifier: \[2\]\. Its classes are \[0, 1\]"):
            corrected(frozen).fit(X, y)

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (None, "requires y to be passed"),
            (np.linspace(0, 1, 150), "Unknown label type"),
            (np.tile([0, 1], (150, 1)), "y should be a 1d array"),
            (np.arange(149) % 3, "inconsistent numbers of samples"),
        ],
    )
    def test_labels(self, iris, y, message):
        with pytest.raises(ValueError, match=message):
            corrected(LogisticRegression()).fit(iris[0], y)

    def test_a_column_of_labels_warns(self, iris):
        with pytest.warns(DataConversionWarning):
            corrected(LogisticRegression()).fit(iris[0], iris[1][:, None])
