"""
====================
Defend a fraud model
====================

The table has what fraud tables have: one fraud in 25 payments, categories, missing values, and a decision threshold
that was tuned. Fraudsters alter the columns that they control until the model lets every one of their payments
through. The detector is put in front of the model as it is. It flags nearly half of the altered payments, restores the
label of a third, explains them, and costs hardly any of the alerts.
"""

# %%
# The model
# ---------
# An ordinary Pipeline of scikit-learn on the raw table. The model, the detector and the test get rows of their own, so
# that the promised rate of false alarms holds.

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # hide most messages of TensorFlow
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # small networks are faster without a GPU

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import binomtest
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.metrics import precision_score, recall_score
from sklearn.model_selection import TunedThresholdClassifierCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skaae import AdversarialAEDetector, ExplanationDisplay, FeatureConstraints

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "PyTorch not found")
    from art.attacks.evasion import HopSkipJump
    from art.estimators.classification import BlackBoxClassifier

random, n = np.random.default_rng(0), 30_000
behavior, y = make_classification(n, 16, n_informative=10, weights=[0.96], class_sep=1.5, random_state=0)
payments = pd.DataFrame(behavior.round(3), columns=[f"v{column}" for column in range(1, 17)])
payments["amount"] = random.lognormal(3.5 + 0.5 * y, 1).round(2)
payments["account_age"] = random.integers(0, 3_000, n)
payments["income"] = np.where(random.random(n) < 0.2, np.nan, random.lognormal(7.5, 0.5, n).round())
payments["country"] = np.where(random.random(n) < 0.2 * y, "BR", random.choice(["DE", "FR", "US"], n))
payments["channel"] = random.choice(["app", "phone", "web", None], n)
is_fraud = np.where(y, "fraud", "ok")
model_rows, detector_rows, test_rows = slice(0, 12_000), slice(12_000, 24_000), slice(24_000, None)

mutable = [*payments.columns[:16], "amount"]
numbers = [*mutable, "account_age", "income"]
scaler = make_pipeline(SimpleImputer(), StandardScaler())
columns = make_column_transformer((scaler, numbers), (OneHotEncoder(), ["country", "channel"]))
network = make_pipeline(columns, MLPClassifier((64, 32), early_stopping=True, random_state=0))
model = TunedThresholdClassifierCV(network, scoring="balanced_accuracy", cv=3, random_state=0)
model.fit(payments[model_rows], is_fraud[model_rows])
X_test, y_test = payments[test_rows], is_fraud[test_rows]
print(f"{np.mean(model.predict(X_test) == 'fraud'):.1%} of the payments are alerts of the model")

# %%
# The detector
# ------------
# A fraudster controls the amount and the behavior, v1 to v16, but not the age of the account: ``mutable_features`` says
# so. Frauds are rare, and x' would keep the label of few of them. ``class_weight`` makes AE attend to them.

detector = AdversarialAEDetector(
    FrozenEstimator(model), mutable_features=mutable, class_weight="balanced", random_state=0
).fit(payments[detector_rows])
print(detector.class_report_.round(3).to_string())

# %%
# What it costs on clean payments
# -------------------------------

clean = detector.correct(X_test)
for name, labels in {"without defense": clean.no_defense, "corrected": clean.corrected}.items():
    recall = recall_score(y_test, labels, pos_label="fraud")
    precision = precision_score(y_test, labels, pos_label="fraud")
    print(f"clean, {name:15s}: recall {recall:.3f}, precision {precision:.3f}")

# %%
# The attack
# ----------
# HopSkipJump asks the model for labels only. It alters the mutable columns of frauds that the model finds, one payment
# after the other. ``FeatureConstraints`` keeps every column in its range.

constraints = FeatureConstraints.from_data(payments[model_rows], mutable_features=mutable)
center, spread = payments[mutable].mean().to_numpy(), payments[mutable].std().to_numpy()
found = np.flatnonzero((clean.no_defense == "fraud") & (y_test == "fraud"))[:20]


def altered(payment: pd.DataFrame, values: np.ndarray) -> pd.DataFrame:
    """Copies of one payment with other values in the mutable columns, in standard deviations."""
    copies = payment.loc[payment.index.repeat(len(values))].reset_index(drop=True)
    return constraints.project(copies.assign(**dict(zip(mutable, (values * spread + center).T, strict=True))))


def evaded(payment: pd.DataFrame) -> pd.DataFrame:
    start = ((payment[mutable].to_numpy() - center) / spread).astype(np.float32)

    def predict(values: np.ndarray) -> np.ndarray:
        is_alert = model.predict(altered(payment, values)) == "fraud"
        return np.column_stack([~is_alert, is_alert]).astype(float)

    victim = BlackBoxClassifier(predict, (len(mutable),), nb_classes=2, clip_values=(-5, 10))
    attack = HopSkipJump(victim, max_iter=10, max_eval=300, init_eval=20, init_size=50, verbose=False)
    return altered(payment, attack.generate(start))


np.random.seed(0)
attacked = pd.concat([evaded(X_test.iloc[[row]]) for row in found], ignore_index=True)

# %%
# Detected and repaired
# ---------------------

result = detector.correct(attacked)
print(f"recall under attack: {np.mean(result.no_defense == 'fraud'):.3f} without defense", end=", ")
print(f"{np.mean(result.corrected == 'fraud'):.3f} corrected; {result.is_adversarial.mean():.1%} flagged")

# %%
# Monitored
# ---------
# Too many flagged payments in a day are an alarm. The binomial test of SciPy says how unlikely they are.

day = pd.concat([X_test[:100], attacked], ignore_index=True)
n_flagged = int(np.sum(detector.predict(day) == -1))
p_value = binomtest(n_flagged, len(day), 0.05, alternative="greater").pvalue
print(f"{n_flagged} of {len(day)} payments flagged on a day with attacks: p-value {p_value:.1e}")

# %%
# Explained
# ---------
# For an analyst: what did x' change, in the units of the table, and is the payment possible at all?

print(detector.explain(attacked, n_features=2, constraints=constraints).head(6).round(3).to_string(index=False))
output = Path("examples" if Path("examples").is_dir() else ".", "output")
output.mkdir(exist_ok=True)
first = int(np.flatnonzero(result.is_adversarial)[0])
ExplanationDisplay.from_estimator(detector, attacked, row=first).figure_.savefig(output / "fraud.png", dpi=120)
print(f"\npicture: {output / 'fraud.png'}")
