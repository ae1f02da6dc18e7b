"""Rows that every float holds exactly, and a detector of them that is hardly trained, for the tests of odd input."""

import keras
import numpy as np

from skaae import AdversarialAEDetector

N_FEATURES = 4
NAMES = ["a", "b", "c", "d"]
LARGEST = float(np.finfo(np.float32).max)
# Quarters, exact in every float of at least 16 bits.
ROWS = np.random.default_rng(0).integers(-12, 13, (30, N_FEATURES)) / 4


def dense(n_features, n_units, seed, activation="linear"):
    layer = keras.layers.Dense(n_units, activation, kernel_initializer=keras.initializers.GlorotNormal(seed))
    return keras.Sequential([keras.Input((n_features,)), layer])


def detector(classifier=None, n_features=N_FEATURES, **parameters):
    classifier = dense(n_features, 3, seed=1, activation="softmax") if classifier is None else classifier
    start = {
        "autoencoder": dense(n_features, n_features, seed=2),
        "epochs": 1,
        "random_state": 0,
        "virtual_adversarial_steps": 1,
    }
    return AdversarialAEDetector(classifier, **{**start, **parameters})
