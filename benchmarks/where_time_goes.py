"""The parts of one score of one row, and of one epoch of training, timed apart: results/parts.csv.

python benchmarks/where_time_goes.py
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf
from speed_worker import Skaae, bare_epoch, median, per_epoch, table, table_networks

from skaae._training import shuffled_batches

RESULTS = Path(__file__).parent / "results" / "parts.csv"
EPOCHS = 20


def main() -> None:
    X = table()
    parts = {**of_one_row(X), **of_one_epoch(X)}
    found = pd.Series(parts, name="milliseconds") * 1000
    found.rename_axis("part").to_csv(RESULTS, float_format="%.4f")
    print(found.round(3).to_string())


def of_one_row(X: np.ndarray) -> dict[str, float]:
    package = Skaae(table_networks(), 128)
    package.fit(X[:2000], 1)
    detector, row = package.detector, X[:1]
    network = detector._scorer
    padded = np.zeros((network.batch_size, X.shape[1]), np.float32)
    tensor = tf.constant(padded)
    works = {
        "one row: all of it": lambda: detector.score_samples(row),
        "one row: scikit-learn's checks": lambda: detector._checked(row),
        "one row: the graph": lambda: network._graph(tensor),
        "one row: of that, TensorFlow's call of a function that does nothing": empty_call(tensor),
        "one row: to a tensor": lambda: tf.convert_to_tensor(padded),
    }
    return {name: median(work, 1000) for name, work in works.items()}


def empty_call(tensor: tf.Tensor):
    function = tf.function(lambda x: x, autograph=False).get_concrete_function(tf.TensorSpec(tensor.shape, tf.float32))
    return lambda: function(tensor)


def of_one_epoch(X: np.ndarray) -> dict[str, float]:
    logits = np.zeros((len(X), 5), np.float32)

    @tf.function
    def iterate(batches: tf.data.Dataset) -> tf.Tensor:
        return batches.reduce(0.0, lambda total, batch: total + batch[0][0, 0])

    batches = shuffled_batches([X, logits], 128, EPOCHS, seed=0)
    return {
        "an epoch: all of it": per_epoch(Skaae(table_networks(), 128), X, 1, 1 + EPOCHS),
        "an epoch: batches alone": median(lambda: iterate(batches), 3) / EPOCHS,
        "an epoch: a bare loop, without Keras' fit": bare_epoch(X),
    }


if __name__ == "__main__":
    main()
