"""Attack a classifier, with or without a defense, in one call, and report what is left."""

from skaae.robustness._evaluation import evaluate_robustness
from skaae.robustness._report import RobustnessReport
from skaae.robustness._scorer import robust_accuracy_scorer

__all__ = ["RobustnessReport", "evaluate_robustness", "robust_accuracy_scorer"]
