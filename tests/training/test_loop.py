import contextlib
import gc
import os
import pickle
import pty
import re
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from tensorflow.python.framework.func_graph import FuncGraph

from skaae import AdversarialAEDetector
from tests.support.models import PUBLISHED, QUICK

STANDING_STILL = {**QUICK, **PUBLISHED, "optimizer": keras.optimizers.SGD(1e-30), "threshold": 1.0}


def loss_at_start(iris_model, X, **parameters):
    """Loss of all rows before anything has moved, and the detector."""
    detector = AdversarialAEDetector(iris_model, **{**STANDING_STILL, **parameters}).fit(X)
    return detector.history_["loss"][0], detector


def autoencoder(sample_shape, **options):
    return keras.Sequential([keras.Input(sample_shape), keras.layers.Dense(*sample_shape, **options)])


@pytest.mark.parametrize(
    "parameters", [{}, {"temperature": 0.5}, {"hidden_layers": {0: 3}, "hidden_weights": [0.3]}, {"batch_size": 150}]
)
def test_loss_is_the_mean_score_of_the_same_rows(iris, iris_model, parameters):
    loss, detector = loss_at_start(iris_model, iris[0], **parameters)
    assert loss == pytest.approx(detector.adversarial_score(iris[0]).mean(), rel=1e-6)


def test_weights_of_the_two_terms(iris, iris_model):
    loss, detector = loss_at_start(iris_model, iris[0], divergence_weight=2.0, reconstruction_weight=0.5)
    squares = np.mean((detector.reconstruct(iris[0]) - iris[0]) ** 2)
    assert loss == pytest.approx(2 * detector.adversarial_score(iris[0]).mean() + 0.5 * squares, rel=1e-5)


def test_own_loss_takes_the_place_of_both_terms(iris, iris_model):
    def absolute(x, x_reconstructed):
        return tf.reduce_sum(tf.abs(x - x_reconstructed), axis=1)

    loss, detector = loss_at_start(iris_model, iris[0], loss=absolute, reconstruction_weight=7.0)
    wanted = np.abs(detector.reconstruct(iris[0]) - iris[0]).sum(axis=1).mean()
    assert loss == pytest.approx(wanted, rel=1e-5)


def test_regularization_losses_of_the_autoencoder_count(iris, iris_model):
    def penalized(sample_shape):
        return autoencoder(sample_shape, kernel_regularizer=keras.regularizers.L1(0.1), kernel_initializer="ones")

    loss, detector = loss_at_start(iris_model, iris[0], autoencoder=penalized)
    assert loss == pytest.approx(detector.adversarial_score(iris[0]).mean() + 0.1 * 16, rel=1e-5)


@pytest.mark.slow
def test_training_lowers_the_loss(iris, iris_model):
    settings = {"epochs": 40, "batch_size": 16, "virtual_adversarial_steps": 1, "random_state": 0}
    detector = AdversarialAEDetector(iris_model, **settings).fit(iris[0])
    loss = detector.history_["loss"]
    assert len(loss) == 40
    assert loss[-1] < 0.2 * loss[0]


def test_metrics_compare_the_two_predictions(iris, iris_model):
    metrics = ["categorical_accuracy", keras.metrics.KLDivergence(name="kl")]
    detector = AdversarialAEDetector(iris_model, metrics=metrics, **STANDING_STILL).fit(iris[0])
    found = detector.correct(iris[0])
    agreement = np.mean(found.no_defense == found.defense)
    assert set(detector.history_) == {"loss", "categorical_accuracy", "kl"}
    assert detector.history_["categorical_accuracy"] == pytest.approx([agreement])
    assert detector.history_["kl"] == pytest.approx([found.instance_score.mean()], rel=1e-3)
    assert not metrics[1].variables or float(metrics[1].result()) == 0


class Recorder(keras.callbacks.Callback):
    """Registered nowhere; counts what Keras tells it."""

    def __init__(self):
        super().__init__()
        self.batches = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append(batch)

    def on_train_end(self, logs=None):
        print(f"{len(self.batches)} batches")


def test_callbacks_run_on_every_batch_and_are_copied(iris, iris_model, capsys):
    recorder = Recorder()
    detector = AdversarialAEDetector(
        iris_model, **{**QUICK, "callbacks": [recorder], "epochs": 2, "batch_size": 50, "threshold": 1.0}
    )
    detector.fit(iris[0])
    assert "6 batches" in capsys.readouterr().out
    assert recorder.batches == []


def test_early_stopping_stops_and_restores(iris, iris_model):
    stopping = keras.callbacks.EarlyStopping("loss", min_delta=1e9, patience=1, restore_best_weights=True)
    detector = AdversarialAEDetector(iris_model, **{**QUICK, "callbacks": [stopping], "epochs": 50}).fit(iris[0])
    assert len(detector.history_["loss"]) == 2


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_verbose_shows_the_progress(iris, iris_model, verbose, capsys):
    AdversarialAEDetector(iris_model, **{**QUICK, "epochs": 2, "verbose": verbose}).fit(iris[0])
    shown = capsys.readouterr().out
    assert ("Epoch 2/2" in shown) == (verbose > 0)
    assert "━" not in shown  # which only a terminal gets: see TestProgress


