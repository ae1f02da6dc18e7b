import pickle
import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skaae import AdversarialAEDetector

FORKED = """
import multiprocessing, pickle, warnings
import keras, numpy as np
from joblib import Parallel, delayed
from sklearn.linear_model import LogisticRegression
from skaae import AdversarialAEDetector, CorrectedClassifier
from skaae.robustness import robust_accuracy_scorer

X = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
detector = AdversarialAEDetector(model, epochs=1, random_state=0).fit(X)
file = pickle.dumps(detector)

def message(work):
    try:
        work(X)
    except RuntimeError as error:
        return str(error)

def score(_):
    return message(detector.score_samples)

def fit(_):
    return message(detector.fit)

def load(_):
    return message(lambda X: pickle.loads(file))

def fit_corrected(_):
    corrected = CorrectedClassifier(AdversarialAEDetector(LogisticRegression()))
    return message(lambda X: corrected.fit(X, X[:, 0] > 0))

def attack(_):
    return message(lambda X: robust_accuracy_scorer("fast")(detector, X, X[:, 0] > 0))

if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Python's own word against forking beside threads
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for work in (score, fit, load, fit_corrected, attack):
            print(pool.map_async(work, [0]).get(timeout=60)[0])
    same = Parallel(n_jobs=2)(delayed(detector.score_samples)(X) for _ in range(2))
    assert all((found == detector.score_samples(X)).all() for found in same)
    print("loky gives the same")
"""


@pytest.mark.slow
def test_a_forked_process_says_so_and_loky_works(tmp_path):
    (tmp_path / "script.py").write_text(FORKED)
    command = [sys.executable, tmp_path / "script.py"]
    found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    lines = found.stdout.splitlines()
    assert len(lines) == 6, found.stderr[-2000:]
    assert all(line.startswith("This process was forked after TensorFlow had been used") for line in lines[:5])
    assert lines[5] == "loky gives the same"


LOADED = """
import multiprocessing, pickle, sys, warnings
from pathlib import Path

detector = pickle.loads(Path(sys.argv[1]).read_bytes())  # nothing is scored here

def score(_):
    try:
        return detector.predict([[0.0, 0.0, 0.0]] * 1000)
    except RuntimeError as error:
        return str(error)

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(pool.map_async(score, [0]).get(timeout=60)[0])
"""


@pytest.mark.slow
def test_a_process_forked_after_a_file_was_loaded_says_so(tmp_path):
    X = np.random.default_rng(0).normal(size=(200, 3))
    classifier = LogisticRegression().fit(X, X[:, 0] > 0)
    detector = AdversarialAEDetector(classifier, epochs=1, random_state=0).fit(X)
    (tmp_path / "detector.pickle").write_bytes(pickle.dumps(detector))
    (tmp_path / "script.py").write_text(LOADED)
    command = [sys.executable, tmp_path / "script.py", tmp_path / "detector.pickle"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert run.stdout.startswith("This process was forked after TensorFlow had been used"), run.stderr[-2000:]


@pytest.mark.slow
def test_a_process_forked_before_tensorflow_runs_works():
    script = """
import os, sys
from skaae import AdversarialAEDetector
from skaae._keras.processes import check_not_forked
if not (child := os.fork()):
    check_not_forked()
    import tensorflow as tf
    os._exit(int(tf.reduce_sum(tf.ones(3))))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert run.returncode == 3, run.stderr[-2000:]
