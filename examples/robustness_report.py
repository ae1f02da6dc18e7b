"""
==========================
Attack a model in one call
==========================

`evaluate_robustness` attacks any fitted classifier and reports how many of its answers stay right. Here it attacks a
Pipeline with XGBoost, first as it is and then defended, on rows that neither has seen. The two reports stand side by
side in a picture, and each is written as a page.
"""

# %%
# A model as most people have it
# ------------------------------
# A table of 24 columns that depend on each other, a scaler, and boosted trees. The model, the detector and the test get
# rows of their own, so that the promised rate of false alarms holds.

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hide most messages of TensorFlow
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks are faster without a GPU

from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from skaae import AdversarialAEDetector
from skaae.robustness import evaluate_robustness

X, y = make_classification(4600, 24, n_informative=10, n_redundant=14, class_sep=1.5, random_state=0)
model_rows, detector_rows, test_rows = slice(0, 2150), slice(2150, 4300), slice(4300, None)
bare = make_pipeline(StandardScaler(), XGBClassifier(n_estimators=100, n_jobs=1, random_state=0))
bare.fit(X[model_rows], y[model_rows])

# %%
# The number that makes people look
# ---------------------------------
# No feature moves by more than 0.3 of its standard deviations. Trees have no gradient: the attacks follow that of a
# network which imitates them, and Square searches without one.

before = evaluate_robustness(bare, X[test_rows], y[test_rows], random_state=0)
print(before)

# %%
# The same model behind a defense
# -------------------------------
# The detector defends the Pipeline as it is. Now there is a second attacker, who knows the defense and attacks through
# it.

detector = AdversarialAEDetector(FrozenEstimator(bare), random_state=0).fit(X[detector_rows])
after = evaluate_robustness(detector, X[test_rows], y[test_rows], random_state=0)
print(after)

# %%
# Side by side
# ------------

figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), layout="constrained", sharey=True)
for report, title, ax in zip((before, after), ("as it is", "defended"), axes, strict=True):
    report.plot(ax).set_title(title, loc="right")
folder = Path("output")
folder.mkdir(exist_ok=True)
figure.savefig(folder / "robustness_report.png", dpi=120)
before.to_html(folder / "before.html")
after.to_html(folder / "after.html")

# %%
# The reports are pages of their own: no script, no network. In a notebook, the last line of a cell shows one.

name = "unaware"
print(f"under attack: {before.accuracy(name):.3f} as it is, {after.accuracy(name):.3f} defended")
print(f"the attacker knows the defense: {after.accuracy('knowing'):.3f}")
print(f"checks passed: {after.passed()}")