def test_divergence_of_the_training_is_an_error(iris, iris_model):
    detector = AdversarialAEDetector(iris_model, optimizer=keras.optimizers.SGD(1e30), epochs=5)
    with pytest.raises(ValueError, match=r"training diverged.*learning_rate"):
        detector.fit(iris[0])
    assert not hasattr(detector, "autoencoder_")


@pytest.mark.slow
def test_a_fit_leaves_no_graph_behind(iris, iris_model):
    """TensorFlow would keep the graph of each training for ever: see `skip_all_reduce`."""
    forest = FrozenEstimator(RandomForestClassifier(5, random_state=0).fit(*iris))

    def count_graphs():
        gc.collect()
        return sum(isinstance(found, FuncGraph) for found in gc.get_objects())

    for classifier in (iris_model, forest):
        detector = AdversarialAEDetector(classifier, epochs=1, random_state=0)
        before = detector.fit(iris[0]) and count_graphs()
        assert detector.fit(iris[0])
        assert count_graphs() <= before


TWO_DEVICES = """
import keras, numpy as np, tensorflow as tf
(cpu,) = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from skaae import AdversarialAEDetector

X = np.random.default_rng(0).normal(size=(200, 6)).astype("float32")
keras.utils.set_random_seed(0)
model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="softmax")])
detector = AdversarialAEDetector(
    model, noise=0, virtual_adversarial=0, metrics=["categorical_accuracy"], epochs=3, batch_size=50, random_state=0
)
one = detector.fit(X).history_
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
with strategy.scope():
    two = detector.fit(X).history_
for name in ("loss", "categorical_accuracy"):
    np.testing.assert_allclose(two[name], one[name], rtol=1e-3)
assert detector.predict(X).shape == (200,)

forest = FrozenEstimator(RandomForestClassifier(5, random_state=0).fit(X, X[:, 0] > 0))
with strategy.scope():
    detector = AdversarialAEDetector(forest, epochs=1, random_state=0).fit(X)
assert detector.surrogate_agreement_ > 0.8
print("same")
"""


@pytest.mark.slow
def test_mixed_precision(iris, iris_model):
    """In half the bits the autoencoder trains, and its scores are those of one row alone and survive pickle."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        detector = AdversarialAEDetector(iris_model, epochs=20, random_state=0).fit(iris[0])
    finally:
        keras.config.set_dtype_policy(before)
    assert detector.autoencoder_.dtype_policy.name == "mixed_bfloat16"
    assert detector.history_["loss"][-1] < 0.5 * detector.history_["loss"][0]
    scores = detector.adversarial_score(iris[0])
    assert detector.adversarial_score(iris[0][7:8]) == scores[7]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(detector)).adversarial_score(iris[0]), scores)


@pytest.mark.slow
def test_two_devices_train_as_one_does():
    """In a process of its own, since devices have to be cut up before TensorFlow has used them."""
    found = subprocess.run([sys.executable, "-c", TWO_DEVICES], capture_output=True, text=True, check=False)
    assert found.stdout == "same\n", found.stderr[-2000:]


PROGRESS = """
import keras, numpy as np
from skaae import AdversarialAEDetector
model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, activation="softmax")])
AdversarialAEDetector(model, epochs=2, verbose=1, random_state=0).fit(np.eye(2).repeat(40, axis=0))
"""


@pytest.mark.slow
class TestProgress:
    """What verbose=1 shows, in a new process each."""

    def test_a_log_file_gets_plain_lines(self):
        shown = subprocess.run([sys.executable, "-c", PROGRESS], check=True, capture_output=True, text=True).stdout
        assert re.search(r"^Epoch 1/2 - loss: [\d.e-]+ - \d+ s left\nEpoch 2/2 - loss: [\d.e-]+$", shown, re.M), shown
        assert not set("\b\r\x1b") & set(shown)

    def test_a_terminal_gets_a_line_that_is_drawn_again(self):
        ours, its = pty.openpty()
        shown = b""
        with subprocess.Popen([sys.executable, "-c", PROGRESS], stdout=its, stderr=subprocess.DEVNULL):
            os.close(its)
            with contextlib.suppress(OSError):  # which is how a terminal ends
                while found := os.read(ours, 65536):
                    shown += found
        os.close(ours)
        assert shown.count(b"\rEpoch ") == 2


def test_a_training_that_was_resumed_at_its_end(iris, iris_model, tmp_path):
    """It has no loss."""
    backup = keras.callbacks.BackupAndRestore(str(tmp_path), delete_checkpoint=False)
    detector = AdversarialAEDetector(iris_model, **QUICK, callbacks=[backup])
    first = detector.fit(iris[0]).adversarial_score(iris[0])
    np.testing.assert_array_equal(detector.fit(iris[0]).adversarial_score(iris[0]), first)
    assert detector.history_ == {}
