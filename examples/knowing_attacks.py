"""
==============================================
Attackers who know the defense, and who do not
==============================================

An attacker who knows nothing of the defense attacks the classifier alone. One who has the autoencoder as well
attacks both, and takes more. A defense is judged by the second: ``skaae.attack_target`` makes it a network with
gradients, which attack libraries take as any other. More in :doc:`Evaluate honestly </evaluate>`.
"""

# %%
# Data, classifier, detector
# --------------------------

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's notes about the processor
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks: faster without a GPU

import logging

import foolbox
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skaae import AdversarialAEDetector, RobustnessDisplay, attack_target

logging.getLogger("tensorflow").setLevel(logging.ERROR)

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
X_model, X_rest, y_model, y_rest = train_test_split(X, y, test_size=0.6, stratify=y, random_state=0)
X_detector, X_test, _, y_test = train_test_split(X_rest, y_rest, test_size=0.2, stratify=y_rest, random_state=0)

keras.utils.set_random_seed(0)
dense = keras.layers.Dense
model = keras.Sequential([keras.Input((64,)), dense(128, "relu"), dense(64, "relu"), dense(10, "softmax")])
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(X_model, y_model, epochs=30, verbose=0)
detector = AdversarialAEDetector(model, batch_size=32, epochs=100, random_state=0).fit(X_detector)

# %%
# Two attacks, at several strengths
# ---------------------------------
# Projected gradient descent: each pixel may move by the strength, in units of the range of its values. Through
# "classifier" it climbs the loss of M(x); through "both" that of M(x) and M(AE(x)) together. The strengths go on
# to where little should be left: if the accuracy stayed high, the attack would be at fault, not the defense good.

strengths = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4]


def attacked(through: str) -> dict[float, np.ndarray]:
    victim = foolbox.TensorFlowModel(attack_target(detector, through), bounds=(0, 1))
    attack = foolbox.attacks.LinfPGD(steps=40)
    tf.random.set_seed(0)
    _, rows, _ = attack(victim, tf.constant(X_test), tf.constant(y_test), epsilons=strengths)
    return {strength: found.numpy() for strength, found in zip(strengths, rows, strict=True)}


# %%
# An attacker who does not know
# -----------------------------

axis = "PGD Linf, share of the range of a pixel"
unaware = RobustnessDisplay.from_estimator(detector, attacked("classifier"), y_test, X=X_test, xlabel=axis)
plt.show()

# %%
# An attacker who knows
# ---------------------

knowing = RobustnessDisplay.from_estimator(detector, attacked("both"), y_test, X=X_test, xlabel=axis)
plt.show()

# %%
# Both beside each other
# ----------------------
# The last column is the one to quote. It is an upper bound too: a better attack may take more.
# ``virtual_adversarial_shares`` moves the defense toward one side or the other.

accuracy = {
    "no defense": unaware.accuracy_without_defense,
    "corrected": unaware.accuracy_corrected,
    "corrected, attacker knows": knowing.accuracy_corrected,
}
table = pd.DataFrame(accuracy, index=pd.Index(knowing.x, name="strength"))
print(table.to_string(float_format="{:.3f}".format))
