import skaae
from skaae import robustness


def test_public_names():
    assert skaae.robustness is robustness
    assert sorted(robustness.__all__) == ["RobustnessReport", "evaluate_robustness", "robust_accuracy_scorer"]
