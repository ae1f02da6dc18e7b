"""Times the work of one package in the environment that runs it; a line of JSON for each result.

    python -m benchmarks.speed.worker skaae
    .venv-peers/bin/python benchmarks/speed/worker.py alibi-detect

The same networks and the same numbers for both. The first training of the process includes all compilation.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterator

import keras
import numpy as np
import tensorflow as tf

layers = keras.layers
Timed = Iterator[tuple[str, float]]
REPEATS = {"one row": 300, "batches": 5, "rows": 15, "images": 5}


def table() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(20_000, 30)).astype(np.float32)


def images() -> np.ndarray:
    return np.random.default_rng(0).random((1280, 32, 32, 3), dtype=np.float32)


def table_networks() -> tuple[keras.Model, keras.Model]:
    """M 64-64-5 and AE 64-16-64."""
    dense = layers.Dense
    model = keras.Sequential([keras.Input((30,)), dense(64, "relu"), dense(64, "relu"), dense(5, "softmax")])
    return model, keras.Sequential([keras.Input((30,)), dense(64, "relu"), dense(16), dense(64, "relu"), dense(30)])


def image_networks() -> tuple[keras.Model, keras.Model]:
    """A small convolutional M, and the autoencoder of the paper for CIFAR-10."""
    options = {"kernel_size": 4, "strides": 2, "padding": "same", "kernel_regularizer": keras.regularizers.L1(1e-5)}
    encoder = [layers.Conv2D(filters, activation="relu", **options) for filters in (32, 64, 256)]
    decoder = [layers.Conv2DTranspose(filters, activation="relu", **options) for filters in (256, 64)]
    code = [layers.Flatten(), layers.Dense(40), layers.Dense(4 * 4 * 128, "relu"), layers.Reshape((4, 4, 128))]
    autoencoder = [*encoder, *code, *decoder, layers.Conv2DTranspose(3, **options)]
    convolutions = [layers.Conv2D(32, 3, strides=2, activation="relu") for _ in range(2)]
    model = [*convolutions, layers.Flatten(), layers.Dense(10, "softmax")]
    return tuple(keras.Sequential([keras.Input((32, 32, 3)), *parts]) for parts in (model, autoencoder))


class Skaae:
    """What is timed of skaae: the published training."""

    def __init__(self, networks: tuple[keras.Model, keras.Model], batch_size: int, **parameters) -> None:
        from skaae import AdversarialAEDetector

        plain = {"noise": 0.0, "virtual_adversarial": 0.0, "label_change_first": False}
        settings = {"batch_size": batch_size, "threshold": 0.5, "random_state": 0, **plain, **parameters}
        self.detector = AdversarialAEDetector(networks[0], autoencoder=networks[1], **settings)

    def fit(self, X: np.ndarray, epochs: int) -> None:
        self.detector.set_params(epochs=epochs).fit(X)

    def score(self, X: np.ndarray) -> np.ndarray:
        return self.detector.score_samples(X)


class AlibiDetect:
    """The same of alibi-detect."""

    def __init__(self, networks: tuple[keras.Model, keras.Model], batch_size: int) -> None:
        from alibi_detect.ad import AdversarialAE

        self.batch_size = batch_size
        self.detector = AdversarialAE(threshold=0.5, model=networks[0], ae=networks[1])

    def fit(self, X: np.ndarray, epochs: int) -> None:
        self.detector.fit(X, epochs=epochs, batch_size=self.batch_size, verbose=False)

    def score(self, X: np.ndarray) -> np.ndarray:
        return self.detector.score(X)


PACKAGES = {"skaae": Skaae, "alibi-detect": AlibiDetect}


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def median(work: Callable[[], object], repeats: int) -> float:
    work()
    return statistics.median(seconds(work) for _ in range(repeats))


def per_epoch(package: Skaae | AlibiDetect, X: np.ndarray, few: int, many: int) -> float:
    """Steady state: what the additional epochs take."""
    first = seconds(lambda: package.fit(X, few))
    return (seconds(lambda: package.fit(X, many)) - first) / (many - few)


def time_table(make: type) -> Timed:
    X, package = table(), make(table_networks(), 128)
    yield "train table, 3 epochs from nothing", seconds(lambda: package.fit(X, 3))
    yield "train table, an epoch", per_epoch(package, X, 1, 3 if make is AlibiDetect else 31)
    yield "score 20,000 rows", median(lambda: package.score(X), REPEATS["rows"])
    yield "score 100 batches of 64", median(lambda: in_batches(package, X[:6400]), REPEATS["batches"])
    yield "score one row", median(lambda: package.score(X[:1]), REPEATS["one row"])


def in_batches(package: Skaae | AlibiDetect, X: np.ndarray) -> None:
    for start in range(0, len(X), 64):
        package.score(X[start : start + 64])


def time_images(make: type) -> Timed:
    X, package = images(), make(image_networks(), 64)
    yield "train images, an epoch", per_epoch(package, X, 1, 6)
    yield "score 1,280 images", median(lambda: package.score(X), REPEATS["images"])


def time_skaae_alone() -> Timed:
    """What has no counterpart: a bare loop, perturbed training, a Pipeline."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X = table()
    yield "train table, an epoch, bare TensorFlow", bare_epoch(X)
    defaults = {"noise": 0.1, "virtual_adversarial": 0.3, "label_change_first": True}
    yield "train table, an epoch, perturbed", per_epoch(Skaae(table_networks(), 128, **defaults), X, 1, 11)
    package = Skaae(table_networks(), 128)
    package.detector.set_params(epochs=1)
    pipeline = make_pipeline(StandardScaler(), package.detector).fit(X)
    yield "Pipeline.predict, one row", median(lambda: pipeline.predict(X[:1]), REPEATS["one row"])


