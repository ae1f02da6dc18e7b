import logging
from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from skaae.robustness import _gradient_attacks as attacks
from skaae.robustness import evaluate_robustness
from skaae.robustness._budgets import radius
from skaae.robustness._efforts import EFFORTS

SIZE = 0.5
EFFORT = EFFORTS["fast"]
LATER = [pytest.param(name, marks=pytest.mark.slow) for name in ("PGD Linf", "AutoPGD Linf")]


def is_right(arena, z):
    return np.argmax(arena.logits("classifier")(z), axis=1) == arena.labels


@pytest.mark.parametrize("name", ["fast_gradient", "projected_gradient", "auto_gradient"])
def test_in_the_box(iris_arena, name):
    z = getattr(attacks, name)(iris_arena, "classifier", SIZE, 0, EFFORT)
    assert np.abs(z).max() <= SIZE + 1e-6
    assert is_right(iris_arena, z).mean() < is_right(iris_arena, iris_arena.start()).mean() - 0.1


@pytest.mark.parametrize(("name", "norm", "order"), [("projected_gradient_l2", "l2", 2), ("sparse_descent", "l1", 1)])
def test_in_the_ball(iris_arena, name, norm, order):
    z = getattr(attacks, name)(iris_arena, "classifier", SIZE, 0, EFFORT)
    assert np.linalg.norm(z, order, axis=1).max() <= radius(SIZE, norm, 4) + 1e-5
    assert is_right(iris_arena, z).mean() < is_right(iris_arena, iris_arena.start()).mean()


@pytest.mark.parametrize("name", ["carlini_wagner", "deep_fool"])
def test_smallest(iris_arena, name):
    z = getattr(attacks, name)(iris_arena, "classifier", SIZE, 0, EFFORT)
    assert is_right(iris_arena, z).mean() < 0.5
    assert np.median(np.linalg.norm(z, axis=1)) < 2


def test_joint_attack_lowers_both_networks(iris_arena):
    z = attacks.projected_gradient(iris_arena, "both", SIZE, 0, EFFORT)
    for part in ("classifier", "defense"):
        right = [(np.argmax(iris_arena.logits(part)(at), axis=1) == iris_arena.labels).mean() for at in (z * 0, z)]
        assert right[1] < right[0]


@pytest.mark.parametrize("name", ["fast_gradient", "projected_gradient", "projected_gradient_l2", "sparse_descent"])
def test_no_step_leads_out_of_the_range(iris_arena, name):
    """The norm would be spent on values that are at the end of their range."""
    moves = iris_arena.moves
    above = replace(iris_arena, moves=replace(moves, lowest=moves.base))
    z = getattr(attacks, name)(above, "classifier", SIZE, 0, EFFORT)
    assert z.min() >= 0
    np.testing.assert_allclose(z, above.moves.distance(z), atol=1e-6)
    assert (np.abs(z).max(axis=1) > 0).any()


@pytest.mark.parametrize("attack", ["FGSM", *LATER])
def test_steep_classifiers_are_attacked_too(cancer, attack):
    """Margins of several hundred: the cross-entropy has no gradient there, in float32."""
    X, y = cancer[0][:, :5], cancer[1]
    plain = LogisticRegression().fit(X, y)
    steep = LogisticRegression().fit(X, y)
    steep.coef_, steep.intercept_ = 1000 * steep.coef_, 1000 * steep.intercept_
    moved = X - 0.3 * X.std(axis=0) * np.sign(plain.coef_) * (2 * y - 1)[:, None]
    by_hand = plain.score(np.clip(moved, X.min(axis=0), X.max(axis=0)), y)
    for model in (plain, steep):
        report = evaluate_robustness(model, X, y, attacks=[attack], sizes=0.3, n_samples=len(X), random_state=0)
        line = report.frame[report.frame["attack"] == attack].iloc[0]
        assert line["accuracy"] == pytest.approx(by_hand, abs=0.005)
        assert report.checks.set_index("code").loc["SKA003", "status"] == "PASS"


def test_no_handler_stays_on_the_root_logger(iris_arena):
    before = logging.getLogger().handlers[:]
    logging.getLogger().handlers.clear()
    try:
        with attacks.quiet_libraries():
            attacks.deep_fool(iris_arena, "classifier", SIZE, 0, EFFORT)
        assert logging.getLogger().handlers == []
    finally:
        logging.getLogger().handlers[:] = before
