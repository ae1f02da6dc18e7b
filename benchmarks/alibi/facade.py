"""Does a script give the same with one import line changed? The facade beside alibi-detect.

    python -m benchmarks.alibi.facade

The same networks, weights and rows go to both; each scores them in its own environment (`make bench-peers`). Where
the classifier ends in logits or in one sigmoid unit, alibi-detect is given the same one with a softmax: of the
others it makes no divergence.
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
NETS = {"encoder_net": "encoder", "decoder_net": "decoder"}
TWO = {"model_hl": ["hidden", "narrow"], "w_model_hl": [0.3, 0.7]}
# What AdversarialAE is given beside a threshold, with networks by their names, and what `fit`, of three steps.
CASES = {
    "softmax": ({}, None),
    "temperature 0.5": ({"temperature": 0.5}, None),
    "temperature 2": ({"temperature": 2.0}, None),
    "hidden model": ({"model_hl": ["hidden"]}, None),
    "two hidden models, weighted": (TWO, None),
    "the same, temperature 0.5": ({**TWO, "temperature": 0.5}, None),
    "encoder and decoder": ({"ae": None, **NETS}, None),
    "logits": ({"model": "logits"}, None),
    "logits, temperature 0.5": ({"model": "logits", "temperature": 0.5}, None),
    "one sigmoid unit": ({"model": "sigmoid"}, None),
    "one sigmoid unit, temperature 0.5": ({"model": "sigmoid", "temperature": 0.5}, None),
    "trained": ({}, {}),
    "trained, temperature 0.5": ({"temperature": 0.5}, {"w_model": 0.5}),
    "trained, two hidden models": (TWO, {}),
    "trained, logits": ({"model": "logits"}, {}),
    "trained with w_recon": ({}, {"w_recon": 0.5}),
}
# Below it alibi-detect's clipped probabilities and logits part ways.
UNCLIPPED = 1e-6
THRESHOLD = 0.1


def main() -> None:
    if len(sys.argv) > 1:
        run(sys.argv[1], Path(sys.argv[2]))
        return
    from benchmarks.common.peers import ENVIRONMENT

    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for module, interpreter in zip(MODULES, (sys.executable, ENVIRONMENT / "bin" / "python"), strict=True):
            subprocess.run([interpreter, __file__, module, folder], check=True, stdout=subprocess.DEVNULL)
        ours, theirs = (np.load(Path(folder) / f"{module}.npz") for module in MODULES)
        print("| case | greatest difference of a score | rows with no probability below 1e-6 | other labels or flags |")
        print("|---|---|---|---|")
        for case in CASES:
            print(line(case, ours, theirs))


def line(case: str, ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> str:
    sure = np.minimum(ours[f"{case} y"], ours[f"{case} y_reconstructed"]).min(axis=1) > UNCLIPPED
    difference = np.abs(ours[f"{case} score"] - theirs[f"{case} score"])[sure].max()
    names = [f"{case} {name}" for name in ("is_adversarial", "corrected", "no_defense", "defense")]
    others = sum(int((ours[name] != theirs[name]).sum()) for name in names)
    return f"| {case} | {difference:.1e} | {sure.sum()} of {len(sure)} | {others} |"


def prepare(folder: Path) -> None:
    """A trained classifier with each kind of output; autoencoders and hidden models as they start."""
    from sklearn.datasets import load_breast_cancer
    from sklearn.preprocessing import StandardScaler

    X, y = load_breast_cancer(return_X_y=True)
    X = StandardScaler().fit_transform(X).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = network(30, layers.Dense(16, "relu"), layers.Dense(2, "softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(X, y, epochs=10, verbose=0)
    hidden, (kernel, bias) = model.layers[0], model.layers[1].get_weights()
    logits, sigmoid = (network(30, hidden, layers.Dense(*last)) for last in ((2,), (1, "sigmoid")))
    logits.layers[1].set_weights([kernel, bias])
    sigmoid.layers[1].set_weights([kernel[:, 1:] - kernel[:, :1], bias[1:] - bias[:1]])
    networks = {
        "model": model,
        "logits": logits,
        "sigmoid": sigmoid,
        "ae": network(30, layers.Dense(16, "relu"), layers.Dense(30)),
        "encoder": network(30, layers.Dense(16, "relu")),
        "decoder": network(16, layers.Dense(30)),
        "hidden": network(30, layers.Dense(5, "softmax")),
        "narrow": network(30, layers.Dense(2, "softmax")),
    }
    for name, saved in networks.items():
        saved.save(folder / f"{name}.keras")
    np.save(folder / "X.npy", X)


def network(n_features: int, *parts: keras.Layer) -> keras.Model:
    return keras.Sequential([keras.Input((n_features,)), *parts])


def run(module: str, folder: Path) -> None:
    """What a user's script does; the module, and the last activation of the classifier, are all that differs."""
    X, found = np.load(folder / "X.npy"), {}
    for case, (options, training) in CASES.items():
        detector = build(module, folder, options)
        if training is not None:
            detector.fit(
                X, optimizer=keras.optimizers.SGD(0.01), epochs=3, batch_size=len(X), verbose=False, **training
            )
        names = "score", "y", "y_reconstructed"
        found |= dict(
            zip([f"{case} {name}" for name in names], detector.score(X, return_predictions=True), strict=True)
        )
        found |= {f"{case} {name}": values for name, values in detector.correct(X)["data"].items()}
    np.savez(folder / f"{module}.npz", **found)


def build(module: str, folder: Path, options: dict[str, object]) -> object:
    def load(name: str) -> keras.Model:
        return keras.models.load_model(folder / f"{name}.keras", compile=False)

    given = {"model": "model", "ae": "ae", **options}
    if module != MODULES[0]:
        given["model"] = "model"
    loaded = {name: load(value) if isinstance(value, str) else value for name, value in given.items()}
    if "model_hl" in loaded:
        loaded["model_hl"] = [load(name) for name in loaded["model_hl"]]
    return import_module(module).AdversarialAE(threshold=THRESHOLD, **loaded)


if __name__ == "__main__":
    main()
