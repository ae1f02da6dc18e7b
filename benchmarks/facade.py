"""Does a script give the same with one import line changed? The facade beside alibi-detect.

    python benchmarks/facade.py

The same networks, weights and rows go to both; each scores them in its own environment (`make bench-peers`).
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import keras
import numpy as np

layers = keras.layers
MODULES = "skaae.alibi", "alibi_detect.ad"
CASES = {"plain": {}, "temperature 0.5": {"temperature": 0.5}, "hidden layer": {"w_model_hl": [0.3]}}
# Below it alibi-detect's clipped probabilities and logits part ways.
UNCLIPPED = 1e-6


def main() -> None:
    if len(sys.argv) > 1:
        score(sys.argv[1], Path(sys.argv[2]))
        return
    from peers import ENVIRONMENT

    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for module, interpreter in zip(MODULES, (sys.executable, ENVIRONMENT / "bin" / "python"), strict=True):
            subprocess.run([interpreter, __file__, module, folder], check=True, stdout=subprocess.DEVNULL)
        ours, theirs = (np.load(Path(folder) / f"{module}.npz") for module in MODULES)
        for case in CASES:
            sure = np.minimum(ours[f"{case} y"], ours[f"{case} y_reconstructed"]).min(axis=1) > UNCLIPPED
            difference = np.abs(ours[case] - theirs[case])
            print(f"{case:16} greatest difference {difference[sure].max():.1e} ({sure.sum()} of {len(sure)} rows)")


def prepare(folder: Path) -> None:
    """A trained classifier, and an autoencoder and a hidden model as they start."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((30,)), layers.Dense(16, "relu"), layers.Dense(2, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, y, epochs=10, verbose=0)
    model.save(folder / "model.keras")
    keras.Sequential([keras.Input((30,)), layers.Dense(16, "relu"), layers.Dense(30)]).save(folder / "ae.keras")
    keras.Sequential([keras.Input((30,)), layers.Dense(5, "softmax")]).save(folder / "hidden.keras")
    np.save(folder / "X.npy", X)


def score(module: str, folder: Path) -> None:
    """What a user's script does; the module is all that differs."""
    AdversarialAE = import_module(module).AdversarialAE
    networks = {
        name: keras.models.load_model(folder / f"{name}.keras", compile=False) for name in ("model", "ae", "hidden")
    }
    found = {}
    for case, options in CASES.items():
        hidden = {"model_hl": [networks["hidden"]]} if "w_model_hl" in options else {}
        detector = AdversarialAE(ae=networks["ae"], model=networks["model"], threshold=0.1, **hidden, **options)
        found[case], y, y_reconstructed = detector.score(np.load(folder / "X.npy"), return_predictions=True)
        found |= {f"{case} y": y, f"{case} y_reconstructed": y_reconstructed}
    np.savez(folder / f"{module}.npz", **found)


if __name__ == "__main__":
    main()
