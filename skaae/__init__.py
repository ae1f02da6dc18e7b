"""Detect and repair adversarial inputs of a frozen classifier, with scikit-learn's interface."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import skaae.alibi as alibi
    import skaae.metrics as metrics
    import skaae.onnx as onnx
    import skaae.robustness as robustness
    from skaae._attack_target import attack_target as attack_target
    from skaae._constraints import FeatureConstraints as FeatureConstraints
    from skaae._corrected import CorrectedClassifier as CorrectedClassifier
    from skaae._detector import AdversarialAEDetector as AdversarialAEDetector
    from skaae._displays.correction import CorrectionDisplay as CorrectionDisplay
    from skaae._displays.explanation import ExplanationDisplay as ExplanationDisplay
    from skaae._displays.robustness import RobustnessDisplay as RobustnessDisplay
    from skaae._displays.score import ScoreDisplay as ScoreDisplay
    from skaae._frozen_keras_model import FrozenKerasModel as FrozenKerasModel
    from skaae._persistence import TRUSTED_TYPES as TRUSTED_TYPES

__version__ = "0.1.0"
_MODULES = {
    "AdversarialAEDetector": "skaae._detector",
    "CorrectedClassifier": "skaae._corrected",
    "CorrectionDisplay": "skaae._displays.correction",
    "ExplanationDisplay": "skaae._displays.explanation",
    "FeatureConstraints": "skaae._constraints",
    "RobustnessDisplay": "skaae._displays.robustness",
    "ScoreDisplay": "skaae._displays.score",
    "attack_target": "skaae._attack_target",
    "FrozenKerasModel": "skaae._frozen_keras_model",
    "TRUSTED_TYPES": "skaae._persistence",
}
_SUBMODULES = ("alibi", "metrics", "onnx", "robustness")
__all__ = [
    "TRUSTED_TYPES",
    "AdversarialAEDetector",
    "CorrectedClassifier",
    "CorrectionDisplay",
    "ExplanationDisplay",
    "FeatureConstraints",
    "FrozenKerasModel",
    "RobustnessDisplay",
    "ScoreDisplay",
    "__version__",
    "alibi",
    "attack_target",
    "metrics",
    "onnx",
    "robustness",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use, because TensorFlow takes seconds to load."""
    if name in _SUBMODULES:
        return import_module(f"skaae.{name}")
    if name not in _MODULES:
        raise AttributeError(f"module 'skaae' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
