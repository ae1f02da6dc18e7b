"""Rows, labels and a detector that is not trained, for the tests of odd settings and labels."""

import keras
import numpy as np
import pytest

from skaae import AdversarialAEDetector

ROWS = np.random.default_rng(0).normal(size=(30, 4))
LABELS = np.arange(30) % 3


def dense(n_units, seed, activation="linear"):
    layer = keras.layers.Dense(n_units, activation, kernel_initializer=keras.initializers.GlorotNormal(seed))
    return keras.Sequential([keras.Input((4,)), layer])


def must_not_train(*_):
    pytest.fail("training began")


def detector(classifier=None, **parameters):
    classifier = dense(3, seed=1, activation="softmax") if classifier is None else classifier
    quick = {"autoencoder": dense(4, seed=2), "epochs": 0, "random_state": 0, "virtual_adversarial_steps": 1}
    return AdversarialAEDetector(classifier, **{**quick, **parameters})
