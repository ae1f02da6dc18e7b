"""Detectors of every kind as one graph that gives the estimator's results."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae.onnx import OnnxDetector, to_onnx
from skaae.onnx._graph import _convert, export
from tests.support.models import QUICK

dense = keras.layers.Dense


def quick(classifier, **parameters):
    return AdversarialAEDetector(classifier, **{**QUICK, **parameters})


def softmax_network(n_features, n_classes):
    return keras.Sequential([keras.Input((n_features,)), dense(n_classes, activation="softmax")])


def moved(X):
    """Rows near and far from those of X, of which one has the threshold as its score, to the last bit."""
    noise = np.random.default_rng(0).normal(size=(3, *X.shape)) * X.std(axis=0)
    return np.concatenate([X + scale * noise[i] for i, scale in enumerate((0.1, 1, 5))])


def assert_same(detector, path, X, steps=None):
    """The file has the results of the estimator to 1e-5, and the same labels; X is what comes before the steps."""
    to_onnx(steps or detector, path)
    loaded = OnnxDetector(path)
    inner = steps[:-1].transform(X) if steps else X
    np.testing.assert_allclose(loaded.adversarial_score(X), detector.adversarial_score(inner), rtol=0, atol=1e-5)
    np.testing.assert_allclose(loaded.reconstruct(X), detector.reconstruct(inner), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(loaded.transform(X), detector.transform(inner), rtol=1e-5, atol=1e-5)
    found, wanted = loaded.correct(X), detector.correct(inner)
    assert list(found) == list(wanted)
    for name in ("is_adversarial", "corrected", "no_defense", "defense"):
        np.testing.assert_array_equal(found[name], wanted[name])
        assert found[name].dtype == wanted[name].dtype
    np.testing.assert_array_equal(loaded.predict(X), detector.predict(inner))
    assert 0 < (loaded.predict(X) == -1).mean() < 1, "both kinds of rows occur"
    return loaded


@pytest.mark.slow
@pytest.mark.parametrize("label_change_first", [True, False])
def test_rows_with_hidden_terms(iris, flowers, label_change_first, tmp_path):
    hidden = {"hidden_layers": {0: 3}, "hidden_models": [softmax_network(4, 5)], "hidden_weights": [0.5, 2.0]}
    detector = quick(flowers, temperature=0.5, label_change_first=label_change_first, **hidden).fit(iris[0])
    loaded = assert_same(detector, tmp_path / "file.onnx", moved(iris[0]))
    assert loaded.label_change_first_ is label_change_first
    assert (loaded.threshold_, loaded.offset_, loaded.n_features_in_) == (detector.threshold_, detector.offset_, 4)


def test_one_sigmoid_unit(cancer, cancer_model, tmp_path):
    assert_same(quick(cancer_model).fit(cancer[0]), tmp_path / "file.onnx", moved(cancer[0]))


def test_images(digit_images, images_detector, tmp_path):
    assert_same(images_detector, tmp_path / "file.onnx", np.clip(moved(digit_images[0][:50]), 0, 1))


@pytest.mark.slow
def test_sequences(tmp_path):
    X = np.random.default_rng(0).normal(size=(100, 10, 2)).astype(np.float32)
    layers = keras.layers.Conv1D(4, 3, activation="gelu"), keras.layers.GlobalAveragePooling1D(), dense(2)
    model = keras.Sequential([keras.Input((10, 2)), *layers])
    detector = quick(FrozenKerasModel(model, from_logits=True), autoencoder=None, epochs=0).fit(X)
    assert_same(detector, tmp_path / "file.onnx", moved(X))


@pytest.mark.slow
@pytest.mark.parametrize(
    "classifier",
    [
        pytest.param(RandomForestClassifier(20, random_state=0), id="forest"),
        pytest.param(LGBMClassifier(n_estimators=10, n_jobs=1, verbose=-1), id="LightGBM"),
        pytest.param(LogisticRegression(max_iter=300), id="converted to Keras"),
    ],
)
def test_other_classifiers(iris, classifier, tmp_path):
    X, y = iris[0], np.array(["setosa", "versicolor", "virginica"])[iris[1]]
    hidden = {"hidden_models": [softmax_network(4, 5)], "temperature": 0.5}
    surrogate = FrozenKerasModel(softmax_network(4, 3))
    detector = quick(classifier.fit(X, y), surrogate=surrogate, threshold=0.2, **hidden)
    # An untrained surrogate is as good as any here: it only moves the autoencoder.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The surrogate predicts", UserWarning)
        detector.fit(X)
    assert_same(detector, tmp_path / "file.onnx", moved(X))


def test_pipeline_with_the_classifier_behind(iris, flowers, tmp_path):
    X = 100 + 7 * iris[0]
    scaler = FrozenEstimator(StandardScaler().fit(X))
    pipeline = make_pipeline(scaler, "passthrough", RobustScaler(), quick(flowers), flowers).fit(X)
    loaded = assert_same(pipeline[-2], tmp_path / "file.onnx", moved(X), steps=pipeline[:-1])
    to_onnx(pipeline, tmp_path / "whole.onnx")
    whole = OnnxDetector(tmp_path / "whole.onnx")
    np.testing.assert_array_equal(whole.correct(moved(X)).corrected, pipeline.predict(moved(X)))
    assert loaded.transform(X).dtype == np.float64


def test_pipeline_around_a_forest(iris, tmp_path):
    X, y = 100 + 7 * iris[0], iris[1]
    forest = RandomForestClassifier(20, random_state=0).fit(MinMaxScaler().fit_transform(X), y)
    detector = quick(
        FrozenEstimator(forest), surrogate=FrozenKerasModel(softmax_network(4, 3)), epochs=0, threshold=0.2
    )
    pipeline = make_pipeline(MinMaxScaler(), detector)
    with pytest.warns(UserWarning, match="surrogate"):
        pipeline.fit(X)
    assert_same(pipeline[-1], tmp_path / "file.onnx", moved(X), steps=pipeline)


def test_corrected_classifier(iris, tmp_path):
    corrected = CorrectedClassifier(quick(LogisticRegression(max_iter=300))).fit(*iris)
    to_onnx(corrected, tmp_path / "file.onnx")
    labels = OnnxDetector(tmp_path / "file.onnx").correct(moved(iris[0])).corrected
    np.testing.assert_array_equal(labels, corrected.predict(moved(iris[0])))


def test_what_is_refused(iris, flowers, iris_model):
    fitted = quick(flowers, epochs=0).fit(iris[0])
    with pytest.raises(NotFittedError):
        export(clone(fitted), 1)
    with pytest.raises(TypeError, match=r"to_onnx expects a fitted AdversarialAEDetector.*, got LogisticRegression"):
        export(LogisticRegression(), 1)
    other = GaussianNB().fit(*iris)
    with pytest.raises(
        TypeError, match="GaussianNB after the detector is not the classifier that the detector defends"
    ):
        export(make_pipeline(fitted, other), 1)
    objects = FrozenKerasModel(iris_model, classes=np.array([(1, 2), (3, 4), (5, 6)], dtype="i,i"))
    with pytest.raises(TypeError, match="Only class labels of type"):
        export(quick(objects, epochs=0).fit(iris[0]), 1)


def test_layers_that_onnx_does_not_have():
    with pytest.raises(TypeError, match=r"TensorFlow operations \['Erfinv'\], which do not exist in ONNX"):
        _convert(lambda x: {"y": tf.math.erfinv(x)}, {"x": tf.TensorSpec((None, 2), tf.float32)})
