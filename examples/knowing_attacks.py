"""
==============================================
Attackers who know the defense, and who do not
==============================================

An attacker who knows nothing of the defense attacks the classifier alone. An attacker who has the autoencoder as well
attacks both, and wins more often. Judge a defense by the second attacker. ``skaae.attack_target`` returns the defense
as a network with gradients, which attack libraries accept like any other. :doc:`Evaluate the defense </evaluate>` says
more.
"""

# %%
# Data, classifier, detector
# --------------------------

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
# Both attacks use projected gradient descent (PGD). Each pixel may change by the strength, in units of the range of its
# values. The attack through "classifier" increases the loss of M(x), and the attack through "both" increases the losses
# of M(x) and M(AE(x)) together. At the largest strengths, accuracy should be close to zero. If it stayed high, that
# would show a weak attack, not a strong defense.

strengths = [0.05, 0.1, 0.15, 0.2, 0.3, 0.4]


def attacked(through: str) -> dict[float, np.ndarray]:
    victim = foolbox.TensorFlowModel(attack_target(detector, through), bounds=(0, 1))
    attack = foolbox.attacks.LinfPGD(steps=40)
    tf.random.set_seed(0)
    _, rows, _ = attack(victim, tf.constant(X_test), tf.constant(y_test), epsilons=strengths)
    return {strength: found.numpy() for strength, found in zip(strengths, rows, strict=True)}


# %%
# An attacker who knows only the classifier
# -----------------------------------------

axis = "PGD Linf, share of the range of a pixel"
unaware = RobustnessDisplay.from_estimator(detector, attacked("classifier"), y_test, X=X_test, xlabel=axis)
plt.show()

# %%
# An attacker who knows the defense
# ---------------------------------

knowing = RobustnessDisplay.from_estimator(detector, attacked("both"), y_test, X=X_test, xlabel=axis)
plt.show()

# %%
# Comparison
# ----------
# Quote the last column. Even this is an upper bound, because a better attack may lower it.
# ``virtual_adversarial_shares`` improves the protection against one attacker at the cost of the other.

accuracy = {
    "no defense": unaware.accuracy_without_defense,
    "corrected": unaware.accuracy,
    "corrected, attacker knows": knowing.accuracy,
}
table = pd.DataFrame(accuracy, index=pd.Index(knowing.x, name="strength"))
print(table.to_string(float_format="{:.3f}".format))
