"""What a killed process, a full disk, an interrupt or a training that diverges leaves behind."""

import os
import random
import resource
import signal
import subprocess
import sys
import textwrap
import warnings
from contextlib import contextmanager
from pathlib import Path

import joblib
import keras
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from tensorflow.python.eager import context
from tensorflow.python.framework import config

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae._data.rows import RowSubset
from skaae._training.cache import cached_training
from skaae.onnx import OnnxDetector, to_onnx
from tests.support import user_module as parts
from tests.support.models import QUICK

pytestmark = pytest.mark.usefixtures("short_distillation")

ROOT = Path(__file__).parent.parent


def killed(code, *arguments):
    """Run code that kills its own process with SIGKILL, which nothing can catch."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.slow
def test_killed_in_training(iris, flowers, tmp_path):
    """Nothing is taken for a training that has not ended; the next run trains, and caches, the right one."""
    killer = parts.KillOnce(tmp_path / "killed")
    parameters = {**QUICK, "epochs": 3, "callbacks": [killer], "memory": str(tmp_path / "cache")}
    detector = AdversarialAEDetector(flowers, **parameters)
    joblib.dump((detector, iris[0]), tmp_path / "work.joblib")
    killed("import sys, joblib; detector, X = joblib.load(sys.argv[1]); detector.fit(X)", tmp_path / "work.joblib")
    assert (tmp_path / "killed").exists()
    assert not list((tmp_path / "cache").rglob("output.pkl*"))
    wanted = AdversarialAEDetector(flowers, **{**parameters, "memory": None}).fit(iris[0]).score_samples(iris[0])
    for _ in range(2):
        np.testing.assert_array_equal(detector.fit(iris[0]).score_samples(iris[0]), wanted)


RESULT = [[np.arange(60_000, dtype=np.float32)]], {"loss": [2.0, 1.0]}


class Training:
    """Counts how often it is called."""

    count = 0

    def __call__(self):
        self.count += 1
        return RESULT


def cached_result(memory):
    """What the cache makes of the same training again, and whether it was trained."""
    training = Training()
    weights, history = cached_training(memory, RowSubset(np.eye(3), np.arange(3)), "key", training)
    np.testing.assert_array_equal(weights[0][0], RESULT[0][0][0])
    assert history == RESULT[1]
    return training.count


KILLS_ITSELF = """
    import os, signal, sys
    import numpy as np
    from skaae._training.cache import cached_training
    from skaae._data.rows import RowSubset
    class Killing:
        def __reduce__(self):
            os.kill(os.getpid(), signal.SIGKILL)
    folder, moment = sys.argv[1:]
    def kill(event, arguments):
        # joblib 1.4 writes func_code.py in its place, later ones under another name.
        is_named = event == "os.rename" and os.path.basename(arguments[1]) == moment
        is_written = event == "open" and os.path.basename(str(arguments[0])) == moment and "w" in str(arguments[1])
        if is_named or is_written:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(kill)
    history = {"loss": Killing() if moment == "half" else [2.0, 1.0]}
    result = [[np.arange(60_000, dtype=np.float32)]], history
    cached_training(folder, RowSubset(np.eye(3), np.arange(3)), "key", lambda: result)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "trained"), [("half", 1), ("func_code.py", 1), ("output.pkl", 1), ("metadata.json", 0)]
)
def test_killed_while_the_cache_is_written(tmp_path, moment, trained):
    """In the middle of the file, or before it gets its name; what has got its name is whole."""
    killed(KILLS_ITSELF, tmp_path, moment)
    if moment == "half":
        (half,) = tmp_path.rglob("output.pkl.*")
        assert half.stat().st_size >= 240_000, "the weights had been written, not what follows them"
    assert cached_result(str(tmp_path)) == trained
    assert cached_result(str(tmp_path)) == 0


@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
def test_a_truncated_cache_file_is_not_used(tmp_path, caplog, share):
    """As a crash of the machine leaves it; joblib says so in its log and trains anew."""
    assert cached_result(str(tmp_path)) == 1
    (file,) = tmp_path.rglob("output.pkl")
    os.truncate(file, int(share * file.stat().st_size))
    assert cached_result(str(tmp_path)) == 1
    assert "Exception while loading results" in caplog.text
    assert cached_result(str(tmp_path)) == 0


EXPORTS = """
    import os, signal, sys
    import joblib
    from skaae.onnx import to_onnx
    folder, moment = sys.argv[1:]
    detector = joblib.load(os.path.join(folder, "detector.joblib"))
    path = os.path.join(folder, "detector.onnx")
    def kill(event, arguments):
        is_named = event == "os.rename" and arguments[1] == path
        is_opened = event == "open" and str(arguments[0]).startswith(os.path.join(folder, ".detector.onnx"))
        if is_named if moment == "named" else is_opened:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(kill)
    to_onnx(detector, path)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["opened", "named"])
def test_killed_while_an_onnx_file_is_written(iris, flowers, tmp_path, moment):
    """The file of before is there, whole, until the new one is; the next export writes it."""
    old, new = (
        AdversarialAEDetector(flowers, **{**QUICK, "epochs": 0, "random_state": seed}).fit(iris[0]) for seed in (0, 1)
    )
    path = tmp_path / "detector.onnx"
    to_onnx(old, path)
    joblib.dump(new, tmp_path / "detector.joblib")
    killed(EXPORTS, tmp_path, moment)
    np.testing.assert_allclose(OnnxDetector(path).adversarial_score(iris[0]), old.adversarial_score(iris[0]), atol=1e-5)
    to_onnx(new, path)
    np.testing.assert_allclose(OnnxDetector(path).adversarial_score(iris[0]), new.adversarial_score(iris[0]), atol=1e-5)


@contextmanager
def largest_file(size):
    """A limit of the operating system for every file, as a full disk is: writing fails in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("mmap_mode", [None, "r"])
