import os

import joblib
import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._training.cache import cache_key_of
from tests.support.models import QUICK

N_FOLDS = 2
PERCENTILES = {"threshold_percentile": [80, 90, 95]}


class CountTrainings(keras.callbacks.Callback):
    """Writes a line to a file when a training begins, in whatever process that is."""

    def __init__(self, path):
        super().__init__()
        self.path = os.fspath(path)

    def on_train_begin(self, logs=None):
        with open(self.path, "a") as file:
            file.write("training\n")


def counted_and_cached(classifier, folder):
    """A detector that keeps its trainings in a folder, and how many there were."""
    path = folder / "trainings"
    path.touch()
    cached = {"callbacks": [CountTrainings(path)], "memory": str(folder / "cache")}
    return AdversarialAEDetector(classifier, **QUICK, **cached), lambda: len(path.read_text().splitlines())


@pytest.fixture
def counted(flowers, tmp_path):
    return counted_and_cached(flowers, tmp_path)


@pytest.fixture
def detector(counted):
    return counted[0]


@pytest.fixture
def count(counted):
    return counted[1]


def corrected_accuracy(estimator, X, y):
    names = np.array(["setosa", "versicolor", "virginica"])
    return np.mean(estimator.correct(X).corrected == names[y])


@pytest.mark.filterwarnings("ignore:.* rows are too few to promise")
class TestGridSearch:
    @pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
    def test_search_over_the_percentile_trains_once_a_fold_and_once_to_refit(self, iris, detector, count, n_jobs):
        if n_jobs > 1:  # the workers have no cache entry yet: let them start one after the other
            detector.fit(iris[0])
        begun = count()
        search = GridSearchCV(detector, PERCENTILES, scoring=corrected_accuracy, cv=N_FOLDS, n_jobs=n_jobs).fit(*iris)
        assert len(search.cv_results_["params"]) == len(PERCENTILES["threshold_percentile"])
        trained = count() - begun
        if n_jobs == 1:
            assert trained == N_FOLDS + 1
        else:  # two processes may train the same fold at the same time; the refit was cached above
            assert N_FOLDS <= trained <= 2 * N_FOLDS
        assert search.best_estimator_.threshold_percentile == search.best_params_["threshold_percentile"]

    @pytest.mark.parametrize("steps", [[], [StandardScaler()]])
    def test_classifier_that_is_converted(self, iris, steps, tmp_path):
        """Each conversion numbers its operations anew, which is no other classifier."""
        classifier = FrozenEstimator(make_pipeline(*steps, LogisticRegression(max_iter=500)).fit(*iris))
        detector, count = counted_and_cached(classifier, tmp_path)
        for percentile in (80, 95):
            detector.set_params(threshold_percentile=percentile).fit(iris[0])
        assert count() == 1

    @pytest.mark.slow
    def test_search_in_a_pipeline(self, iris, detector, count):
        pipeline = make_pipeline(StandardScaler(), detector)
        grid = {"adversarialaedetector__threshold_percentile": [80, 90]}

        def score(estimator, X, y):
            return -np.mean(estimator.predict(X) == -1)

        GridSearchCV(pipeline, grid, scoring=score, cv=N_FOLDS).fit(*iris)
        assert count() == N_FOLDS + 1

    @pytest.mark.slow
    def test_search_around_a_bare_keras_model(self, iris, iris_model, detector, count):
        """Every clone of the detector copies the model, and its fingerprint stays the same."""
        GridSearchCV(
            detector.set_params(classifier=iris_model),
            {"threshold_percentile": [80, 90]},
            scoring=lambda estimator, X, y: np.mean(estimator.correct(X).corrected == y),
            cv=N_FOLDS,
        ).fit(*iris)
        assert count() == N_FOLDS + 1

    @pytest.mark.slow
    @pytest.mark.parametrize("grid", [{"temperature": [0.5, 1.0]}, {"epochs": [1, 2]}])
    def test_search_over_the_training_retrains(self, iris, detector, count, grid):
        GridSearchCV(detector, grid, scoring=corrected_accuracy, cv=N_FOLDS, refit=False).fit(*iris)
        assert count() == N_FOLDS * 2

    @pytest.mark.slow
    def test_without_memory_every_candidate_trains(self, iris, detector, count):
        grid = {"threshold_percentile": [80, 90]}
        GridSearchCV(detector.set_params(memory=None), grid, scoring=corrected_accuracy, cv=N_FOLDS).fit(*iris)
        assert count() == N_FOLDS * 2 + 1


def test_cached_detector_is_the_same(iris, detector, count):
    first = detector.fit(iris[0])
    scores, history = first.score_samples(iris[0]), first.history_
    again = detector.fit(iris[0])
    assert count() == 1
    np.testing.assert_array_equal(again.score_samples(iris[0]), scores)
    assert again.history_ == history


def test_memory_may_be_a_path_or_a_joblib_memory(iris, detector, count, tmp_path):
    for memory in (tmp_path / "cache", joblib.Memory(str(tmp_path / "cache"), verbose=0)):
        detector.set_params(memory=memory).fit(iris[0])
    assert count() == 1


def other_weights(classifier):
    copy = keras.models.clone_model(classifier.model)
    copy.set_weights([weight + 0.1 for weight in classifier.model.get_weights()])
    return FrozenKerasModel(copy, classes=classifier.classes)


@pytest.fixture(scope="module")
def trained_once(iris, flowers, tmp_path_factory):
    detector, count = counted_and_cached(flowers, tmp_path_factory.mktemp("trained"))
    detector.fit(iris[0])
    assert count() == 1
    return detector, count


@pytest.mark.parametrize(
    "change",
    [
        {"random_state": 1},
        {"batch_size": 32},
        {"optimizer": keras.optimizers.Adam(0.1)},
        {"divergence_weight": 2.0},
        {"hidden_layers": {0: 3}},
        {"autoencoder": lambda shape: keras.Sequential([keras.Input(shape), keras.layers.Dense(4)])},
        {"preprocess": lambda batch: batch + 1},
        {"loss": lambda x, y: keras.ops.mean((x - y) ** 2, axis=1)},
        {"metrics": ["kl_divergence"]},
        {"calibration_fraction": 0.3},
        {"classifier": None},
        {"verbose": 2},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_the_key_depends_on(iris, trained_once, flowers, change):
    detector, count = trained_once
    before = count()
    if "classifier" in change:
        change = {"classifier": other_weights(flowers)}
    clone(detector).set_params(**change).fit(iris[0])
    assert count() - before == ("verbose" not in change)


def test_rows_are_part_of_the_key(iris, trained_once):
    detector, count = trained_once
    before = count()
    clone(detector).fit(iris[0])
    assert count() == before
    clone(detector).fit(iris[0] + 1e-3)
    assert count() == before + 1


def test_autoencoder_from_a_callable_is_found_again_although_keras_numbers_its_layers(iris, detector, count):
    def build(shape):
        return keras.Sequential([keras.Input(shape), keras.layers.Dense(3), keras.layers.Dense(*shape)])

    detector.set_params(autoencoder=build)
    for _ in range(2):
        detector.fit(iris[0])
    assert count() == 1


def test_description_of_keras_objects_is_their_configuration():
    first, again, other = (keras.optimizers.Adam(rate) for rate in (0.1, 0.1, 0.2))
    assert cache_key_of(first) == cache_key_of(again) != cache_key_of(other)
    assert cache_key_of([keras.metrics.KLDivergence()]) == cache_key_of([keras.metrics.KLDivergence()])
