"""What is compared: skaae, the published method, and simpler or older ideas, with one face each."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.ensemble import IsolationForest

from benchmarks.common.data import Split
from benchmarks.common.peers import Peer
from skaae import AdversarialAEDetector, FrozenKerasModel

# The training of the published method, of alibi-detect and of the mean squared error.
PLAIN_BATCH_SIZE, PLAIN_STEPS, MOST_PLAIN_EPOCHS = 128, 7000, 100
# On images they train for fewer steps: alibi-detect takes a minute for 500 of them.
PLAIN_STEPS_ON_IMAGES = 1200
PUBLISHED = {"noise": 0.0, "virtual_adversarial": 0.0, "label_change_first": False, "reconstruction_weight": 0.0}
PERCENTILE = 95


@dataclass
class Fitted:
    """A method after training: scores, the labels that it would give instead, and its autoencoder."""

    score: Callable[[np.ndarray], np.ndarray]
    repaired_labels: Callable[[np.ndarray], np.ndarray] | None = None
    autoencoder: keras.Model | None = None
    seconds: float = 0.0


def skaae(model: keras.Model, split: Split, seed: int, **parameters) -> Fitted:
    """AdversarialAEDetector; rows that it has not seen set the threshold."""
    start = time.perf_counter()
    classifier = FrozenKerasModel(model, from_logits=True) if isinstance(model, keras.Model) else model
    detector = AdversarialAEDetector(classifier, threshold=1.0, random_state=seed, **parameters).fit(split.X_train)
    seconds = time.perf_counter() - start
    return Fitted(detector.adversarial_score, lambda X: detector.correct(X).defense, detector.autoencoder_, seconds)


def published(model: keras.Model, split: Split, seed: int, **parameters) -> Fitted:
    """The method of the paper: without perturbations nothing but a narrow code keeps AE from copying."""
    shape = {
        "autoencoder": narrow if not split.is_image else None,
        "epochs": plain_epochs(split),
        "batch_size": PLAIN_BATCH_SIZE,
    }
    return skaae(model, split, seed, **{**shape, **PUBLISHED, **parameters})


def plain_epochs(split: Split) -> int:
    """Epochs of the published method, of alibi-detect and of the mean squared error."""
    steps = PLAIN_STEPS_ON_IMAGES if split.is_image else PLAIN_STEPS
    return min(MOST_PLAIN_EPOCHS, math.ceil(steps / math.ceil(len(split.X_train) / PLAIN_BATCH_SIZE)))


def alibi_detect(model: keras.Model, split: Split, seed: int) -> Fitted:
    """AdversarialAE of alibi-detect: the network, first weights, rows and epochs of `published`."""
    autoencoder = published(model, split, seed, epochs=0).autoencoder
    peer = Peer("peer_alibi.py", model, autoencoder, split.X_train, plain_epochs(split), seed)
    return Fitted(peer.score, peer.repaired_labels, autoencoder, peer.seconds)


def mean_squared_error(model: keras.Model, split: Split, seed: int) -> Fitted:
    """An autoencoder of the inputs with the same score: MagNet's idea."""
    return published(model, split, seed, divergence_weight=0.0, reconstruction_weight=1.0)


def narrow(shape: tuple[int, ...]) -> keras.Model:
    dense = keras.layers.Dense
    side = [dense(128, activation="relu"), dense(max(2, shape[0] // 2)), dense(128, activation="relu")]
    return keras.Sequential([keras.Input(shape), *side, dense(*shape)], name="narrow")


def isolation_forest(model: keras.Model, split: Split, seed: int) -> Fitted:
    flat = lambda X: X.reshape(len(X), -1)  # noqa: E731
    start = time.perf_counter()
    forest = IsolationForest(random_state=seed).fit(flat(split.X_train))
    return Fitted(lambda X: -forest.score_samples(flat(X)), seconds=time.perf_counter() - start)


def maximum_probability(model: keras.Model, split: Split, seed: int) -> Fitted:
    return Fitted(lambda X: -probabilities(model, X).max(axis=1))


def feature_squeezing(model: keras.Model, split: Split, seed: int) -> Fitted:
    """Fewer bits and a median filter, from ART: the larger L1 distance between the predictions."""
    from art.defenses.preprocessor import FeatureSqueezing, SpatialSmoothing

    squeezers = FeatureSqueezing(clip_values=split.bounds, bit_depth=1), SpatialSmoothing(window_size=2)
    squeezed = lambda X: [np.asarray(squeezer(X)[0], np.float32) for squeezer in squeezers]  # noqa: E731

    def score(X: np.ndarray) -> np.ndarray:
        given = probabilities(model, X)
        return np.max([np.abs(given - probabilities(model, rows)).sum(axis=1) for rows in squeezed(X)], axis=0)

    return Fitted(score, lambda X: probabilities(model, squeezed(X)[1]).argmax(axis=1))


def probabilities(model: keras.Model | ClassifierMixin, X: np.ndarray) -> np.ndarray:
    """Of a Keras network, which gives logits, or of a scikit-learn classifier."""
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(X), np.float64)
    return softmax(model.predict(X, verbose=0, batch_size=1000).astype(np.float64), axis=1)


def labels(model: keras.Model | ClassifierMixin, X: np.ndarray) -> np.ndarray:
    """The most probable class, which is its label: classes are numbered from 0."""
    return probabilities(model, X).argmax(axis=1)


METHODS = {
    "skaae": skaae,
    "published method": published,
    "alibi-detect 0.13": alibi_detect,
    "mean squared error": mean_squared_error,
    "isolation forest": isolation_forest,
    "maximum probability": maximum_probability,
    "feature squeezing": feature_squeezing,
}
ONLY_IMAGES = ("feature squeezing",)
