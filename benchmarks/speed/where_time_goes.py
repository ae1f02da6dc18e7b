"""The parts of a score of one row and of many, and of one epoch of training, timed apart: results/parts.csv.

python -m benchmarks.speed.where_time_goes
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path

import numpy as np
import pandas as pd
import tensorflow as tf

from benchmarks.speed.worker import Skaae, bare_epoch, median, per_epoch, table, table_networks
from skaae._keras.row_function import Graph
from skaae._training.batches import shuffled_batches

RESULTS = Path(__file__).parent / "results" / "parts.csv"
EPOCHS = 20


def main() -> None:
    X = table()
    parts = {**of_one_row(X), **of_many_rows(X), **of_one_epoch(X)}
    found = pd.Series(parts, name="milliseconds") * 1000
    found.rename_axis("part").to_csv(RESULTS, float_format="%.4f")
    print(found.round(3).to_string())


def of_one_row(X: np.ndarray) -> dict[str, float]:
    package = Skaae(table_networks(), 128)
    package.fit(X[:2000], 1)
    detector, row = package.detector, X[:1]
    network = detector._scorer
    padded = network._padded(row)
    nothing = Graph(lambda x: {"x": x}, X.shape[1:])
    works = {
        "one row: all of it": lambda: detector.score_samples(row),
        "one row: scikit-learn's checks": lambda: detector._checked(row),
        "one row: the graph, on a batch of 96": lambda: network._graph.call_in_this_thread(padded),
        "one row: of that, TensorFlow's call of a function that does nothing": lambda: nothing.call_in_this_thread(
            padded
        ),
    }
    return {name: median(work, 1000) for name, work in works.items()}


def of_many_rows(X: np.ndarray) -> dict[str, float]:
    """All of it beside the arithmetic that nothing can leave out: x' = AE(x), then M(x) and M(x')."""
    package = Skaae(table_networks(), 128)
    package.fit(X[:2000], 1)
    model, autoencoder = ([tf.constant(w) for w in network.get_weights()[::2]] for network in table_networks())

    @tf.function
    def products(x: tf.Tensor) -> list[tf.Tensor]:
        return [product(x, model), product(product(x, autoencoder), model)]

    rows = tf.constant(X)
    return {
        "20,000 rows: all of it": median(lambda: package.score(X), 20),
        "20,000 rows: the matrix products alone": median(lambda: products(rows), 20),
    }


def product(x: tf.Tensor, weights: list[tf.Tensor]) -> tf.Tensor:
    for each in weights:
        x = x @ each
    return x


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
