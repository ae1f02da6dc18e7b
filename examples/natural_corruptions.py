"""
=================================================
Find natural corruptions that harm the classifier
=================================================

Noise, blur and low contrast are not attacks, but they also make a classifier err. This example fits a detector on
clean images and scores corrupted ones. Do the images that the classifier gets wrong score higher than those that it
still gets right?
"""

# %%
# Data, classifier, detector
# --------------------------

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hide most messages of TensorFlow
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks are faster without a GPU

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

from skaae import AdversarialAEDetector, ScoreDisplay

X, y = load_digits(return_X_y=True)
X = X / 16
X_model, X_rest, y_model, y_rest = train_test_split(X, y, test_size=0.7, stratify=y, random_state=0)
X_detector, X_test, _, y_test = train_test_split(X_rest, y_rest, test_size=0.4, stratify=y_rest, random_state=0)

classifier = FrozenEstimator(MLPClassifier((128, 64), random_state=0).fit(X_model, y_model))
detector = AdversarialAEDetector(classifier, batch_size=32, epochs=60, random_state=0).fit(X_detector)

# %%
# The corruptions
# ---------------
# The values of the images stay in [0, 1].

random = np.random.default_rng(0)
images = X_test.reshape(-1, 8, 8)
corrupted = {
    "noise": np.clip(images + random.normal(0, 0.3, images.shape), 0, 1),
    "salt and pepper": np.where(random.random(images.shape) < 0.15, random.integers(0, 2, images.shape), images),
    "blur": gaussian_filter(images, sigma=(0, 0.8, 0.8)),
    "low contrast": 0.5 + 0.4 * (images - 0.5),
}

figure, axes = plt.subplots(1, 5, figsize=(8, 2), layout="constrained")
for ax, (name, kind) in zip(axes, {"clean": images, **corrupted}.items(), strict=True):
    ax.imshow(kind[0], cmap="gray_r", vmin=0, vmax=1)
    ax.set_title(name)
    ax.axis("off")

# %%
# Harmful and harmless corruptions
# --------------------------------
# A corruption is harmful if the classifier reads the clean image correctly and misreads the corrupted one. The area
# under the ROC curve (AUC) measures how well the score separates harmful from harmless corruptions; 0.5 is chance. The
# last column is the AUC of the classifier's own uncertainty, one minus its largest probability. Uncertainty costs
# nothing and is sometimes better than the score. ``corrected`` is the accuracy of the repaired labels; a corruption
# that is detected is not always repaired. The autoencoder is trained to undo small perturbations, which resemble noise.
# A change of contrast, which moves all pixels at once, is different. Compare the rows of the table before you rely on
# the score.

was_right = classifier.predict(X_test) == y_test
rows, scores, harmful = {}, np.empty(0), np.empty(0, bool)
for name, kind in corrupted.items():
    X_corrupted = kind.reshape(-1, 64)
    found = detector.correct(X_corrupted)
    wrong = (found.no_defense != y_test)[was_right]
    score = found.instance_score[was_right]
    uncertainty = 1 - classifier.predict_proba(X_corrupted[was_right]).max(axis=1)
    rows[name] = {
        "accuracy": np.mean(found.no_defense == y_test),
        "corrected": np.mean(found.corrected == y_test),
        "flagged": found.is_adversarial.mean(),
        "AUC score": roc_auc_score(wrong, score),
        "AUC uncertainty": roc_auc_score(wrong, uncertainty),
    }
    scores, harmful = np.append(scores, score), np.append(harmful, wrong)

print(f"clean: accuracy {was_right.mean():.3f}, flagged {np.mean(detector.predict(X_test) == -1):.3f}\n")
print(pd.DataFrame(rows).T.to_string(float_format="{:.3f}".format))
print(f"\nall corruptions together: AUC of the score {roc_auc_score(harmful, scores):.3f}")

# %%
# The scores of all corrupted images
# ----------------------------------

ScoreDisplay.from_predictions(
    scores[~harmful], scores[harmful], threshold=detector.threshold_, names=("harmless", "harmful")
)
plt.show()
