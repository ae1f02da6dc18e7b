"""Rows with the very score of the threshold are flagged by the file exactly if the estimator flags them."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae.metrics import detection_auc
from skaae.onnx import OnnxDetector, to_onnx
from skaae.onnx._ties import ERROR_OF_LOGITS, ScoreWithTies
from tests.support.models import tiny_surrogate

pytestmark = [
    pytest.mark.usefixtures("short_distillation"),
    pytest.mark.filterwarnings("ignore:The surrogate predicts:UserWarning"),
]
COARSE = {
    "forest": RandomForestClassifier(10, random_state=0),
    "shallow forest": RandomForestClassifier(5, max_depth=2, random_state=0),
    "neighbors": KNeighborsClassifier(),
    "bagging": BaggingClassifier(n_estimators=7, random_state=0),
}
SMOOTH = {"logistic regression": LogisticRegression(), "naive Bayes": GaussianNB()}


def rows_of_money(n=3000):
    """Amounts, ages and answers of yes or no, with labels."""
    random = np.random.RandomState(0)
    X = np.c_[np.exp(random.normal(0, 1, n)) * 100, random.randint(18, 90, n), random.normal(size=n)]
    X = np.c_[X, random.randint(0, 2, n)]
    return X, X[:, 2] + X[:, 3] > 0.5


def rows_that_repeat(n=3000):
    """Years and answers, so that there are few different rows, with labels."""
    random = np.random.RandomState(0)
    X = np.c_[random.randint(2000, 2006, n), random.randint(1, 4, n), random.randint(0, 2, n)].astype(float)
    return X, X[:, 1] + X[:, 2] + (random.rand(n) < 0.2) > 2.5


def autoencoder(sample_shape):
    """It moves rows by little, so that many keep their probabilities."""
    dense, spread = keras.layers.Dense, keras.initializers.RandomNormal(stddev=0.03, seed=0)
    inputs = keras.Input(sample_shape)
    changed = dense(*sample_shape, kernel_initializer=spread)(dense(8, "relu", kernel_initializer=spread)(inputs))
    return keras.Model(inputs, inputs + changed)


def softmax_network(n_features, n_classes=2):
    return keras.Sequential([keras.Input((n_features,)), keras.layers.Dense(n_classes, "softmax")])


def detector_of(classifier, X, y, **parameters):
    classifier.fit(X[:1000], y[:1000])
    surrogate = FrozenKerasModel(softmax_network(X.shape[1]))
    settings = {"autoencoder": autoencoder, "surrogate": surrogate, "epochs": 0, "random_state": 0} | parameters
    return AdversarialAEDetector(FrozenEstimator(classifier), **settings)


def assert_same_flags(detector, path, X, estimator=None):
    """Estimator, OnnxDetector and the bare graph flag the same rows. Several have the score of the threshold."""
    to_onnx(detector if estimator is None else estimator, path)
    loaded, wanted = OnnxDetector(path), detector.predict(X)
    labels = np.searchsorted(detector.classes_, detector.correct(X).no_defense)
    tied = detector.adversarial_score(X) == detector.class_thresholds_[labels]
    assert tied.sum() > 2, "there are ties"
    np.testing.assert_array_equal(loaded.predict(X), wanted)
    np.testing.assert_array_equal(loaded.decision_function(X) >= 0, wanted == 1)
    np.testing.assert_array_equal(loaded.adversarial_score(X)[tied], detector.class_thresholds_[labels][tied])
    np.testing.assert_array_equal(np.concatenate([loaded.predict(row[None]) for row in X[:50]]), wanted[:50])
    session = loaded._session
    thresholds = json.loads(session.get_modelmeta().custom_metadata_map["class_thresholds"])
    score, label = session.run(["score", "no_defense"], {"x": X.astype(loaded._dtype)})
    np.testing.assert_array_equal(score > np.array(thresholds, float)[label], wanted == -1)
    return loaded


@pytest.mark.parametrize(
    ("kind", "label_change_first"), [*((kind, True) for kind in COARSE), ("forest", False), ("neighbors", False)]
)
def test_classifiers_with_few_probabilities(kind, label_change_first, tmp_path):
    X, y = rows_of_money()
    detector = detector_of(COARSE[kind], X, y, label_change_first=label_change_first).fit(X[1000:2000])
    assert_same_flags(detector, tmp_path / "file.onnx", X[2000:])


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "percentile"), [("logistic regression", 80), ("naive Bayes", 95)])
def test_rows_that_occur_several_times(kind, percentile, tmp_path):
    X, y = rows_that_repeat()
    parameters = {"threshold_percentile": percentile, "hidden_models": [softmax_network(3)], "hidden_weights": [3.0]}
    detector = detector_of(SMOOTH[kind], X, y, temperature=0.5, **parameters).fit(X[1000:2000])
    assert_same_flags(detector, tmp_path / "file.onnx", X[2000:])


@pytest.mark.slow
def test_thresholds_of_every_origin(tmp_path):
    X, y = rows_of_money()
    detector = detector_of(KNeighborsClassifier(), X, y).fit(X[1000:2000])
    loaded = assert_same_flags(detector.infer_threshold(X[2000:], 80), tmp_path / "inferred.onnx", X[2000:])
    given = float(np.median(detector.adversarial_score(X[2000:])))
    for threshold in (given, 0.0):
        loaded.threshold_ = threshold
        flagged = detector.adversarial_score(X[2000:]) > threshold
        np.testing.assert_array_equal(loaded.predict(X[2000:]) == -1, flagged)
        np.testing.assert_array_equal(loaded.correct(X[2000:]).is_adversarial, flagged)
        again = detector_of(KNeighborsClassifier(), X, y, threshold=threshold).fit(X[1000:1500])
        to_onnx(again, tmp_path / "given.onnx")
        np.testing.assert_array_equal(OnnxDetector(tmp_path / "given.onnx").predict(X[2000:]), again.predict(X[2000:]))


@pytest.mark.slow
def test_inside_other_estimators(tmp_path):
    X, y = rows_of_money()
    untrained = {"autoencoder": autoencoder, "surrogate": tiny_surrogate, "epochs": 0, "random_state": 0}
    forest = FrozenEstimator(RandomForestClassifier(10, random_state=0).fit(StandardScaler().fit_transform(X), y))
    pipeline = make_pipeline(StandardScaler(), AdversarialAEDetector(forest, **untrained)).fit(X[:1000])
    to_onnx(pipeline, tmp_path / "pipeline.onnx")
    loaded = OnnxDetector(tmp_path / "pipeline.onnx")
    np.testing.assert_array_equal(loaded.predict(X), pipeline.predict(X))
    np.testing.assert_allclose(loaded.transform(X), pipeline.transform(X), rtol=1e-5, atol=1e-5)
    corrected = CorrectedClassifier(AdversarialAEDetector(KNeighborsClassifier(), **untrained))
    corrected.fit(X[:1000], y[:1000])
    loaded = assert_same_flags(corrected.detector_, tmp_path / "corrected.onnx", X[1000:], corrected)
    np.testing.assert_array_equal(loaded.correct(X[1000:]).corrected, corrected.predict(X[1000:]))


@pytest.mark.slow
def test_best_of_a_search(tmp_path):
    X, y = rows_of_money()
    search = GridSearchCV(
        detector_of(KNeighborsClassifier(), X, y), {"threshold_percentile": [85, 90]}, scoring=detection_auc, cv=2
    )
    search.fit(X[1000:2000], np.tile([1, -1], 500))
    assert_same_flags(search.best_estimator_, tmp_path / "file.onnx", X[2000:])


@pytest.mark.slow
def test_scores_of_saturated_networks(tmp_path):
    """The threshold is 1e-15 or less: a tolerance that is not relative would flag nothing."""
    X = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    spread = keras.initializers.RandomNormal(stddev=60, seed=1)
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2, "softmax", kernel_initializer=spread)])
    settings = {"autoencoder": autoencoder, "epochs": 0, "random_state": 0, "threshold_percentile": 50.0}
    settings["class_thresholds"] = False
    detector = AdversarialAEDetector(model, **settings).fit(X)
    assert 0 < detector.threshold_ < 1e-15
    to_onnx(detector, tmp_path / "file.onnx")
    np.testing.assert_array_equal(OnnxDetector(tmp_path / "file.onnx").predict(X), detector.predict(X))


def first_order(score, logits, logits_reconstructed, size=1e-7):
    """The largest change of the score that changes of single logits by `size`, added up, make."""
    scores, total = score(logits, logits_reconstructed).numpy(), 0
    for term in [*logits, *logits_reconstructed]:
        for column in range(term.shape[1]):
            term[:, column] += size
            total = total + abs(score(logits, logits_reconstructed).numpy() - scores)
            term[:, column] -= size
    return total / size


@pytest.mark.parametrize(("temperature", "hidden_weights"), [(1.0, ()), (0.5, (2.0,)), (3.0, (1.0, 0.1))])
def test_errors_are_the_derivatives_times_the_errors_of_the_logits(temperature, hidden_weights):
    random = np.random.default_rng(0)
    shapes = [(50, 3), *((50, 4) for _ in hidden_weights)]
    logits, reconstructed = ([random.uniform(-1, 1, shape) for shape in shapes] for _ in range(2))
    score = ScoreWithTies(temperature, hidden_weights)
    found = score.errors(logits, reconstructed) / ERROR_OF_LOGITS
    np.testing.assert_allclose(found, first_order(score, logits, reconstructed), rtol=1e-3)


def test_errors_where_the_networks_are_sure():
    """Saturated networks have scores of 1e-20, and a floor makes log-odds that differ by 1e-13: both are told apart."""
    sure = [np.array([[50.0, 0.0]])], [np.array([[52.0, 0.0]])]
    assert ScoreWithTies()(*sure) > 1e-23
    assert ScoreWithTies().errors(*sure) < 1e-3 * ScoreWithTies()(*sure)
    logarithms = [np.log([[0.9, 0.1]])], [np.log([[0.01, 1 - 1e-10]])]
    changed = ScoreWithTies(label_change_first=True, floor=0.01)
    assert changed.errors(*logarithms) < 1e-13
    assert 1e-7 < ScoreWithTies(label_change_first=True, floor=0.01, precision="float32").errors(*logarithms) < 1e-5


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1000.0, math.inf])
def test_rows_that_overflow_keep_their_infinite_score(threshold):
    logits = [np.array([[np.nan, 0.0], [np.inf, 0.0], [1.0, 1.0]])], [np.array([[0.0, 1.0]] * 3)]
    score = ScoreWithTies(label_change_first=True, thresholds=tf.constant([threshold] * 2, tf.float64))
    assert np.isinf(score.ranked(*logits)).tolist() == [True, True, False]
