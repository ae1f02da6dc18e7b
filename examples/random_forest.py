"""
========================================
Defend a random forest inside a Pipeline
========================================

A forest has no gradient. The detector distills a Keras network, the surrogate, from the forest's probabilities. The
surrogate provides the gradient that trains the autoencoder; scores and labels come from
the forest itself. HopSkipJump, an attack that needs no gradient, moves rows across the decision boundary of the forest,
and the pipeline repairs most of the predictions.
"""

# %%
# Data, and the forest
# --------------------
# The promised rate of false alarms holds for rows that neither the forest nor the autoencoder has seen. So the forest
# and the detector are trained on different rows.

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hide most messages of TensorFlow
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks are faster without a GPU

import warnings
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, ScoreDisplay
from skaae.metrics import defense_report

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "PyTorch not found")
    from art.attacks.evasion import HopSkipJump
    from art.estimators.classification import BlackBoxClassifier

X, y = load_breast_cancer(return_X_y=True)
X_forest, X_rest, y_forest, y_rest = train_test_split(X, y, test_size=0.6, stratify=y, random_state=0)
X_detector, X_test, _, y_test = train_test_split(X_rest, y_rest, test_size=60, stratify=y_rest, random_state=0)

scaler = StandardScaler().fit(X_forest)
forest = FrozenEstimator(RandomForestClassifier(50, random_state=0).fit(scaler.transform(X_forest), y_forest))

# %%
# The defended pipeline
# ---------------------
# The detector replaces the rows that it flags by x'. The same forest comes after it in the pipeline, so the
# pipeline predicts the corrected labels.

detector = AdversarialAEDetector(forest, epochs=60, random_state=0)
defended = make_pipeline(FrozenEstimator(scaler), detector, forest).fit(X_detector)
detector = defended[1]
print(f"surrogate agrees with the forest on {detector.surrogate_agreement_:.1%} of the held-out rows")

# %%
# The attack
# ----------
# HopSkipJump from the Adversarial Robustness Toolbox asks the forest only for labels.

undefended = make_pipeline(FrozenEstimator(scaler), forest)
limits = scaler.transform(X_forest).min(), scaler.transform(X_forest).max()
victim = BlackBoxClassifier(forest.predict_proba, (X.shape[1],), nb_classes=2, clip_values=limits)
attack = HopSkipJump(victim, max_iter=5, max_eval=200, init_eval=20, init_size=50, verbose=False)
np.random.seed(0)
attacked = scaler.inverse_transform(attack.generate(scaler.transform(X_test).astype(np.float32)).astype(np.float64))

# %%
# Results
# -------

print(f"\naccuracy under attack: {undefended.score(attacked, y_test):.3f} without defense", end=", ")
print(f"{defended.score(attacked, y_test):.3f} defended\n")
report = defense_report(defended[:-1], X_test, y_test, attacked={"HopSkipJump": attacked})
print(report.T.to_string(float_format="{:.3f}".format))

# %%
# A picture
# ---------
# The picture shows the scores of clean and of attacked rows. Above 1000, the forest gives x' another label than x.

display = ScoreDisplay.from_estimator(defended[:-1], X_test, attacked, names=("clean", "HopSkipJump"))
output = Path("examples" if Path("examples").is_dir() else ".", "output")
output.mkdir(exist_ok=True)
display.figure_.savefig(output / "random_forest.png", dpi=120)
print(f"\npicture: {output / 'random_forest.png'}")
