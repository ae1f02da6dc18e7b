"""Scores, corrections and a search over two worker processes of Dask: the code of docs/scale.md, run."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import dask.array
import dask.dataframe
import keras
import numpy as np
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster
from sklearn.datasets import load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from skaae import AdversarialAEDetector, CorrectedClassifier
from skaae.metrics import corrected_accuracy

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parent.parent / "docs" / "scale.md").read_text()
MEMORY_LIMIT = 1.5 * 2**30


@pytest.fixture(scope="module", autouse=True)
def client():
    # Any free port: two processes of pytest may have a cluster at once.
    settings = {"n_workers": 2, "threads_per_worker": 1, "memory_limit": MEMORY_LIMIT, "dashboard_address": ":0"}
    with LocalCluster(**settings) as cluster, Client(cluster) as client:
        yield client


def code_of(title):
    return re.search(rf"\*\*{title}.*?```python\n(.*?)```", PAGE, re.S)[1]


def fit(n_features):
    """A detector whose score of a wide row is quick."""
    X = np.random.default_rng(0).random((200, n_features), dtype=np.float32)
    classifier = FrozenEstimator(LogisticRegression().fit(X, X[:, 0] > 0.5))
    autoencoder = keras.Sequential([keras.Input((n_features,)), keras.layers.Dense(2), keras.layers.Dense(n_features)])
    return AdversarialAEDetector(classifier, autoencoder=autoencoder, epochs=1, random_state=0).fit(X)


def test_array_larger_than_a_worker():
    X = dask.array.random.default_rng(0).random((420_000, 1000), dtype=np.float32, chunks=(20_000, -1))
    assert X.nbytes > MEMORY_LIMIT
    found = {"X": X, "detector": fit(1000)}
    exec(code_of("Dask arrays"), found)
    assert found["scores"].shape == (420_000,)
    last = X.blocks[-1].compute()
    np.testing.assert_array_equal(found["scores"][-len(last) :], found["detector"].score_samples(last))


def test_data_frame():
    frame = pd.DataFrame(np.random.default_rng(1).random((1000, 3), dtype=np.float32), columns=["a", "b", "c"])
    detector = fit(3)
    detector.fit(frame)
    rows = dask.dataframe.from_pandas(frame, npartitions=4)
    nothing = rows.partitions[0][rows.partitions[0]["a"] > 2]
    found = {"frame": dask.dataframe.concat([nothing, rows]), "detector": detector}
    exec(code_of("Dask DataFrames"), found)
    expected = detector.correct(frame)
    assert expected.is_adversarial.any()
    for name, values in expected.items():
        np.testing.assert_array_equal(found["corrected"][name], values)
    found["frame"] = found["frame"][["b", "a", "c"]]
    with pytest.raises(ValueError, match="in the same order as they were in fit"):
        exec(code_of("Dask DataFrames"), found)


def test_search():
    X, y = load_iris(return_X_y=True)
    detector = AdversarialAEDetector(LogisticRegression(max_iter=500), epochs=1, random_state=0)
    grid = {"detector__threshold_percentile": [80, 90]}
    search = GridSearchCV(CorrectedClassifier(detector), grid, cv=2, scoring=corrected_accuracy)
    found = {"search": search, "X": X, "y": y}
    exec(code_of("Searches"), found)
    alone = search.best_estimator_.predict(X)
    np.testing.assert_array_equal(search.fit(X, y).predict(X), alone)


def test_benchmark_of_rows_on_disk():
    command = [sys.executable, "-m", "benchmarks.speed.large", "--rows", "1000"]
    found = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]).stdout
    assert re.search(r"^memory map, one process: \d", found, re.M)
    assert re.search(r"^Parquet, two workers: \d", found, re.M)


def test_a_device_for_each_worker(tmp_path, monkeypatch):
    """The commands of the page: each worker sees the device of its own, and scores as this process does."""
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    commands = re.search(r"\*\*A device for each worker.*?```bash\n(.*?)```", PAGE, re.S)[1].replace("8786", str(port))
    processes = [
        subprocess.Popen(f"exec env {command}", shell=True, cwd=tmp_path, stderr=subprocess.DEVNULL)
        for command in commands.splitlines()
    ]
    try:
        with Client(f"tcp://localhost:{port}", timeout=120, set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
            assert sorted(client.run(os.getenv, "CUDA_VISIBLE_DEVICES").values()) == ["0", "1"]
            detector, X = fit(3), np.random.default_rng(1).random((100, 3), dtype=np.float32)
            for scores in client.run(detector.score_samples, X).values():
                np.testing.assert_array_equal(scores, detector.score_samples(X))
    finally:
        for process in processes:
            process.terminate()
            process.wait()
