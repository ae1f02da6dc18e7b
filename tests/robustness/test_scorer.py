from dataclasses import replace

import numpy as np
import pytest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV
from sklearn.neural_network import MLPClassifier

from skaae import AdversarialAEDetector, CorrectedClassifier, FeatureConstraints
from skaae.robustness import evaluate_robustness, robust_accuracy_scorer
from skaae.robustness._battery import BATTERY
from skaae.robustness._efforts import EFFORTS
from skaae.robustness._scorer import displacements
from tests.support.models import QUICK


def test_score_is_that_of_the_report(iris, iris_model):
    scorer = robust_accuracy_scorer(["FGSM"], size=0.5)
    report = evaluate_robustness(iris_model, *iris, attacks=["FGSM"], sizes=0.5, random_state=0)
    assert scorer(iris_model, *iris) == report.accuracy("unaware")
    assert scorer(iris_model, *iris) == scorer(iris_model, *iris)


@pytest.mark.slow
def test_attacks_on_the_classifier_are_made_once(iris, tmp_path):
    X, y = iris
    model = FrozenEstimator(LogisticRegression().fit(X, y))
    scorer = robust_accuracy_scorer(["PGD Linf", "composite PGD"], size=0.5, memory=tmp_path)
    without = robust_accuracy_scorer(["PGD Linf", "composite PGD"], size=0.5)
    for percentile in (80, 90):
        detector = AdversarialAEDetector(model, **QUICK, threshold_percentile=percentile).fit(X)
        assert scorer(detector, X, y) == without(detector, X, y)
    assert len(list(tmp_path.rglob("output.pkl"))) == 1


@pytest.mark.slow
def test_search(iris):
    X, y = iris
    detector = AdversarialAEDetector(FrozenEstimator(LogisticRegression().fit(X, y)), **QUICK)
    scorer = robust_accuracy_scorer(["FGSM"], size=0.5)
    grid = {"detector__threshold_percentile": [50, 80]}
    search = GridSearchCV(CorrectedClassifier(detector), grid, scoring=scorer, cv=2, refit=False).fit(X, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.slow
def test_memory_knows_what_the_attacks_depend_on(tmp_path):
    """Relations between columns, and columns that stay as they are."""
    X = np.random.default_rng(0).normal(size=(60, 3))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    model = MLPClassifier((16,), max_iter=2000, random_state=0).fit(X, y)
    known = set(X[:, 0])
    frozen = FeatureConstraints.from_data(X, [0], relations=lambda rows: rows.iloc[:, 0].isin(known))
    free = FeatureConstraints.from_data(X, [0], relations=lambda rows: rows.iloc[:, 0] > -1e9)
    for constraints, rows in ((frozen, X), (free, X), (free, X * [1, -1, 1])):
        found, expected = (
            robust_accuracy_scorer(["FGSM"], 0.8, constraints=constraints, memory=memory)(model, rows, y)
            for memory in (tmp_path, None)
        )
        assert found == expected


def test_memory_knows_the_decision_threshold(cancer, tmp_path):
    """The classifier inside is the same, but its attackers need other moves."""
    X, y = cancer
    model = FrozenEstimator(LogisticRegression().fit(X, y))
    for threshold in (0.5, 0.001):
        decided = FixedThresholdClassifier(model, threshold=threshold).fit(X, y)
        scores = [robust_accuracy_scorer(["FGSM"], 0.3, memory=memory)(decided, X, y) for memory in (tmp_path, None)]
        assert scores[0] == scores[1]
    assert len(list(tmp_path.rglob("output.pkl"))) == 2


def test_attacks_are_made_as_in_a_report(iris_arena):
    """Slow ones on a few rows, and those without a random start once."""
    attacks = [attack for attack in BATTERY if attack.name in ("FGSM", "PGD Linf", "HopSkipJump L2")]
    effort = replace(EFFORTS["fast"], restarts=2, jump_rows=3, jumps=1, evaluations=10)
    arena = iris_arena.take(np.arange(10))
    found = displacements("", arena, arena.moves.moved(arena.start()), attacks, effort, 0)
    assert [(z != 0).any(axis=1).sum() > 3 for z in found] == [True, True, True, False]


def test_mean_of_the_recalls(iris, iris_model):
    rows = np.r_[0:50, 100:110]
    X, y = iris[0][rows], iris[1][rows]
    report = evaluate_robustness(iris_model, X, y, attacks=["FGSM"], sizes=0.5, random_state=0)
    line = report.frame[report.frame["attack"] == "worst case"].iloc[0]
    scorer = robust_accuracy_scorer(["FGSM"], size=0.5, metric="balanced_accuracy")
    recalls = [recall for name, recall in line.items() if name.startswith("recall_") and name != "recall_worst_class"]
    assert scorer(iris_model, X, y) == pytest.approx(np.nanmean([*map(float, recalls)]))
    assert scorer(iris_model, X, y) < line["accuracy"]


def test_constraints(iris, iris_model):
    """An attacker who can alter one feature only takes fewer rows."""
    X, y = iris
    all_features, one = (
        robust_accuracy_scorer(["PGD Linf"], size=0.5, constraints=only)(iris_model, X, y)
        for only in (None, FeatureConstraints.from_data(X, [1]))
    )
    assert one > all_features


@pytest.mark.parametrize(
    "argument",
    [
        *({"size": size} for size in (0, [0.1, 0.2], "0.3", True, np.inf)),
        *({"random_state": seed} for seed in (None, "0", 0.5, -1, 2**32)),
        *({"n_samples": n_samples} for n_samples in (0, True)),
        {"unit": "meter"},
        {"metric": "recall"},
        {"constraints": [0]},
        {"attacks": "slow"},
        {"attacks": 3},
        {"attacks": ["FSGM"]},
        {"memory": 3},
    ],
)
def test_invalid_arguments(argument):
    (name,) = argument
    with pytest.raises((ValueError, TypeError), match=f"{name} must be"):
        robust_accuracy_scorer(**argument)
