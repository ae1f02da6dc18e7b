"""The HopSkipJump attack of ART, which asks for labels only, on classifiers that treat rows as float32."""

from __future__ import annotations

import warnings

import numpy as np
from sklearn.base import ClassifierMixin
from threadpoolctl import threadpool_limits

from benchmarks.common.data import Split

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "PyTorch not found")
    from art.attacks.evasion import HopSkipJump
    from art.estimators.classification import BlackBoxClassifier

OPTIONS = {"norm": 2, "max_iter": 10, "max_eval": 500, "init_eval": 50, "batch_size": 500, "verbose": False}


class RoundedHopSkipJump(HopSkipJump):
    """The attack with one rounding for the point that it asks about and the one that it goes on with.

    ART 1.20 computes the former in float64 and the latter in float32. Where the two lie on either side
    of the boundary, it looks for a step for ever.
    """

    @staticmethod
    def _interpolate(
        current_sample: np.ndarray, original_sample: np.ndarray, alpha: float | np.ndarray, norm: float | str
    ) -> np.ndarray:
        return HopSkipJump._interpolate(current_sample, original_sample, float(alpha), norm)


def attack(model: ClassifierMixin, split: Split, X: np.ndarray, seed: int) -> np.ndarray:
    """Rows with another label than those of X, moved as little as the attack finds."""

    def predict(X: np.ndarray) -> np.ndarray:
        # Rounded as the rows are that ART returns: else these may round back over the boundary.
        return model.predict_proba(X.astype(np.float32))

    victim = BlackBoxClassifier(predict, X.shape[1:], len(model.classes_), clip_values=split.bounds)
    np.random.seed(seed)
    # Threads cost more than they bring: most questions are about one row.
    with threadpool_limits(1):
        return RoundedHopSkipJump(victim, **OPTIONS).generate(X)
