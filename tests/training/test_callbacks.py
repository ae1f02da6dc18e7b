import io
import sys
import threading

import keras
import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skaae import AdversarialAEDetector
from tests.support.models import QUICK


@pytest.fixture(scope="module")
def classifier(iris):
    return FrozenEstimator(LogisticRegression().fit(*iris))


def fit(classifier, X, *callbacks, **parameters):
    settings = {**QUICK, "optimizer": "adam", "epochs": 4, "batch_size": 40, "callbacks": list(callbacks), **parameters}
    return AdversarialAEDetector(classifier, **settings).fit(X)


class Interrupt(keras.callbacks.Callback):
    """Interrupts the training once, at the end of an epoch; a copy of it knows that it has."""

    done = threading.Event()

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1 and not self.done.is_set():
            self.done.set()
            raise KeyboardInterrupt

    def __deepcopy__(self, memo):
        return Interrupt()


class LearningRates(keras.callbacks.Callback):
    seen: list[float] = []  # noqa: RUF012

    def on_epoch_end(self, epoch, logs=None):
        self.seen.append(float(np.asarray(self.model.optimizer.learning_rate)))


@pytest.fixture
def rates():
    LearningRates.seen.clear()
    return LearningRates.seen


def test_a_checkpoint_is_the_autoencoder(iris, classifier, tmp_path):
    path = tmp_path / "autoencoder.keras"
    detector = fit(classifier, iris[0], keras.callbacks.ModelCheckpoint(path))
    loaded = keras.models.load_model(path)
    np.testing.assert_array_equal(loaded.predict(iris[0], verbose=0), detector.autoencoder_.predict(iris[0], verbose=0))
    # It is one that a detector takes.
    again = AdversarialAEDetector(classifier, autoencoder=loaded, epochs=0, random_state=0).fit(iris[0])
    np.testing.assert_allclose(again.adversarial_score(iris[0]), detector.adversarial_score(iris[0]), rtol=1e-6)


def test_weights_alone(iris, classifier, tmp_path):
    path = tmp_path / "autoencoder.weights.h5"
    detector = fit(classifier, iris[0], keras.callbacks.ModelCheckpoint(path, save_weights_only=True))
    fresh = keras.models.clone_model(detector.autoencoder_)
    fresh.load_weights(path)
    for weights, wanted in zip(fresh.get_weights(), detector.autoencoder_.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, wanted)
    assert not hasattr(detector.autoencoder_, "optimizer")


@pytest.mark.slow
def test_an_interrupted_training_is_resumed(iris, classifier, tmp_path, rates):
    Interrupt.done.clear()
    whole = fit(classifier, iris[0], LearningRates())
    expected = list(rates)
    rates.clear()
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(classifier, iris[0], backup, LearningRates(), Interrupt())
    detector = fit(classifier, iris[0], backup, LearningRates(), Interrupt())
    assert rates == pytest.approx(expected), "the schedule goes on where it was"
    assert len(detector.history_["loss"]) == 2
    assert detector.history_["loss"][-1] == pytest.approx(whole.history_["loss"][-1], rel=0.5)


def test_tensorboard(iris, classifier, tmp_path):
    fit(classifier, iris[0], keras.callbacks.TensorBoard(tmp_path / "logs", histogram_freq=1))
    assert list((tmp_path / "logs" / "train").iterdir())


@pytest.mark.parametrize(
    ("callback", "expected"),
    [
        (keras.callbacks.LearningRateScheduler(lambda epoch, rate: 1e-3 / (epoch + 1)), [1e-3, 5e-4, 1e-3 / 3, 2.5e-4]),
        (keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=100), [1e-3, 1e-4, 1e-5, 1e-6]),
    ],
    ids=["scheduler", "plateau"],
)
def test_callbacks_that_set_the_learning_rate(iris, classifier, rates, callback, expected):
    fit(classifier, iris[0], callback, LearningRates())
    assert rates == pytest.approx(expected)


def test_without_them_the_learning_rate_falls_to_zero(iris, classifier, rates):
    fit(classifier, iris[0], LearningRates())
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-6


class Tee(io.StringIO):
    """The usual logger, which can write and flush only."""

    isatty = property()


def closed():
    file = io.StringIO()
    file.close()
    return file


class TestStandardOutput:
    @pytest.mark.parametrize(
        ("make", "verbose"), [(Tee, 0), (Tee, 1), (Tee, 2), (lambda: None, 1), (closed, 1), (closed, 2)]
    )
    def test_of_any_kind(self, iris, classifier, make, verbose):
        output = make()
        with pytest.MonkeyPatch.context() as patch:  # a fixture would be undone by pytest's own capture
            patch.setattr(sys, "stdout", output)
            patch.setattr(sys, "stderr", output)
            detector = fit(classifier, iris[0], verbose=verbose)
        assert len(detector.history_["loss"]) == 4
        if isinstance(output, Tee):
            assert output.getvalue().count("loss: ") == (4 if verbose else 0)

    def test_a_terminal_gets_one_line_that_is_drawn_again(self, iris, classifier, monkeypatch, capsys):
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        fit(classifier, iris[0], verbose=1)
        shown = capsys.readouterr().out
        assert shown.count("\r") == 4
        assert shown.count("\n") == 1
        *before, last = shown.strip().split("\r")
        assert all("left" in line for line in before[1:])
        assert last.startswith("Epoch 4/4 - loss: ")
        assert "left" not in last


@pytest.mark.slow
def test_fits_in_threads_are_those_alone(iris, classifier):
    detector = AdversarialAEDetector(classifier, **{**QUICK, "epochs": 3})
    alone = clone(detector).fit(iris[0])
    fitted = Parallel(4, backend="threading")(delayed(clone(detector).fit)(iris[0]) for _ in range(4))
    for other in fitted:
        assert other.threshold_ == alone.threshold_
        for weights, wanted in zip(other.autoencoder_.get_weights(), alone.autoencoder_.get_weights(), strict=True):
            np.testing.assert_array_equal(weights, wanted)
