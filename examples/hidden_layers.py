"""
=====================================================
Images, an autoencoder of your own, and hidden layers
=====================================================

A convolutional network reads digits. This example defines an autoencoder for the detector, and fits the detector
twice: once to match only the predictions, and once to match a hidden layer of the network too.
"""

# %%
# Data, and the network to defend
# -------------------------------
# Images have the shape (n, height, width, channels), with values in [0, 1].

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hide most messages of TensorFlow
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks are faster without a GPU

import logging

import foolbox
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skaae import AdversarialAEDetector, CorrectionDisplay, FrozenKerasModel
from skaae.metrics import defense_report

logging.getLogger("tensorflow").setLevel(logging.ERROR)

X, y = load_digits(return_X_y=True)
images = (X / 16).reshape(-1, 8, 8, 1).astype(np.float32)
images_model, rest, y_model, y_rest = train_test_split(images, y, test_size=0.6, stratify=y, random_state=0)
images_detector, images_test, _, y_test = train_test_split(rest, y_rest, test_size=0.2, stratify=y_rest, random_state=0)

keras.utils.set_random_seed(0)
layers = keras.layers
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
        layers.Dense(64, activation="relu", name="last_hidden"),
        layers.Dense(10, activation="softmax"),
    ]
)
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(images_model, y_model, epochs=30, verbose=0)

victim = foolbox.TensorFlowModel(model, bounds=(0, 1))
attack = foolbox.attacks.LinfPGD(steps=40)
attacked = attack(victim, tf.constant(images_test), tf.constant(y_test), epsilons=0.15)[1].numpy()

# %%
# The autoencoder
# ---------------
# A function of the sample's shape returns the autoencoder, so that every fit starts with a new one.


def autoencoder(shape: tuple[int, ...]) -> keras.Model:
    encoder = [layers.Conv2D(32, 4, strides=2, padding="same", activation="relu"), layers.Flatten(), layers.Dense(40)]
    decoder = [layers.Dense(4 * 4 * 32, activation="relu"), layers.Reshape((4, 4, 32))]
    last = layers.Conv2DTranspose(1, 4, strides=2, padding="same", activation="sigmoid")
    return keras.Sequential([keras.Input(shape), *encoder, *decoder, last])


# %%
# Without and with the hidden layer
# ---------------------------------
# ``hidden_layers`` gives layers of the network and the dimension of their random projections.
# ``hidden_weights`` sets the weight of each term in the loss and in the score. In our benchmarks, the terms
# brought no gain beside perturbed training. Compare both on your own data before you use them.

common = {"autoencoder": autoencoder, "batch_size": 32, "epochs": 60, "random_state": 0}
classifier = FrozenKerasModel(model)
plain = AdversarialAEDetector(classifier, **common).fit(images_detector)
deeper = AdversarialAEDetector(classifier, hidden_layers={"last_hidden": 20}, hidden_weights=[0.5], **common)
deeper.fit(images_detector)

reports = {
    name: defense_report(detector, images_test, y_test, {"PGD 0.15": attacked})
    for name, detector in {"predictions": plain, "and hidden layer": deeper}.items()
}
print(pd.concat(reports, axis=0).T.to_string(float_format="{:.3f}".format))

# %%
# Single images
# -------------
# The picture shows images that the network misreads under the attack: the originals, the attacked images, and their
# reconstructions by the second detector. Below each reconstruction stands its predicted label. A score
# above 1000 means that this label differs from that of the attacked image.

fooled = np.flatnonzero(classifier.predict(attacked) != y_test)
CorrectionDisplay.from_estimator(deeper, attacked, y_test, X_original=images_test, samples=fooled[:4], cmap="gray_r")
plt.show()
