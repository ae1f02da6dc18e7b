"""The classifiers that are attacked, each trained once and kept in the cache."""

from __future__ import annotations

import keras
import numpy as np

from benchmarks.common.data import CACHE, Split

layers = keras.layers


def network(name: str, split: Split, seed: int) -> keras.Model:
    """The Keras network of a data set, with logits as its outputs."""
    path = CACHE / "victims" / f"{name}-{seed}.keras"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        model = train(split, seed)
        temporary = path.with_suffix(".part.keras")
        model.save(temporary)
        temporary.rename(path)
    return keras.models.load_model(path)


def train(split: Split, seed: int) -> keras.Model:
    """Train the network of a data set, without the cache."""
    keras.utils.set_random_seed(seed)
    n_classes = int(split.y_train.max()) + 1
    build = _convolutional if split.is_image else _dense
    model = build(split.X_train.shape[1:], n_classes)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    epochs = 25 if not split.is_image else 15 if len(split.X_train) < 10_000 else 5
    model.fit(split.X_train, split.y_train, epochs=epochs, batch_size=64 if split.is_image else 128, verbose=0)
    return model


def _dense(shape: tuple[int, ...], n_classes: int) -> keras.Model:
    hidden = [layers.Dense(units, activation="relu") for units in (128, 64)]
    return keras.Sequential([keras.Input(shape), *hidden, layers.Dense(n_classes)])


def _convolutional(shape: tuple[int, ...], n_classes: int) -> keras.Model:
    blocks = []
    for filters in (32, 64):
        blocks += [layers.Conv2D(filters, 3, padding="same", activation="relu"), layers.MaxPool2D()]
    head = [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.3), layers.Dense(n_classes)]
    return keras.Sequential([keras.Input(shape), *blocks, *head])


def accuracy(model: keras.Model, X: np.ndarray, y: np.ndarray) -> float:
    return float(np.mean(model.predict(X, verbose=0, batch_size=1000).argmax(axis=1) == y))
