"""The Square attack of ART, which needs no gradient, on images and on tables."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np

from benchmarks.common.data import Split

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "PyTorch not found")
    from art.attacks.evasion import SquareAttack
    from art.estimators.classification.blackbox import BlackBoxClassifierNeuralNetwork

ITERATIONS = 1000
# Share of the features that the first step moves. ART's default of 0.8 leaves small tables no place for its square.
FIRST_SHARE = 0.5


def attack(
    predict: Callable[[np.ndarray], np.ndarray],
    split: Split,
    n_rows: int,
    size: float,
    seed: int,
    iterations: int | None = None,
) -> np.ndarray:
    """The first rows of the test set, moved by at most `size` in each feature.

    `predict` gives probabilities. Without a number of iterations there are `ITERATIONS`.
    """
    X, shape = split.X_test[:n_rows], split.X_test.shape[1:]
    images = X if split.is_image else as_images(X)
    victim = BlackBoxClassifierNeuralNetwork(
        lambda rows: predict(rows if split.is_image else as_rows(rows, *shape)),
        input_shape=images.shape[1:],
        nb_classes=int(split.y_train.max()) + 1,
        channels_first=False,
        clip_values=split.bounds,
    )
    options = {"max_iter": iterations or ITERATIONS, "p_init": FIRST_SHARE, "batch_size": n_rows, "verbose": False}
    search = SquareAttack(victim, eps=size, **options)
    np.random.seed(seed)
    found = search.generate(images, split.y_test[:n_rows])
    return found if split.is_image else as_rows(found, *shape)


def as_images(X: np.ndarray) -> np.ndarray:
    """Rows of a table as square images; one line and one column more, which ART's squares never reach."""
    side = math.ceil(math.sqrt(X.shape[1]))
    filled = np.pad(X, [(0, 0), (0, side**2 - X.shape[1])]).reshape(-1, side, side, 1)
    return np.pad(filled, [(0, 0), (0, 1), (0, 1), (0, 0)])


def as_rows(images: np.ndarray, n_features: int) -> np.ndarray:
    """The rows back."""
    return images[:, :-1, :-1].reshape(len(images), -1)[:, :n_features]
