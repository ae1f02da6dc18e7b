"""Real processes."""

import os

import joblib
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier

from skaae._keras.devices import op_determinism
from skaae.robustness import evaluate_robustness
from skaae.robustness._parallel import _shared_processors
from tests.support.new_process import run_python

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("deterministic", [False, True])
def test_two_processes_have_the_figures_of_one(iris, deterministic):
    """For a classifier that gets a surrogate, which each process distills anew, also where scikeras was before."""
    X, y = iris
    forest = RandomForestClassifier(10, random_state=0).fit(X, y)
    named = {"attacks": ["noise", "FGSM", "PGD Linf"], "sizes": [0.3, 0.5], "n_samples": 40, "random_state": 0}
    with op_determinism(deterministic):
        one, two = (evaluate_robustness(forest, X, y, **named, n_jobs=n_jobs) for n_jobs in (1, 2))
    pd.testing.assert_frame_equal(one.frame.drop(columns="seconds"), two.frame.drop(columns="seconds"))
    assert one.checks.equals(two.checks)


def test_threads_of_joblib_are_not_used(iris, iris_model):
    """They would share what the attacks have done so far, and get the settings of a process of its own."""
    named = {"attacks": ["noise", "FGSM", "PGD Linf"], "sizes": [0.3], "n_samples": 30, "random_state": 0}
    environment = dict(os.environ)
    with joblib.parallel_config(backend="threading"):
        one, two = (evaluate_robustness(iris_model, *iris, **named, n_jobs=n_jobs) for n_jobs in (1, 2))
    pd.testing.assert_frame_equal(one.frame.drop(columns="seconds"), two.frame.drop(columns="seconds"))
    assert dict(os.environ) == environment


def test_time_limit(iris, iris_model):
    report = evaluate_robustness(iris_model, *iris, attacks=["FGSM"], n_jobs=2, time_limit=1e-6, random_state=0)
    assert report.stopped == "time limit"
    assert report.frame["attack"].unique().tolist() == ["clean"]


INTERRUPTED = """
import os, signal
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from skaae._keras.devices import op_determinism
from skaae.robustness import evaluate_robustness
from skaae.robustness._clock import Clock
signal.signal(signal.SIGINT, signal.default_int_handler)
Clock.step = lambda self, what: os.kill(os.getpid(), signal.SIGINT)  # Ctrl-C after the first attack
X, y = load_iris(return_X_y=True)
model = LogisticRegression(max_iter=1000).fit(X, y)
report = evaluate_robustness(model, X, y, attacks=["noise", "FGSM", "PGD Linf", "PGD L2"], n_jobs=2)
print(report.stopped, len(set(report.frame["attack"]) - {"clean", "worst case"}), len(report.not_tried) > 3)
"""


def test_interrupted():
    assert run_python(INTERRUPTED).strip() == "interrupted 1 True"


def test_environment_is_as_before(monkeypatch):
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    monkeypatch.delenv("TF_NUM_INTEROP_THREADS", raising=False)
    with _shared_processors(10**6):
        assert (os.environ["TF_NUM_INTRAOP_THREADS"], os.environ["TF_NUM_INTEROP_THREADS"]) == ("7", "1")
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == "7"
    assert "TF_NUM_INTEROP_THREADS" not in os.environ
