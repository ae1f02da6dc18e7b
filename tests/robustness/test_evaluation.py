import signal
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from xgboost import XGBClassifier

from skaae import AdversarialAEDetector, CorrectedClassifier, FeatureConstraints
from skaae.robustness import evaluate_robustness
from skaae.robustness._efforts import EFFORTS
from tests.support.models import QUICK
from tests.support.new_process import run_python


def test_bare_classifier(bare_report):
    frame = bare_report.frame
    assert set(frame["attacker"]) == {"none", "unaware"}
    assert {"clean", "noise", "FGSM", "PGD Linf", "DeepFool L2", "worst case"} <= set(frame["attack"])
    assert bare_report.accuracy("unaware") < bare_report.accuracy() - 0.1
    noise = frame[(frame["attack"] == "noise") & (frame["size"] == 0.5)]["accuracy"].item()
    assert noise > bare_report.accuracy("unaware"), "noise is no attack"
    assert "Square" in bare_report.not_tried
    assert "joint PGD" not in bare_report.not_tried


def test_detector(defended_report):
    frame = defended_report.frame
    assert set(frame["attacker"]) == {"none", "unaware", "knowing"}
    assert {"flagged", "undetected", "accuracy_without_defense", "recall_setosa"} <= set(frame.columns)
    assert (frame["undetected"] <= 1 - frame["accuracy"] + 1e-9).all()
    assert defended_report.settings["gradient"] == "of the classifier"


def test_same_figures_every_time(iris, iris_model):
    first, second = (
        evaluate_robustness(iris_model, *iris, attacks=["noise", "FGSM"], sizes=0.5, n_samples=30, random_state=3)
        for _ in range(2)
    )
    pd.testing.assert_frame_equal(first.frame.drop(columns="seconds"), second.frame.drop(columns="seconds"))
    assert (first.rows == second.rows).all()
    assert np.bincount(iris[1][first.rows]).tolist() == [10, 10, 10], "with the shares of the classes"


@pytest.fixture(scope="module")
def loans():
    generator = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "job": generator.choice(["cook", "baker"], 300),
            "age": generator.integers(18, 80, 300),
            "debt": generator.lognormal(size=300),
        }
    )
    y = np.where(X["debt"] + (X["job"] == "cook") > 1.6 + 0.01 * X["age"], "bad", "good")
    return X, y


def pipeline(classifier):
    encoder = make_column_transformer((OneHotEncoder(), ["job"]), (StandardScaler(), ["age", "debt"]))
    return make_pipeline(encoder, classifier)


def test_raw_columns_and_constraints(loans):
    X, y = loans
    model = pipeline(LogisticRegression()).fit(X, y)
    both, one = (
        evaluate_robustness(model, X, y, attacks=["FGSM"], sizes=0.5, n_samples=100, constraints=only, random_state=0)
        for only in (None, FeatureConstraints.from_data(X, ["age"]))
    )
    assert both.settings["features that move"] == 2
    assert one.settings["features that move"] == 1
    assert both.accuracy("unaware") < both.accuracy() - 0.1
    assert one.accuracy("unaware") > both.accuracy("unaware")


@pytest.mark.slow
def test_mutable_features_of_the_detector(loans):
    X, y = loans
    model = pipeline(LogisticRegression()).fit(X, y)
    detector = AdversarialAEDetector(model, **QUICK, mutable_features=["debt"]).fit(X)
    report = evaluate_robustness(detector, X, y, attacks=["noise"], n_samples=40, random_state=0)
    assert report.settings["features that move"] == 1


@pytest.mark.slow
def test_mutable_features_behind_transformers(iris):
    """They are not columns of X."""
    X, y = iris
    scaler = StandardScaler().fit(X)
    classifier = LogisticRegression().fit(scaler.transform(X), y)
    detector = AdversarialAEDetector(classifier, **QUICK, mutable_features=[0]).fit(scaler.transform(X))
    model, chosen = make_pipeline(scaler, detector), FeatureConstraints.from_data(X, [0])
    with pytest.raises(ValueError, match=r"mutable_features=\[0\], which are columns of what the transformers before"):
        evaluate_robustness(model, X, y, attacks=["noise"])
    report = evaluate_robustness(model, X, y, attacks=["noise"], n_samples=40, constraints=chosen, random_state=0)
    assert report.settings["features that move"] == 1


@pytest.mark.slow
def test_boosted_trees_are_attacked_through_a_surrogate_and_without(loans, short_distillation):
    X, y = loans
    labels = (y == "good").astype(int)
    model = pipeline(XGBClassifier(n_estimators=20, n_jobs=1)).fit(X, labels)
    report = evaluate_robustness(model, X, labels, n_samples=60, random_state=0)
    kinds = dict(zip(report.frame["attack"], report.frame["kind"], strict=True))
    assert kinds["PGD Linf"] == "transfer"
    assert kinds["Square"] == "gradient-free"
    assert report.settings["gradient"] == "of a surrogate"
    assert report.accuracy("unaware") < report.accuracy()