def test_full_disk(tmp_path, mmap_mode):
    """The training is not lost because the cache could not be written; later it is not found there."""
    memory = joblib.Memory(str(tmp_path), mmap_mode=mmap_mode, verbose=0)
    with largest_file(100_000), pytest.warns(Warning, match="File too large|could not store the training"):
        assert cached_result(memory) == 1
    assert cached_result(memory) == 1
    assert cached_result(memory) == 0


def test_an_error_of_the_training_is_not_taken_for_one_of_the_cache(tmp_path):
    def training():
        raise OSError("the callback's own file")

    with pytest.raises(OSError, match="the callback's own file"):
        cached_training(str(tmp_path), RowSubset(np.eye(3), np.arange(3)), "key", training)


class Interrupting(keras.callbacks.Callback):
    """Ctrl-C in the middle of the training: the signal itself."""

    def on_train_batch_end(self, batch, logs=None):
        os.kill(os.getpid(), signal.SIGINT)


class Failing(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise LookupError("of the callback", epoch)


def global_states():
    tensorflow = context.context()._seed, config.is_op_determinism_enabled()
    return random.getstate(), np.random.get_state()[1].tolist(), *tensorflow


@pytest.mark.parametrize(("callback", "error"), [(Interrupting(), KeyboardInterrupt), (Failing(), LookupError)])
class TestInterrupted:
    @pytest.fixture
    def detector(self, flowers):
        autoencoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
        return AdversarialAEDetector(flowers, **{**QUICK, "autoencoder": autoencoder})

    def fails(self, estimator, error, *rows):
        before, states = vars(estimator).copy(), global_states()
        with pytest.raises(error) as raised:
            estimator.fit(*rows)
        assert type(raised.value) is error
        assert raised.value.args == (("of the callback", 0) if error is LookupError else ())
        assert vars(estimator) == before
        assert global_states() == states

    def test_a_fresh_detector(self, iris, detector, callback, error):
        self.fails(detector.set_params(callbacks=[callback]), error, iris[0])
        assert not hasattr(detector, "autoencoder_")

    def test_a_fitted_detector(self, iris, detector, callback, error):
        scores = detector.fit(iris[0]).score_samples(iris[0])
        weights = detector.autoencoder_.get_weights()
        self.fails(detector.set_params(callbacks=[callback], random_state=1), error, 2 * iris[0])
        np.testing.assert_array_equal(detector.score_samples(iris[0]), scores)
        for before, after in zip(weights, detector.autoencoder_.get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)
        again = detector.set_params(callbacks=None, random_state=0).fit(iris[0])
        np.testing.assert_array_equal(again.score_samples(iris[0]), scores)

    def test_a_corrected_classifier(self, iris, detector, callback, error):
        classifier = CorrectedClassifier(detector).fit(iris[0], detector.classifier.classes_[iris[1]])
        predicted = classifier.predict(iris[0])
        detector.set_params(callbacks=[callback])
        self.fails(classifier, error, iris[0][::-1], detector.classifier.classes_[iris[1]])
        np.testing.assert_array_equal(classifier.predict(iris[0]), predicted)


def not_a_number():
    autoencoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(4)])
    autoencoder.set_weights([np.nan * weight for weight in autoencoder.get_weights()])
    return autoencoder


class TestDivergence:
    """Never a fitted detector whose scores are NaN."""

    @pytest.mark.parametrize(
        "parameters",
        [
            {"optimizer": "adam", "learning_rate": 1e30, "epochs": 3},
            {"optimizer": "adam", "learning_rate": 1e30, "epochs": 3, "callbacks": [keras.callbacks.TerminateOnNaN()]},
            {"optimizer": keras.optimizers.SGD(1e38), "epochs": 1, "batch_size": 150},
            {"optimizer": keras.optimizers.SGD(1e38), "epochs": 1, "batch_size": 150, "threshold": 1.0},
            {"autoencoder": not_a_number(), "epochs": 0},
            {"autoencoder": not_a_number(), "epochs": 0, "threshold": 1.0},
        ],
        ids=lambda parameters: "-".join(parameters),
    )
    def test_is_an_error_and_leaves_the_detector_as_it_was(self, iris, flowers, parameters):
        detector = AdversarialAEDetector(flowers, **{**QUICK, "epochs": 0}).fit(iris[0])
        detector.set_params(**parameters)
        before = vars(detector).copy()
        with pytest.raises(ValueError, match=r"(?s)(diverged|not finite).*learning_rate"):
            detector.fit(iris[0])
        assert vars(detector) == before
        assert np.isfinite(detector.score_samples(iris[0])).all()

    def test_around_a_classifier_of_scikit_learn(self, iris):
        forest = FrozenEstimator(RandomForestClassifier(5, random_state=0).fit(*iris))
        surrogate = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")])
        detector = AdversarialAEDetector(forest, autoencoder=not_a_number(), epochs=0, surrogate=surrogate)
        with pytest.raises(ValueError, match=r"reconstruction x' = AE\(x\) is not finite for 30 of 30 rows"):
            detector.fit(iris[0])

    def test_a_row_on_which_the_classifier_overflows_is_adversarial(self, iris):
        """Its score cannot be computed, and NaN is above no threshold."""
        ten = keras.initializers.Constant(10.0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, kernel_initializer=ten)])
        classifier = FrozenKerasModel(model, from_logits=True)
        detector = AdversarialAEDetector(classifier, **QUICK).fit(iris[0])
        hostile = np.full((1, 4), 3.3e38)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert detector.adversarial_score(hostile).tolist() == [np.inf]
            assert detector.predict(hostile).tolist() == [-1]
            assert detector.decision_function(hostile) < 0
