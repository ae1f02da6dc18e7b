"""Detection and repair of adversarial inputs of a frozen classifier, for scikit-learn."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from skaae._classifiers import FrozenKerasModel as FrozenKerasModel
    from skaae._detector import AdversarialAEDetector as AdversarialAEDetector

__version__ = "0.1.0"
_MODULES = {
    "AdversarialAEDetector": "skaae._detector",
    "FrozenKerasModel": "skaae._classifiers",
}
__all__ = ["AdversarialAEDetector", "FrozenKerasModel", "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used: TensorFlow takes seconds to load."""
    if name not in _MODULES:
        raise AttributeError(f"module 'skaae' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
