"""
======================
Train with two workers
======================

Each worker computes half of every batch, and both end with the same detector. In this example, the workers are two
processes on one machine. On a cluster, start this script once on each machine. Its environment variable ``TF_CONFIG``
must list all machines and say which of them this one is.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

N_WORKERS = 2


def train(path):
    """Train in one worker."""
    import tensorflow as tf

    # This must come before any other use of TensorFlow. It waits for the other workers.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    import joblib

    worker = strategy.cluster_resolver.task_id
    with strategy.scope():
        detector, X = fit()
    print(f"worker {worker}: loss {detector.history_['loss'][-1]:.5f}", flush=True)
    if worker == 0:
        joblib.dump(detector, path)
        print(f"worker 0: {(detector.predict(X) == -1).sum()} of {len(X)} rows flagged", flush=True)


def fit():
    """Fit the detector, in the same way as on one machine."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.frozen import FrozenEstimator
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from skaae import AdversarialAEDetector

    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    classifier = FrozenEstimator(LogisticRegression().fit(X, y))
    # Each worker computes 64 rows of a batch, as many as one machine has by default.
    settings = {"noise": 0, "virtual_adversarial": 0, "batch_size": 64 * N_WORKERS, "epochs": 5}
    return AdversarialAEDetector(classifier, **settings, random_state=0).fit(X), X


def main():
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(N_WORKERS)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detector.joblib"
        workers = [start(addresses, index, path) for index in range(N_WORKERS)]
        exit_codes = [worker.wait() for worker in workers]
        if any(exit_codes):
            sys.exit("a worker has failed")

        import joblib

        found = joblib.load(path)
    alone, X = fit()
    print(f"one process: loss {alone.history_['loss'][-1]:.5f}")
    print(f"same verdict: {(found.predict(X) == alone.predict(X)).mean():.1%} of the rows")


def start(addresses, index, path):
    """Start one worker in a process of its own."""
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
    environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
    return subprocess.Popen([sys.executable, __file__, str(path)], env=environment)


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


if __name__ == "__main__":
    train(sys.argv[1]) if len(sys.argv) > 1 else main()