def time_search() -> Timed:
    """GridSearchCV over 20 percentiles and 3 folds against the 4 trainings that it needs, with all defaults."""
    import tempfile

    from sklearn.model_selection import GridSearchCV

    from skaae import AdversarialAEDetector

    X, model = table()[:5000], table_networks()[0]
    grid = {"threshold_percentile": np.linspace(80, 99, 20)}
    yield "4 fits", seconds(lambda: [AdversarialAEDetector(model, random_state=0).fit(X) for _ in range(4)])
    with tempfile.TemporaryDirectory() as folder:
        detector = AdversarialAEDetector(model, random_state=0, memory=folder)
        search = GridSearchCV(detector, grid, cv=3, scoring=lambda fitted, rows, y=None: fitted.predict(rows).mean())
        yield "GridSearchCV, 20 percentiles x 3 folds", seconds(lambda: search.fit(X))


def bare_epoch(X: np.ndarray, epochs: int = 20) -> float:
    """An epoch of a training loop without validation, callbacks, history or Keras' fit."""
    model, autoencoder = table_networks()
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(autoencoder.trainable_variables)
    rows, targets = tf.constant(X), tf.constant(model.predict(X, batch_size=1000, verbose=0))

    @tf.function
    def epoch() -> None:
        order = tf.reshape(tf.random.shuffle(tf.range(len(X)))[: len(X) // 128 * 128], (-1, 128))
        for batch in order:
            x, p = tf.gather(rows, batch), tf.gather(targets, batch)
            with tf.GradientTape() as tape:
                q = model(autoencoder(x, training=True), training=False)
                loss = tf.reduce_mean(keras.losses.kl_divergence(p, q))
            variables = autoencoder.trainable_variables
            optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    epoch()
    return seconds(lambda: [epoch() for _ in range(epochs)]) / epochs


def main() -> None:
    warnings.simplefilter("ignore")
    name = sys.argv[1]
    keras.utils.set_random_seed(0)
    parts = [time_search()] if name == "search" else [time_table(PACKAGES[name]), time_images(PACKAGES[name])]
    if name == "skaae":
        parts.append(time_skaae_alone())
    for part in parts:
        for work, taken in part:
            print(json.dumps([work, taken]), flush=True)


if __name__ == "__main__":
    main()
