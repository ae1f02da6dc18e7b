"""The parts of the benchmark on a GPU; a line of JSON for each figure: part, what, value.

python -m benchmarks.speed.gpu_parts PART ... [--small]
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import joblib
import keras
import numpy as np
import tensorflow as tf

from benchmarks.speed.worker import image_networks, images, in_batches, median, seconds, table, table_networks
from skaae import AdversarialAEDetector, FrozenKerasModel

Figures = Iterator[tuple[str, Any]]
PUBLISHED = {"noise": 0.0, "virtual_adversarial": 0.0, "label_change_first": False, "reconstruction_weight": 0.0}
SMALL = "--small" in sys.argv
PEAK_SIZE = 512 if SMALL else 8192


def device() -> Figures:
    """What it runs on."""
    gpus = tf.config.list_physical_devices("GPU")
    details = tf.config.experimental.get_device_details(gpus[0]) if gpus else {}
    yield "device", details.get("device_name", "no GPU")
    yield "TensorFlow, Keras", f"{tf.__version__}, {keras.__version__}"
    yield "processor cores", os.cpu_count()


def agreement() -> Figures:
    """Scores, flags, fits and files on the GPU against those on the CPU."""
    yield from device()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fitted = {kind: fit(kind) for kind in ("table", "images")}
        for kind, detector in fitted.items():
            joblib.dump(detector, folder / f"{kind}.joblib")
        on_cpu(folder)
        for kind, detector in fitted.items():
            yield from compare(kind, detector, np.load(folder / f"{kind}.npz"))
            back = joblib.load(folder / f"{kind}-cpu.joblib").adversarial_score(rows_of(kind))
            reference = np.load(folder / f"{kind}.npz")["score of the file from the CPU"]
            yield f"{kind}: file from the CPU, largest relative difference of a score", difference(back, reference)
    for kind, detector in fitted.items():
        pairs = zip(detector.autoencoder_.get_weights(), fit(kind).autoencoder_.get_weights(), strict=True)
        yield f"{kind}: two fits with one random_state, largest difference of a weight", largest(pairs)
    pairs = zip(*(compiled_fit().autoencoder_.get_weights() for _ in range(2)), strict=True)
    yield "table, compiled by XLA: two fits with one random_state, largest difference of a weight", largest(pairs)
    if tf.config.list_physical_devices("GPU"):
        yield "memory of the GPU in use, peak, GiB", tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**30
        yield "memory growth", tf.config.experimental.get_memory_growth(tf.config.list_physical_devices("GPU")[0])


def compare(kind: str, detector: AdversarialAEDetector, cpu: Any) -> Figures:
    """Scores and flags of one detector on both devices, and of rows alone and among others."""
    rows = rows_of(kind)
    score = detector.adversarial_score(rows)
    yield f"{kind}: largest relative difference of a score", difference(score, cpu["score"])
    yield f"{kind}: rows flagged on one device only", int((detector.predict(rows) != cpu["flag"]).sum())
    alone = np.concatenate([detector.adversarial_score(rows[place : place + 1]) for place in range(20)])
    yield f"{kind}: largest relative difference of a row alone", difference(alone, score[:20])


def on_cpu(folder: Path) -> None:
    """Load, score and fit in a process that sees no GPU."""
    command = [sys.executable, "-m", "benchmarks.speed.gpu_parts", "cpu", str(folder), *(["--small"] if SMALL else [])]
    subprocess.run(command, env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}, check=True)


def cpu_process(folder: Path) -> None:
    for kind in ("table", "images"):
        rows, detector = rows_of(kind), joblib.load(folder / f"{kind}.joblib")
        own = fit(kind)
        joblib.dump(own, folder / f"{kind}-cpu.joblib")
        results = {"score": detector.adversarial_score(rows), "flag": detector.predict(rows)}
        np.savez(folder / f"{kind}.npz", **results, **{"score of the file from the CPU": own.adversarial_score(rows)})


def rows_of(kind: str) -> np.ndarray:
    rows = table() if kind == "table" else images()
    return rows[:600] if SMALL else rows


def fit(kind: str) -> AdversarialAEDetector:
    """A detector with all defaults but few epochs; a network that has seen no data is sure of nothing."""
    model = (table_networks() if kind == "table" else image_networks())[0]
    keras.utils.set_random_seed(0)
    model = keras.models.clone_model(model)
    model.layers[-1].set_weights([10 * weights for weights in model.layers[-1].get_weights()])
    return AdversarialAEDetector(model, epochs=1 if SMALL else 3, random_state=0).fit(rows_of(kind))


def compiled_fit() -> AdversarialAEDetector:
    """A published training of so many steps that a GPU compiles it, which takes seconds for these networks."""
    model, autoencoder = table_networks()
    autoencoder = keras.models.clone_model(autoencoder)
    keras.utils.set_random_seed(0)
    for layer in (*model.layers, *autoencoder.layers):
        layer.set_weights([np.random.normal(scale=0.1, size=weights.shape) for weights in layer.get_weights()])
    detector = detector_of(model, autoencoder=autoencoder, **PUBLISHED)
    return detector.set_params(epochs=1 if SMALL else 12).fit(rows_of("table"))


def difference(values: np.ndarray, reference: np.ndarray) -> float:
    """Largest difference, relative to scores above 1."""
    return float(np.max(np.abs(values - reference) / np.maximum(1, np.abs(reference))))


def largest(pairs: Any) -> float:
    return max(float(np.abs(first - second).max()) for first, second in pairs)


def train_table() -> Figures:
    """Published training beside a bare loop, then a default fit."""
    yield "peak of a matrix product in float32, TFLOP/s", peak()
    yield from against_bare_loop(table()[:2000] if SMALL else table(), table_networks, 128, (10, 110))
    model = FrozenKerasModel(table_networks()[0])
    yield "default fit, seconds", seconds(lambda: detector_of(model).fit(table()))


def train_images() -> Figures:
    yield from against_bare_loop(images()[:192] if SMALL else images(), image_networks, 64, (75, 275))
    model = FrozenKerasModel(image_networks()[0])
    yield "default fit, seconds", seconds(lambda: detector_of(model).fit(images()))


def detector_of(model: Any, **parameters: Any) -> AdversarialAEDetector:
    settings = {"threshold": 0.5, "random_state": 0, **({"epochs": 1} if SMALL else {}), **parameters}
    return AdversarialAEDetector(model, **settings)


def against_bare_loop(
    X: np.ndarray, networks: Callable[[], tuple[keras.Model, keras.Model]], batch_size: int, epochs: tuple[int, int]
) -> Figures:
    """Seconds an epoch of bare loops and of skaae, and what share of the arithmetic's time that is."""
    few, many = (1, 2) if SMALL else epochs
    for compiled in (False, True):
        name = "bare loop, compiled by XLA" if compiled else "bare loop"
        yield f"{name}: milliseconds an epoch", 1000 * bare_epoch(networks(), X, batch_size, compiled)
    model, autoencoder = networks()
    short, long = (
        seconds(lambda n=n: detector_of(model, autoencoder=autoencoder, batch_size=batch_size, **PUBLISHED)
                .set_params(epochs=n).fit(X))
        for n in (few, many)
    )  # fmt: skip
    epoch = (long - short) / (many - few)
    yield "skaae, published training: milliseconds an epoch", 1000 * epoch
    yield f"skaae, published training: seconds of {few} epochs from nothing", short
    yield "skaae, published training: TFLOP/s", len(X) * operations(model, autoencoder) / epoch / 1e12


