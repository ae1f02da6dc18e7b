import subprocess
import sys

import pytest

FORKED = """
import multiprocessing, warnings
import keras, numpy as np
from joblib import Parallel, delayed
from skaae import AdversarialAEDetector

X = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
detector = AdversarialAEDetector(model, epochs=1, random_state=0).fit(X)

def message(work):
    try:
        work(X)
    except RuntimeError as error:
        return str(error)

def score(_):
    return message(detector.score_samples)

def fit(_):
    return message(detector.fit)

if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Python's own word against forking beside threads
    with multiprocessing.get_context("fork").Pool(1) as pool:
        print(pool.map_async(score, [0]).get(timeout=60)[0])
        print(pool.map_async(fit, [0]).get(timeout=60)[0])
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
    assert len(lines) == 3, found.stderr[-2000:]
    assert all(line.startswith("This process was forked after TensorFlow had been used") for line in lines[:2])
    assert lines[2] == "loky gives the same"
