import numpy as np
import pytest

from skaae.robustness._clock import Clock
from skaae.robustness._efforts import EFFORTS
from skaae.robustness._plan import Plan, chosen_rows


def plan(estimator, X, y, **other):
    known = {"attacks": ["noise", "FGSM"], "effort": EFFORTS["fast"], "sizes": [0.5], "unit": "auto"}
    return Plan(estimator, X, y, **{**known, "constraints": None, "n_samples": 30, "seed": 0, **other})


def test_rows_are_drawn_with_the_shares_of_the_classes():
    positions = np.repeat([0, 1], [90, 10])
    rows = chosen_rows(positions, 20, 0)
    assert np.bincount(positions[rows]).tolist() == [18, 2]
    assert (np.diff(rows) > 0).all()
    assert chosen_rows(positions, 100, 0).tolist() == list(range(100))


def test_answers_for_the_chosen_rows_are_those_among_all(iris, iris_model):
    beginning = plan(iris_model, *iris).begin()
    everything = beginning.target.judge(beginning.X)
    given, computed = (beginning.campaign(Clock(), known).clean for known in (everything, None))
    assert len(given.right) == 30
    assert (given.right == computed.right).all()


@pytest.mark.parametrize("y", [["setosa"], ["setosa"] * 149 + ["rose"]])
def test_invalid_labels(iris, iris_model, y):
    with pytest.raises(ValueError, match=r"inconsistent numbers of samples|contains \['rose', 'setosa'\]"):
        plan(iris_model, iris[0], y).begin()