def bare_epoch(networks: tuple[keras.Model, keras.Model], X: np.ndarray, batch_size: int, compiled: bool) -> float:
    """An epoch of a training loop without Keras' fit, validation, callbacks or history."""
    model, autoencoder = networks
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(autoencoder.trainable_variables)
    rows, targets = tf.constant(X), tf.constant(model.predict(X, batch_size=1000, verbose=0))

    @tf.function(jit_compile=compiled)
    def step(batch: tf.Tensor) -> None:
        x, p = tf.gather(rows, batch), tf.gather(targets, batch)
        with tf.GradientTape() as tape:
            q = model(autoencoder(x, training=True), training=False)
            loss = tf.reduce_mean(keras.losses.kl_divergence(p, q))
        variables = autoencoder.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    @tf.function
    def epoch() -> None:
        order = tf.reshape(tf.random.shuffle(tf.range(len(X)))[: len(X) // batch_size * batch_size], (-1, batch_size))
        for batch in order:
            step(batch)

    def epochs(n: int) -> float:
        for _ in range(n):
            epoch()
        return float(autoencoder.get_weights()[0].sum())  # waits for the device

    epochs(1)
    n = 1 if SMALL else 10
    return seconds(lambda: epochs(n)) / n


def operations(model: keras.Model, autoencoder: keras.Model) -> int:
    """Floating-point operations of a row in a training step: 3 passes through AE, 2 through M, whose targets exist."""
    return 2 * (3 * multiplications(autoencoder) + 2 * multiplications(model))


def multiplications(model: keras.Model) -> int:
    """Of a row, in dense and convolutional layers."""
    total = 0
    for layer in model.layers:
        if not hasattr(layer, "kernel"):
            continue
        transposed = isinstance(layer, keras.layers.Conv2DTranspose)
        places = (layer.input if transposed else layer.output).shape[1:-1]
        total += int(np.prod(layer.kernel.shape)) * int(np.prod(places, dtype=int))
    return total


def peak() -> float:
    """TFLOP/s of a large matrix product, as TensorFlow multiplies by default."""
    factor = tf.random.normal((PEAK_SIZE, PEAK_SIZE))
    product = tf.function(lambda x: tf.reduce_sum(x @ x))
    return 2 * PEAK_SIZE**3 / median(lambda: product(factor).numpy(), 3) / 1e12


def scoring() -> Figures:
    """Rows a second in bulk, in batches and alone; the time of the transfer alone beside it."""
    n_rows = 20_000 if SMALL else 4_000_000
    X = np.tile(table(), (n_rows // 20_000, 1))
    few, bulk = (2, 1) if SMALL else (100, 3)

    def transfer() -> None:
        n_at_once = 2**17
        parts = [tf.reduce_sum(tf.constant(X[start : start + n_at_once])) for start in range(0, len(X), n_at_once)]
        tf.add_n(parts).numpy()

    yield "copy of the rows to the device: million rows a second", len(X) / median(transfer, bulk) / 1e6
    model, autoencoder = table_networks()
    detectors = {
        "published": detector_of(model, autoencoder=autoencoder, **PUBLISHED).set_params(epochs=1),
        "default": detector_of(model).set_params(epochs=1),
    }
    for name, detector in detectors.items():
        detector.fit(X[:2000])
        yield f"{name}: million rows a second", len(X) / median(lambda: detector.adversarial_score(X), bulk) / 1e6  # noqa: B023
        batches = median(lambda: in_batches(Scored(detector), X[:6400]), bulk)  # noqa: B023
        yield f"{name}: milliseconds for a batch of 64", 10 * batches
        yield f"{name}: milliseconds for one row", 1000 * median(lambda: detector.adversarial_score(X[:1]), few)  # noqa: B023


class Scored:
    """What `in_batches` calls."""

    def __init__(self, detector: AdversarialAEDetector) -> None:
        self.score = detector.adversarial_score


def image_set(name: str) -> Figures:
    """A default fit of all images, then accuracies under the attacks of the benchmark of the defense."""
    import logging

    from benchmarks.common.data import load
    from benchmarks.defense import attacks, victims
    from benchmarks.defense.defense import judge_knowing
    from benchmarks.defense.judging import judge_unaware, thresholds_of
    from benchmarks.defense.methods import skaae

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    split = few_images() if SMALL else load(name)
    model, duration = timed(lambda: victims.train(split, 0) if SMALL else victims.network(name, split, 0))
    yield "M: seconds to train it, or to load it from the cache", duration
    fitted = skaae(model, split, 0, **({"epochs": 1} if SMALL else {}))
    yield f"default fit of {len(split.X_train)} images: seconds", fitted.seconds
    clean = next(judge_unaware(fitted, model, split, {}, slice(0)))
    yield "clean: accuracy without the defense", clean["without"]
    yield "clean: accuracy after correct", clean["corrected"]
    thresholds, rows = thresholds_of(fitted, model, split), slice(100)
    for attack_name, (attack, size) in list(attacks.UNAWARE["image"].items())[: 1 if SMALL else None]:
        tf.random.set_seed(0)
        moved = {attack_name: attacks.run(attack, model, split, rows, size)}
        line = list(judge_unaware(fitted, model, split, moved, rows))[-1]
        yield f"{attack_name}: accuracy without the defense", line["without"]
        yield f"{attack_name}: accuracy after correct", line["corrected"]
    for line in () if SMALL else judge_knowing(fitted, model, split, thresholds):
        yield f"{line['attack']}: accuracy after correct", line["corrected"]


def few_images() -> Any:
    """Noise of the size of MNIST's images, so that a test needs no data."""
    from benchmarks.common.data import Split

    random = np.random.default_rng(0)
    X, y = random.random((256, 28, 28, 1), dtype=np.float32), random.permutation(np.arange(256) % 10)
    return Split(X, y, X[:100], X[:100], y[:100], (0.0, 1.0))


def timed(call: Callable[[], Any]) -> tuple[Any, float]:
    """What it returns, and the seconds that it takes."""
    start = time.perf_counter()
    return call(), time.perf_counter() - start


def precision() -> Figures:
    """Milliseconds a step on images of MNIST's size, with Keras' mixed precision and without; XLA compiles none."""
    X = np.random.default_rng(0).random((512 if SMALL else 16_384, 28, 28, 1), dtype=np.float32)
    options = {"padding": "same", "activation": "relu", "strides": 2}
    convolutions = [keras.layers.Conv2D(filters, 3, **options) for filters in (32, 64)]
    model = keras.Sequential(
        [keras.Input((28, 28, 1)), *convolutions, keras.layers.Flatten(), keras.layers.Dense(10, "softmax")]
    )
    for batch_size in (128,) if SMALL else (128, 2048):
        for policy in ("float32", "mixed_bfloat16"):
            milliseconds = 1000 * step_under(policy, model, X, batch_size)
            yield f"batches of {batch_size}, {policy}: milliseconds a step", milliseconds


def step_under(policy: str, model: keras.Model, X: np.ndarray, batch_size: int) -> float:
    """Seconds of a step, from the second epoch on: the first includes all compilation."""
    ends: list[float] = []
    clock = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: ends.append(time.perf_counter()))
    keras.config.set_dtype_policy(policy)
    try:
        detector_of(model, batch_size=batch_size).set_params(epochs=2 if SMALL else 3, callbacks=[clock]).fit(X)
    finally:
        keras.config.set_dtype_policy("float32")
    return (ends[-1] - ends[0]) / (len(ends) - 1) / -(-len(X) // batch_size)


def full_memory() -> Figures:
    """The error of a fit on a device that has no memory left: on a GPU, which is given 64 MiB here."""
    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        yield "error where the device is full", "no GPU"
        return
    limit = tf.config.LogicalDeviceConfiguration(memory_limit=64)
    tf.config.set_logical_device_configuration(gpus[0], [limit])
    try:
        detector_of(table_networks()[0], batch_size=20_000, epochs=2).fit(table())
    except MemoryError as error:
        yield "error where the device is full", f"MemoryError: {error}"
    else:
        yield "error where the device is full", "none: the fit found memory enough"


PARTS: dict[str, Callable[[], Figures]] = {
    "agreement": agreement,
    "memory": full_memory,
    "precision": precision,
    "mnist": lambda: image_set("mnist"),
    "fashion": lambda: image_set("fashion"),
    "table": train_table,
    "images": train_images,
    "scoring": scoring,
}


def main() -> None:
    warnings.simplefilter("ignore")
    names = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    if names[0] == "cpu":
        cpu_process(Path(names[1]))
        return
    for name in names:
        start = time.perf_counter()
        try:
            for what, value in PARTS[name]():
                print(json.dumps([name, what, value]), flush=True)
        except Exception as error:  # the other parts go on; the page shows the error
            traceback.print_exc()
            print(
                json.dumps([name, "error", f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]]), flush=True
            )
        print(json.dumps([name, "seconds of this part", time.perf_counter() - start]), flush=True)


if __name__ == "__main__":
    main()
