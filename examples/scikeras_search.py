"""
==================================================
A scikeras classifier that repairs its predictions
==================================================

``CorrectedClassifier`` trains a classifier and a detector together, and works wherever a classifier works.
``fit`` holds out calibration rows from both, so the threshold is set with rows that neither has
seen. GridSearchCV tunes the threshold with ordinary accuracy. With ``memory``, the autoencoder is
trained once per fold.
"""

# %%
# Data, and a classifier that has not been fitted
# -----------------------------------------------

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hide most messages of TensorFlow
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks are faster without a GPU

import logging
import tempfile

import keras
import numpy as np
import pandas as pd
from scikeras.wrappers import KerasClassifier
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier

logging.getLogger("tensorflow").setLevel(logging.ERROR)

X, y = load_wine(return_X_y=True, as_frame=True)
y = np.array(["Barolo", "Grignolino", "Barbera"])[y]
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, test_size=0.3, random_state=0)


def build_classifier() -> keras.Model:
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input((13,)), dense(32, activation="relu"), dense(3, activation="softmax")])


classifier = KerasClassifier(build_classifier, loss="sparse_categorical_crossentropy", epochs=50, verbose=0)

# %%
# Search over the threshold
# -------------------------
# The random state of the detector also determines that of the classifier.

with tempfile.TemporaryDirectory() as cache:
    detector = AdversarialAEDetector(classifier, epochs=50, batch_size=32, random_state=0, memory=cache)
    model = make_pipeline(StandardScaler(), CorrectedClassifier(detector))
    grid = {"correctedclassifier__detector__threshold_percentile": [80, 85, 90]}
    search = GridSearchCV(model, grid, cv=2).fit(X_train, y_train)

results = pd.DataFrame(search.cv_results_).rename(columns={f"param_{next(iter(grid))}": "percentile"})
print(results[["percentile", "mean_test_score", "std_test_score"]].to_string(index=False, float_format="{:.3f}".format))
print(f"\naccuracy on {len(X_test)} held-out wines: {search.score(X_test, y_test):.3f}")
corrected = search.best_estimator_[-1]
flagged = corrected.detector_.predict(search.best_estimator_[:-1].transform(X_test)) == -1
print(f"flagged as adversarial, though none is: {flagged.mean():.3f}")
