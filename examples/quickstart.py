"""
==========================================
Handwritten digits: detect, repair, deploy
==========================================

A scikeras classifier reads handwritten digits, and an attacker changes the images so that it misreads
them. The detector, which was trained with neither labels nor attacks, finds the changed images
and repairs the predictions. GridSearchCV tunes its threshold, and joblib saves and loads the whole
pipeline.
"""

# %%
# Data, and the classifier to defend
# ----------------------------------
# One half of the images trains the classifier. The detector is fitted on other images, because the
# classifier is more certain of its training images than of new ones.

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hide most messages of TensorFlow
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks are faster without a GPU

import logging
import tempfile
from pathlib import Path

import foolbox
import joblib
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scikeras.wrappers import KerasClassifier
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skaae import AdversarialAEDetector, CorrectionDisplay

logging.getLogger("tensorflow").setLevel(logging.ERROR)

X, y = load_digits(return_X_y=True)
X_classifier, X_rest, y_classifier, y_rest = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
X_detector, X_test, y_detector, y_test = train_test_split(
    X_rest, y_rest, test_size=0.4, stratify=y_rest, random_state=0
)

scaler = MinMaxScaler((0, 1), clip=True).fit(X_classifier)


def build_classifier() -> keras.Model:
    dense = keras.layers.Dense
    layers = dense(128, activation="relu"), dense(64, activation="relu"), dense(10, activation="softmax")
    return keras.Sequential([keras.Input((64,)), *layers])


classifier = KerasClassifier(
    build_classifier, loss="sparse_categorical_crossentropy", optimizer="adam", epochs=40, verbose=0, random_state=0
)
classifier.fit(scaler.transform(X_classifier).astype(np.float32), y_classifier)

# %%
# The attack
# ----------
# The attack is projected gradient descent (PGD) from foolbox. Each pixel may change by 0.15 of the range of
# values. One half of the attacked images tunes the threshold, the other half evaluates the result.


def attack(images: np.ndarray, labels: np.ndarray, size: float = 0.15) -> np.ndarray:
    rows = tf.constant(scaler.transform(images), tf.float32)
    victim = foolbox.TensorFlowModel(classifier.model_, bounds=(0, 1))
    tf.random.set_seed(0)
    _, attacked, _ = foolbox.attacks.LinfPGD(steps=40)(victim, rows, tf.constant(labels), epsilons=size)
    return scaler.inverse_transform(attacked.numpy().astype(np.float64))


X_tune, y_tune = X_test[::2], y_test[::2]
X_judge, y_judge = X_test[1::2], y_test[1::2]
attacked_tune, attacked_judge = attack(X_tune, y_tune), attack(X_judge, y_judge)

# %%
# Fit the detector and tune its threshold
# ---------------------------------------
# GridSearchCV tunes the threshold. Half of the score is the accuracy on attacked images. With ``memory``, the search
# trains once per fold, not once per percentile.


def corrected_accuracy(pipeline, X, y):
    """Mean of the accuracies of the corrected labels on clean and on attacked images."""
    detector, scale = pipeline[-1], pipeline[:-1].transform
    clean = np.mean(detector.correct(scale(X)).corrected == y)
    attacked = np.mean(detector.correct(scale(attacked_tune)).corrected == y_tune)
    return (clean + attacked) / 2


with tempfile.TemporaryDirectory() as cache:
    detector = AdversarialAEDetector(
        FrozenEstimator(classifier),
        epochs=60,
        batch_size=32,
        random_state=0,
        memory=cache,
    )
    search = GridSearchCV(
        make_pipeline(MinMaxScaler((0, 1), clip=True), detector),
        {"adversarialaedetector__threshold_percentile": [80, 85, 90, 95, 97]},
        scoring=corrected_accuracy,
        cv=2,
    ).fit(X_detector, y_detector)
pipeline = search.best_estimator_.set_params(adversarialaedetector__memory=None)

# %%
# Save and load
# -------------
# The pipeline that is evaluated below was loaded from a joblib file.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "pipeline.joblib")
    joblib.dump(pipeline, path)
    deployed = joblib.load(path)
np.testing.assert_array_equal(deployed.score_samples(X_judge), pipeline.score_samples(X_judge))

# %%
# Results
# -------

scale, detector = deployed[:-1].transform, deployed[-1]
clean, attacked = (detector.correct(scale(images)) for images in (X_judge, attacked_judge))
hurt = attacked.no_defense != clean.no_defense  # attacked images whose label changed
auc = roc_auc_score(
    np.r_[np.zeros(len(y_judge)), np.ones(hurt.sum())], np.r_[clean.instance_score, attacked.instance_score[hurt]]
)
nominal = 1 - detector.threshold_percentile / 100


def row(found):
    labels = {"without defense": found.no_defense, "corrected": found.corrected, "always reconstructed": found.defense}
    accuracy = {f"accuracy {name}": np.mean(values == y_judge) for name, values in labels.items()}
    return {**accuracy, "flagged": found.is_adversarial.mean()}


table = pd.DataFrame({"clean": row(clean), "attacked": row(attacked)}).T
print(f"\nHandwritten digits, {len(y_judge)} held-out images, PGD Linf of 0.15 of the range of values\n")
print(table.to_string(float_format="{:.3f}".format))
print(f"\nchosen threshold percentile    {detector.threshold_percentile}")
print(
    f"detection AUC                  {auc:.3f}   ({hurt.sum()} attacked images whose label changed, against clean ones)"
)
print(f"false alarms, nominal / seen   {nominal:.3f} / {clean.is_adversarial.mean():.3f}")

# %%
# A picture
# ---------
# The picture shows original images, attacked images and their reconstructions, with labels and
# scores. A reconstruction need not look like a digit; it only has to be classified like one. A score
# above 1000 means that the reconstruction has another label than the attacked image.

display = CorrectionDisplay.from_estimator(
    deployed,
    attacked_judge,
    y_judge,
    X_original=X_judge,
    samples=np.flatnonzero(hurt & attacked.is_adversarial)[:3],
    image_shape=(8, 8),
    cmap="gray_r",
)
output = Path("examples" if Path("examples").is_dir() else ".", "output")
output.mkdir(exist_ok=True)
display.figure_.savefig(output / "quickstart.png", dpi=120)
print(f"\npicture: {output / 'quickstart.png'}")