@pytest.mark.slow
def test_corrected_forest_in_a_pipeline(cancer):
    X, y = cancer
    detector = AdversarialAEDetector(RandomForestClassifier(20, random_state=0), epochs=5, random_state=0)
    model = make_pipeline(StandardScaler(), CorrectedClassifier(detector)).fit(X[::2], y[::2])
    report = evaluate_robustness(model, X[1::2], y[1::2], n_samples=60, random_state=0)
    attacks = set(report.frame["attack"])
    assert {"Square", "Square on the decision", "composite PGD", "decision PGD"} <= attacks
    assert report.settings["estimator"] == "CorrectedClassifier in Pipeline"
    worst = report.frame[report.frame["attack"] == "worst case"]
    assert (worst["accuracy"].diff()[worst["attacker"].eq(worst["attacker"].shift())] <= 0).all()


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["standard", "thorough"])
def test_larger_presets(iris, strict_detector, preset, monkeypatch):
    X, y = iris[0], strict_detector.classes_[iris[1]]
    quick = {
        "steps": 5,
        "restarts": 2,
        "search": (2, 20),
        "questions": 20,
        "jumps": 1,
        "evaluations": 20,
        "jump_rows": 3,
    }
    monkeypatch.setitem(EFFORTS, preset, replace(EFFORTS[preset], **quick))
    report = evaluate_robustness(strict_detector, X, y, attacks=preset, n_samples=30, random_state=0)
    assert report.stopped is None
    assert {"AutoPGD Linf", "Carlini-Wagner L2", "Square on the decision"} <= set(report.frame["attack"])
    if preset == "thorough":
        rows = report.frame.set_index("attack")["rows"]
        assert (rows["HopSkipJump on the decision"] < 30).all(), "it takes them one after the other"


@pytest.mark.slow
def test_images(digit_images, images_detector):
    X, y = digit_images
    attacks = ["PGD Linf", "SLIDE L1", "Square", "joint PGD"]
    report = evaluate_robustness(images_detector, X[:60], y[:60], attacks=attacks, random_state=0)
    assert report.settings["unit of sizes"] == "range"
    assert report.frame["size"].max() > 0.2
    assert report.accuracy("unaware") < report.accuracy()


def test_time_limit(iris, iris_model):
    report = evaluate_robustness(iris_model, *iris, time_limit=1e-6, random_state=0)
    assert report.stopped == "time limit"
    assert report.frame["attack"].tolist() == ["clean"]
    assert {"FGSM", "PGD Linf"} <= set(report.not_tried)
    assert "Ended early" in repr(report)


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"sizes": [0.1, 0.0]}, ValueError, "sizes must be positive numbers"),
        ({"sizes": "large"}, ValueError, "sizes must be positive numbers, got 'large'"),
        ({"attacks": "quick"}, ValueError, "attacks must be one of"),
        ({"attacks": 3}, TypeError, "attacks must be the name of a set"),
        ({"unit": "meter"}, ValueError, "unit must be one of"),
        ({"constraints": [0]}, TypeError, "constraints must be FeatureConstraints or None, got list"),
        ({"n_samples": 0}, ValueError, "n_samples must be an integer of at least 1"),
        ({"time_limit": -1}, ValueError, "time_limit must be a positive number"),
    ],
)
def test_invalid_arguments(iris, iris_model, options, error, says):
    with pytest.raises(error, match=says):
        evaluate_robustness(iris_model, *iris, **options)


def test_invalid_rows_and_labels(iris, iris_model):
    X, y = iris
    with pytest.raises(ValueError, match=r"classes of the classifier only, which are \[0, 1, 2\], but contains \[3\]"):
        evaluate_robustness(iris_model, X, np.where(y == 2, 3, y))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        evaluate_robustness(iris_model, X, y[1:])
    with pytest.raises(ValueError, match="NaN"):
        evaluate_robustness(iris_model, np.where(X > 2, np.nan, X), y)
    with pytest.raises(TypeError, match="regressor"):
        evaluate_robustness(LinearRegression().fit(X, y), X, y)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no timer that interrupts")
def test_interruption_returns_what_was_finished(iris, iris_model):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 8)
    try:
        report = evaluate_robustness(iris_model, *iris, attacks="thorough", random_state=0)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert report.stopped == "interrupted"
    assert report.frame["attack"].iloc[0] == "clean"
    assert "HopSkipJump L2" in report.not_tried
    assert "SKIP" in set(report.checks["status"])


@pytest.mark.slow
def test_without_foolbox_the_error_names_the_extra():
    shown = run_python("""
        import sys
        sys.modules["foolbox"] = None  # as if it were not installed
        from sklearn.datasets import load_iris
        from sklearn.linear_model import LogisticRegression
        from skaae.robustness import evaluate_robustness
        X, y = load_iris(return_X_y=True)
        try:
            evaluate_robustness(LogisticRegression(max_iter=500).fit(X, y), X, y)
        except ImportError as error:
            print(error)
    """)
    assert "pip install 'skaae[attacks]'" in shown


class TestPromise:
    """What false alarms are compared with."""

    def test_is_that_of_the_thresholds(self, iris, iris_model):
        detector = AdversarialAEDetector(iris_model, **QUICK).fit(iris[0]).infer_threshold(iris[0], 50)
        check = (
            evaluate_robustness(detector, *iris, attacks=["noise"], random_state=0)
            .checks.set_index("code")
            .loc["SKA002"]
        )
        assert check["status"] != "FAIL"
        assert "50" in check["sentence"] or "0.5" in check["sentence"]

    @pytest.mark.parametrize("how", ["given afterwards", "above all scores"])
    def test_there_is_none(self, iris, iris_model, how):
        detector = AdversarialAEDetector(iris_model, **QUICK, threshold_percentile=80).fit(iris[0])
        if how == "given afterwards":
            detector.threshold_ = 0.0
        else:
            detector.infer_threshold(iris[0], 100)
        report = evaluate_robustness(detector, *iris, attacks=["noise"], random_state=0)
        assert report.checks.set_index("code").loc["SKA002", "status"] == "SKIP"
