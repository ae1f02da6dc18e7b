"""Trees under a real attack that needs no gradient."""

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from skaae import AdversarialAEDetector
from skaae.metrics import defense_report

N_ATTACKED = 40
TREES = {
    "forest": RandomForestClassifier(30, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=30, random_state=0),
    "XGBoost": XGBClassifier(n_estimators=30, n_jobs=1),
}


@pytest.fixture(scope="module")
def split():
    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    return train_test_split(X, y, random_state=0, test_size=0.3, stratify=y)


def hop_skip_jump(classifier, X):
    """Rows that M labels otherwise, moved as little as the attack finds."""
    from art.attacks.evasion import HopSkipJump
    from art.estimators.classification import BlackBoxClassifier

    limits = X.min(), X.max()
    black_box = BlackBoxClassifier(classifier.predict_proba, X.shape[1:], len(classifier.classes_), clip_values=limits)
    attack = HopSkipJump(black_box, max_iter=5, max_eval=200, init_eval=20, init_size=50, verbose=False)
    np.random.seed(0)
    return attack.generate(X.astype(np.float32)).astype(np.float64)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:PyTorch not found:UserWarning")  # ART, on its first import
@pytest.mark.parametrize("kind", TREES)
def test_hop_skip_jump_is_detected_and_repaired(split, kind):
    X, X_fresh, y, y_fresh = split
    trees = TREES[kind].fit(X, y)
    right = np.flatnonzero(trees.predict(X_fresh) == y_fresh)[:N_ATTACKED]
    attacked = hop_skip_jump(trees, X_fresh[right])
    detector = AdversarialAEDetector(trees, epochs=60, random_state=0).fit(X)
    report = defense_report(detector, X_fresh[right], y_fresh[right], {"HopSkipJump": attacked})
    clean, found = report.loc["clean"], report.loc["HopSkipJump"]
    assert found.label_changed > 0.4
    assert found.accuracy > found.accuracy_without_defense + 0.2
    assert found.accuracy_reconstructed > 0.7
    assert found.detection_auc > 0.75
    assert clean.accuracy > 0.9
