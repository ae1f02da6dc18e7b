"""The benchmark of the defence: every method against every attack, on the same networks and rows.

    python benchmarks/defence.py [--seeds 3] [SET ...]

A line of results/defence.csv for each set, seed, method and attack, written as it is known. A run goes
on where the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import logging
import warnings
from pathlib import Path

import attacks
import numpy as np
import pandas as pd
import victims
from data import IMAGES, TABLES, UnavailableError, load
from methods import METHODS, ONLY_IMAGES, PERCENTILE, Fitted
from sklearn.metrics import roc_auc_score

from skaae._threshold import conformal_threshold

logging.getLogger("tensorflow").setLevel(logging.ERROR)
warnings.filterwarnings("ignore", "PyTorch not found")
RESULTS = Path(__file__).parent / "results" / "defence.csv"
N_ROWS = 300
KNOWING_STEPS, KNOWING_RESTARTS = 100, 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=[*TABLES, *IMAGES])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    unknown = set(arguments.sets) - {*IMAGES, *TABLES}
    if unknown:
        parser.error(f"unknown sets: {sorted(unknown)}")
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            try:
                run_set(name, seed)
            except UnavailableError as error:
                print(f"skipped {name}: {error}")


def run_set(name: str, seed: int) -> None:
    """Run every method on one set that has no results yet."""
    wanted = [method for method in METHODS if not done(name, seed, method)]
    if not wanted:
        return
    split = load(name, seed)
    model = victims.network(name, split, seed)
    attacked = attacks.unaware(name, model, split, N_ROWS, seed)
    for method in wanted:
        if method in ONLY_IMAGES and not split.is_image:
            continue
        fitted = METHODS[method](model, split, seed)
        lines = list(judge(fitted, model, split, attacked))
        write([{"set": name, "seed": seed, "method": method, **line} for line in lines])
        shown = pd.DataFrame(lines).set_index("attack")[["auc", "corrected", "without"]]
        print(f"\n{name}, seed {seed}: {method} ({fitted.seconds:.0f} s)\n{shown.round(3).to_string()}", flush=True)


def judge(fitted: Fitted, model, split, attacked):
    """A line for the clean rows and for each attack."""
    threshold = conformal_threshold(fitted.score(split.X_calibration), PERCENTILE)
    clean = Predictions.of(fitted, model, split.X_test, threshold)
    yield {"attack": "clean", "seconds": fitted.seconds, **clean.summary(split.y_test)}
    y, clean = split.y_test[:N_ROWS], clean[:N_ROWS]
    for name, rows in attacked.items():
        found = Predictions.of(fitted, model, rows, threshold)
        yield {"attack": name, "auc": auc(clean, found), **found.summary(y)}
    if fitted.autoencoder is not None:
        yield from judge_knowing(fitted, model, split, threshold)


def judge_knowing(fitted: Fitted, model, split, threshold):
    """Attacks that know the defence: a row counts as right only if every restart left it right."""
    y = split.y_test[:N_ROWS]
    for size in attacks.KNOWING_SIZES[attacks.kind(split)]:
        restarts = attacks.knowing(
            model, fitted.autoencoder, split, N_ROWS, size, steps=KNOWING_STEPS, restarts=KNOWING_RESTARTS
        )
        for name, found in restarts.items():
            right = [Predictions.of(fitted, model, rows, threshold).corrected == y for rows in found]
            yield {"attack": f"knowing, {name} {size}", "corrected": np.mean(np.all(right, axis=0))}


class Predictions:
    """Flags and labels of some rows."""

    def __init__(self, score, flagged, given, repaired):
        self.score, self.flagged, self.given, self.repaired = score, flagged, given, repaired
        self.corrected = np.where(flagged, repaired, given)

    @classmethod
    def of(cls, fitted: Fitted, model, X, threshold: float) -> Predictions:
        score = fitted.score(X)
        given = model.predict(X, verbose=0, batch_size=1000).argmax(axis=1)
        repaired = fitted.repaired_labels(X) if fitted.repaired_labels else given
        return cls(score, score > threshold, given, repaired)

    def __getitem__(self, rows) -> Predictions:
        return Predictions(self.score[rows], self.flagged[rows], self.given[rows], self.repaired[rows])

    def summary(self, y) -> dict[str, float]:
        accuracies = {"without": self.given, "corrected": self.corrected, "reconstructed": self.repaired}
        return {**{name: np.mean(labels == y) for name, labels in accuracies.items()}, "flagged": self.flagged.mean()}


def auc(clean: Predictions, attacked: Predictions) -> float:
    """Attacked rows whose label changed against the clean ones."""
    changed = attacked.given != clean.given
    if not changed.any():
        return np.nan
    scores = np.concatenate([clean.score, attacked.score[changed]])
    return roc_auc_score(np.repeat([0, 1], [len(clean.score), changed.sum()]), scores)


def done(name: str, seed: int, method: str) -> bool:
    if not RESULTS.exists():
        return False
    found = pd.read_csv(RESULTS)
    return bool(((found["set"] == name) & (found["seed"] == seed) & (found["method"] == method)).any())


def write(lines: list[dict]) -> None:
    """Add lines to the results, all or none: a whole new file takes the place of the old one."""
    RESULTS.parent.mkdir(exist_ok=True)
    frame = pd.DataFrame(lines)
    if RESULTS.exists():
        frame = pd.concat([pd.read_csv(RESULTS), frame])
    temporary = RESULTS.with_suffix(".part")
    frame.to_csv(temporary, index=False, float_format="%.4f")
    temporary.rename(RESULTS)


if __name__ == "__main__":
    main()
