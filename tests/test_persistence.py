"""Dumped in one process, loaded in another: the same scores, bit for bit."""

import copy
import pickle
import subprocess
import sys
import textwrap

import joblib
import numpy as np
import pytest
from scikeras.wrappers import KerasClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector

DUPLICATES = [copy.deepcopy, lambda detector: pickle.loads(pickle.dumps(detector))]


def run_python(code, *arguments):
    """Run code in a new interpreter, which has imported nothing of this one."""
    command = [sys.executable, "-W", "ignore", "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def same_in_a_new_process(estimator, X, tmp_path):
    np.save(tmp_path / "X.npy", X)
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    code = """
        import sys, joblib, numpy as np
        folder = sys.argv[1]
        estimator = joblib.load(f"{folder}/estimator.joblib")
        np.save(f"{folder}/scores.npy", estimator.score_samples(np.load(f"{folder}/X.npy")))
    """
    run_python(code, tmp_path)
    np.testing.assert_array_equal(np.load(tmp_path / "scores.npy"), estimator.score_samples(X))


@pytest.fixture(scope="module")
def detector(iris, flowers):
    return AdversarialAEDetector(flowers, hidden_layers={0: 3}, temperature=0.5, epochs=2, random_state=0).fit(iris[0])


def test_detector_in_a_new_process(iris, detector, tmp_path):
    same_in_a_new_process(detector, iris[0], tmp_path)


def test_detector_of_images_in_a_new_process(digit_images, digits_model, tmp_path):
    X = digit_images[0][:200]
    same_in_a_new_process(AdversarialAEDetector(digits_model, epochs=1, random_state=0).fit(X), X, tmp_path)


def build_classifier():
    import keras

    layers = keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3, activation="softmax")
    return keras.Sequential([keras.Input((4,)), *layers])


def test_pipeline_around_a_scikeras_classifier_in_a_new_process(iris, tmp_path, monkeypatch):
    X, y = iris
    classifier = KerasClassifier(build_classifier, loss="sparse_categorical_crossentropy", epochs=3, verbose=0)
    classifier.fit(X.astype("float32"), y)
    detector = AdversarialAEDetector(FrozenEstimator(classifier), epochs=1, random_state=0)
    monkeypatch.setenv("PYTHONPATH", "tests")
    same_in_a_new_process(make_pipeline(StandardScaler(), detector).fit(X), X, tmp_path)


def test_two_processes_fit_the_same_detector(iris, tmp_path):
    np.save(tmp_path / "X.npy", iris[0])
    code = """
        import sys, keras, numpy as np
        from skaae import AdversarialAEDetector
        keras.utils.set_random_seed(0)
        model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
        keras.utils.set_random_seed(int(sys.argv[2]))
        X = np.load(f"{sys.argv[1]}/X.npy")
        detector = AdversarialAEDetector(model, epochs=3, random_state=0, hidden_layers={0: 2}).fit(X)
        print(detector.score_samples(X).tobytes().hex(), detector.threshold_)
    """
    first, second = (run_python(code, tmp_path, global_seed) for global_seed in (1, 2))
    assert first == second
    assert len(first) > 150 * 16


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copies_of_fitted_detectors(iris, detector, duplicate):
    np.testing.assert_array_equal(duplicate(detector).score_samples(iris[0]), detector.score_samples(iris[0]))


@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_copies_of_unfitted_detectors_fit_the_same(iris, flowers, duplicate):
    detector = AdversarialAEDetector(flowers, epochs=2, random_state=0)
    unfitted = duplicate(detector)
    assert not hasattr(unfitted, "autoencoder_")
    np.testing.assert_array_equal(
        unfitted.fit(iris[0]).score_samples(iris[0]), detector.fit(iris[0]).score_samples(iris[0])
    )


def test_copy_keeps_its_threshold_and_may_be_fitted_again(iris, detector):
    again = copy.deepcopy(detector)
    again.infer_threshold(iris[0], 50)
    assert again.threshold_ < detector.threshold_
    assert pickle.loads(pickle.dumps(again)).threshold_ == again.threshold_


def test_classifier_is_in_the_file_once(iris, iris_model):
    """`classifier` and `classifier_` are the same Keras model."""
    detector = AdversarialAEDetector(iris_model, epochs=1).fit(iris[0])
    loaded = pickle.loads(pickle.dumps(detector))
    assert loaded.classifier_.model is loaded.classifier


def test_import_of_the_package_does_not_import_tensorflow():
    assert (
        run_python("import sys, skaae; dir(skaae); print('tensorflow' in sys.modules, skaae.__version__)")
        == "False 0.1.0\n"
    )
    assert (
        run_python("import skaae; skaae.AdversarialAEDetector; import sys; print('keras' in sys.modules)") == "True\n"
    )
