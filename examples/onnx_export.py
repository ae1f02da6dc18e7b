"""
==========================================
Score from an ONNX file without TensorFlow
==========================================

``to_onnx`` writes scaler, autoencoder, classifier, score and threshold into one file. ``OnnxDetector`` runs it
with NumPy and ONNX Runtime. The scores are the same up to rounding, and a single row takes less time.
"""

# %%
# A pipeline to deploy
# --------------------

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hide most messages of TensorFlow
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks are faster without a GPU

import logging
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector
from skaae.onnx import OnnxDetector, to_onnx

logging.getLogger().setLevel(logging.ERROR)  # hide messages of tf2onnx about its optimizer

X, y = load_breast_cancer(return_X_y=True)
X_model, X_rest, y_model, _ = train_test_split(X, y, test_size=0.7, stratify=y, random_state=0)
X_detector, X_test = train_test_split(X_rest, test_size=0.5, random_state=0)

scaler = StandardScaler().fit(X_model)
classifier = MLPClassifier((32,), max_iter=1000, random_state=0).fit(scaler.transform(X_model), y_model)
detector = AdversarialAEDetector(FrozenEstimator(classifier), epochs=30, random_state=0)
pipeline = make_pipeline(scaler, detector.fit(scaler.transform(X_detector)))

# %%
# Export and compare
# ------------------
# The file takes unscaled rows, because it includes the scaler. The machine that runs it needs neither TensorFlow nor
# Keras nor scikit-learn.

with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "detector.onnx")
    to_onnx(pipeline, path)
    deployed = OnnxDetector(path)
    print(f"size of the file:            {path.stat().st_size / 1024:.0f} KiB")

expected = pipeline[-1].adversarial_score(pipeline[:-1].transform(X_test))
scores = deployed.adversarial_score(X_test)
print(f"largest difference in score: {np.abs(scores - expected).max():.1e}")
print(f"same verdict:                {np.mean(deployed.predict(X_test) == pipeline.predict(X_test)):.1%} of the rows")

# %%
# The time of one row
# -------------------
# Each row of the test set is scored alone, as in a server. The times depend on the machine that built this
# page and on what else it was doing; :doc:`the benchmark </benchmark_deployment>` has carefully measured times.


def milliseconds(score) -> np.ndarray:
    times = []
    for row in np.tile(X_test, (3, 1)):
        start = time.perf_counter()
        score(row[None])
        times.append(1000 * (time.perf_counter() - start))
    return np.array(times)


times = {"estimator": milliseconds(pipeline.score_samples), "ONNX file": milliseconds(deployed.score_samples)}
for name, found in times.items():
    print(f"{name}: {np.median(found):.2f} ms for one row (median)")

# %%
# A picture
# ---------

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
left.plot(expected, scores, ".")
left.set(xlabel="score of the estimator", ylabel="score of the file", xscale="symlog", yscale="symlog")
left.axline((0, 0), (1, 1), color="gray", linewidth=0.8)
right.boxplot(list(times.values()), tick_labels=list(times), showfliers=False)
right.set(ylabel="ms for one row", ylim=(0, None))
plt.show()
