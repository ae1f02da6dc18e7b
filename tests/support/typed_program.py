"""A program of a user who checks types: `mypy --strict` has to find nothing in it, and `test_typing.py` runs that."""

from typing import TYPE_CHECKING, assert_type

import numpy as np

import skaae
from skaae import (
    TRUSTED_TYPES,
    AdversarialAEDetector,
    CorrectedClassifier,
    CorrectionDisplay,
    ExplanationDisplay,
    FeatureConstraints,
    FrozenKerasModel,
    RobustnessDisplay,
    ScoreDisplay,
    attack_target,
)
from skaae.alibi import AdversarialAE
from skaae.metrics import TruePositiveRateAt, corrected_accuracy, defense_report, detection_auc
from skaae.onnx import OnnxDetector, to_onnx
from skaae.robustness import RobustnessReport, evaluate_robustness, robust_accuracy_scorer

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def defend(model: object, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    frozen = FrozenKerasModel(model, classes=["cat", "dog"])
    detector = AdversarialAEDetector(frozen, hidden_layers={"last": 3}, epochs=3, random_state=0).fit(X, y)
    assert_type(detector, AdversarialAEDetector)
    assert_type(detector.infer_threshold(X, threshold_percentile=90), AdversarialAEDetector)
    assert_type(detector.threshold_, float)
    assert_type(detector.offset_, float)
    assert_type(detector.history_, dict[str, list[float]])
    for found in (
        detector.predict(X),
        detector.score_samples(X),
        detector.decision_function(X),
        detector.adversarial_score(X),
        frozen.predict_proba(X),
    ):
        assert_type(found, np.ndarray)
    print(detector.transform(X), detector.reconstruct(X))  # DataFrames where X is one of categories
    corrected = CorrectedClassifier(detector).fit(X, y)
    print(
        corrected.predict_proba(X).shape, detector.correct(X).corrected, attack_target(detector, "both"), TRUSTED_TYPES
    )
    return corrected.predict(X)


def judge(detector: AdversarialAEDetector, X: np.ndarray, y: np.ndarray, attacked: np.ndarray) -> float:
    print(skaae.__version__, defense_report(detector, X, y, attacked={"pgd": attacked}))
    scores = detection_auc(detector, X, y), TruePositiveRateAt(0.05)(detector, X, y), corrected_accuracy(detector, X, y)
    return max(scores)


def attack(model: object, X: np.ndarray, y: np.ndarray) -> bool:
    report = evaluate_robustness(model, X, y, attacks="fast", sizes=[0.1, 0.3], n_samples=100, random_state=0)
    assert_type(report, RobustnessReport)
    assert_type(report.to_html("report.html"), str)
    print(report.frame, report.checks, report.plot().get_xlabel(), report.accuracy("unaware", 0.3))
    assert_type(robust_accuracy_scorer(["PGD Linf"], 0.3)(model, X, y), float)
    return report.passed()


def draw(detector: AdversarialAEDetector, X: np.ndarray, y: np.ndarray, ax: "Axes") -> None:
    score = ScoreDisplay.from_estimator(detector, X, X, bins=20, ax=ax)
    print(score.false_alarm_rate, score.ax_.get_xlabel(), score.figure_)
    print(ScoreDisplay.from_predictions([0.1], threshold=0.3).plot().legend_)
    print(CorrectionDisplay.from_estimator(detector, X, y, samples=2).plot(n_features=3).axes_)
    print(ExplanationDisplay.from_estimator(detector, X, row=3).plot(ax).bars_, detector.explain(X, n_features=2))
    print(RobustnessDisplay.from_estimator(detector, {0.1: X}, y).plot(ax).lines_["corrected"])


def constrain(X: np.ndarray) -> np.ndarray:
    constraints = FeatureConstraints.from_data(X, mutable_features=[0], relations=[np.any])
    detector = AdversarialAEDetector(object(), mutable_features=constraints.mutable_features)
    print(constraints.check(X), detector.mutable_features)
    valid: np.ndarray = constraints.project(X)
    return valid


def deploy(detector: AdversarialAEDetector, X: np.ndarray) -> np.ndarray:
    to_onnx(detector, "detector.onnx")
    loaded = OnnxDetector("detector.onnx")
    assert_type(loaded.offset_, float)
    return loaded.score_samples(X)


def migrate(ae: object, model: object, X: np.ndarray) -> dict[str, object]:
    ad = AdversarialAE(ae=ae, model=model)
    ad.fit(X, epochs=3, verbose=False)
    ad.infer_threshold(X, threshold_perc=95)
    return {**ad.predict(X), **ad.correct(X)}
