"""Bad input: the argument, what came and what is wanted; nothing trained; the estimator as before."""

import keras
import numpy as np
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from skaae import AdversarialAEDetector
from tests.support.models import QUICK

METHODS = [
    "adversarial_score",
    "score_samples",
    "decision_function",
    "predict",
    "reconstruct",
    "transform",
    "correct",
    "infer_threshold",
]


def must_not_train(batch):
    pytest.fail("training began")


def with_value(X, value):
    X = X.copy()
    X[3, 1] = value
    return X


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"epochs": -1}, r"'epochs' .* must be an int in the range \[0, inf\) or None. Got -1"),
        ({"epochs": 1.5}, "'epochs'.*Got 1.5"),
        ({"batch_size": 0}, "'batch_size'.*Got 0"),
        ({"temperature": 0.0}, "'temperature'.*Got 0.0"),
        ({"temperature": -1.0}, "'temperature'.*Got -1.0"),
        ({"temperature": np.nan}, "'temperature'.*Got nan"),
        ({"divergence_weight": -1.0}, "'divergence_weight'.*Got -1.0"),
        ({"reconstruction_weight": -1.0}, "'reconstruction_weight'.*Got -1.0"),
        ({"threshold_percentile": 0}, r"'threshold_percentile'.*\(0.0, 100.0\]. Got 0"),
        ({"threshold_percentile": 100.5}, "'threshold_percentile'.*Got 100.5"),
        ({"threshold": -0.1}, "'threshold' .*Got -0.1"),
        ({"calibration_fraction": 1.0}, "'calibration_fraction'.*Got 1.0"),
        ({"calibration_fraction": 0.999}, "calibration_fraction=0.999 of 150 rows of X leaves no row"),
        ({"learning_rate": 0.0}, "'learning_rate'.*Got 0.0"),
        ({"loss": "mse"}, "'loss'.*Got 'mse'"),
        ({"callbacks": "callback"}, "'callbacks'.*Got 'callback'"),
        ({"random_state": "seed"}, "'random_state'.*Got 'seed'"),
        ({"memory": 3}, "'memory'.*Got 3"),
        ({"autoencoder": "model"}, "'autoencoder'.*Got 'model'"),
        (
            {"encoder": keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])},
            "encoder was passed without decoder",
        ),
    ],
    ids=str,
)
def test_bad_parameters(iris, iris_model, parameters, message):
    parameters = {"preprocess": must_not_train, **parameters}
    detector = AdversarialAEDetector(iris_model, **parameters)
    before = vars(detector).copy()
    with pytest.raises(ValueError, match=message):
        detector.fit(iris[0])
    assert vars(detector) == before


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda X: X[:0], ValueError, r"0 sample\(s\)"),
        (lambda X: X[:1], ValueError, r"1 sample\(s\).* minimum of 2"),
        (lambda X: X[:, :0], ValueError, r"0 feature\(s\)"),
        (lambda X: X[:, 0], ValueError, "Expected 2D array, got 1D array"),
        (lambda X: X[:, :3], ValueError, r"classifier expects samples of shape \(4,\).*\(3,\)"),
        (lambda X: X[:, :, None], ValueError, r"classifier expects samples of shape \(4,\).*\(4, 1\)"),
        (lambda X: with_value(X, np.nan), ValueError, "Input X contains NaN"),
        (lambda X: with_value(X, np.inf), ValueError, "Input X contains infinity"),
        (lambda X: with_value(X, 1e39), ValueError, r"X contains values beyond 3.4e\+38, the largest float32"),
        (csr_array, TypeError, "Sparse data was passed"),
        (lambda X: X.astype(complex), ValueError, "Complex data not supported"),
        (lambda X: np.full(X.shape, "text"), ValueError, "could not convert string to float"),
        (lambda X: None, ValueError, "Expected 2D array, got scalar array"),
    ],
)
def test_bad_rows_in_fit(iris, iris_model, change, error, message):
    detector = AdversarialAEDetector(iris_model, preprocess=must_not_train)
    before = vars(detector).copy()
    with pytest.raises(error, match=message):
        detector.fit(change(iris[0]))
    assert vars(detector) == before


@pytest.fixture(scope="module")
def fitted(iris, iris_model):
    return AdversarialAEDetector(iris_model, **QUICK).fit(iris[0])


@pytest.mark.parametrize("method", METHODS)
def test_bad_rows_after_fit(iris, fitted, method):
    X, call = iris[0], getattr(fitted, method)
    threshold = fitted.threshold_
    with pytest.raises(ValueError, match="X has 3 features, but AdversarialAEDetector is expecting 4"):
        call(X[:, :3])
    for value in (np.nan, np.inf, 1e39):
        with pytest.raises(ValueError, match=r"NaN|infinity|beyond"):
            call(with_value(X, value))
    with pytest.raises(ValueError, match=r"0 sample\(s\)"):
        call(X[:0])
    with pytest.raises(TypeError, match="Sparse"):
        call(csr_array(X))
    assert fitted.threshold_ == threshold


@pytest.mark.parametrize("method", METHODS)
def test_nothing_works_before_fit(iris, iris_model, method):
    with pytest.raises(NotFittedError, match="This AdversarialAEDetector instance is not fitted yet"):
        getattr(AdversarialAEDetector(iris_model), method)(iris[0])


@pytest.mark.slow
def test_image_of_another_size(digit_images, digits_model):
    images = digit_images[0][:50]
    detector = AdversarialAEDetector(digits_model, **{**QUICK, "epochs": 0, "threshold": 1.0}).fit(images)
    with pytest.raises(ValueError, match=r"samples of shape \(8, 7, 1\), .* fitted with .* \(8, 8, 1\)"):
        detector.predict(images[:, :, :7])


@pytest.mark.parametrize("percentile", [0, -5, 101, "95", np.nan])
def test_bad_percentile_for_infer_threshold(iris, fitted, percentile):
    threshold = fitted.threshold_
    with pytest.raises(ValueError, match="'threshold_percentile' parameter of infer_threshold must be"):
        fitted.infer_threshold(iris[0], percentile)
    assert fitted.threshold_ == threshold


def test_failure_leaves_a_fitted_detector_fitted(iris, iris_model, fitted):
    scores = fitted.score_samples(iris[0])
    with pytest.raises(ValueError, match=r"features|samples of shape"):
        fitted.fit(iris[0][:, :2])
    np.testing.assert_array_equal(fitted.score_samples(iris[0]), scores)


def test_interrupt_in_training_leaves_the_detector_and_the_random_states_as_they_were(iris, iris_model):
    def interrupt(epoch, logs):
        raise KeyboardInterrupt

    callback = keras.callbacks.LambdaCallback(on_epoch_end=interrupt)
    detector = AdversarialAEDetector(iris_model, **QUICK, callbacks=[callback])
    before, state = vars(detector).copy(), np.random.get_state()[1].copy()
    with pytest.raises(KeyboardInterrupt):
        detector.fit(iris[0])
    assert vars(detector) == before
    np.testing.assert_array_equal(np.random.get_state()[1], state)
