"""Tables with a rare class, in ordinary Pipelines: what the defense costs on clean rows, and what evasion leaves.

    python -m benchmarks.defense.tables [--seeds 5] [SET ...]

The detector and M get rows of their own. The attack alters rows of the rare class that M recognizes: PGD where M has
a gradient, HopSkipJump on trees. A run goes on where the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time
import warnings
from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from sklearn.frozen import FrozenEstimator
from sklearn.metrics import precision_score, recall_score
from sklearn.pipeline import Pipeline

from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.ledger import Ledger
from benchmarks.defense.raw_attacks import evaded
from benchmarks.defense.raw_tables import CLASSIFIERS, SETS, Table, load_table, pipeline
from skaae import AdversarialAEDetector

LEDGER = Ledger.named("tables")
N_ROWS = 60
EPOCHS = None


def main() -> None:
    warnings.filterwarnings("ignore", "Rows that the classifier assigns|The defense cannot repair well")
    parser = parser_of(__doc__, list(SETS), seeds=5)
    parser.add_argument("--classifiers", nargs="*", default=list(CLASSIFIERS), choices=CLASSIFIERS)
    arguments = parsed(parser, SETS)
    for_each_set(arguments, partial(run_set, classifiers=arguments.classifiers))


def run_set(name: str, seed: int, classifiers: list[str]) -> None:
    """Run what one set has no results of yet."""
    table = load_table(name, seed)
    for classifier in classifiers:
        keys = {"set": name, "seed": seed, "classifier": classifier}
        if not LEDGER.done(**keys):
            model = pipeline(classifier, table, seed).fit(table.X_train, table.y_train)
            lines = list(judged(classifier, model, table, seed))
            LEDGER.write([{**keys, **line} for line in lines])
            shown = pd.DataFrame(lines).set_index("rows").round(3).T.to_string()
            print(f"\n{', '.join(map(str, keys.values()))}\n{shown}", flush=True)


def judged(classifier: str, model: Pipeline, table: Table, seed: int) -> Iterator[dict]:
    """A line for the clean test rows, and one for the rows of the rare class that were altered."""
    start = time.perf_counter()
    settings = {"mutable_features": table.mutable, "epochs": EPOCHS, "random_state": seed}
    detector = AdversarialAEDetector(FrozenEstimator(model), **settings).fit(table.X_detector)
    seconds = time.perf_counter() - start
    clean = detector.correct(table.X_test)
    yield {"rows": "clean", **of_clean(clean, table.y_test), "seconds": seconds}
    recognized = np.flatnonzero((clean.no_defense == 1) & (table.y_test == 1))[:N_ROWS]
    if len(recognized):
        altered = evaded(classifier, model, table, recognized, seed)
        yield {"rows": "evasion", **of_evasion(detector.correct(altered))}


def of_clean(result, y: np.ndarray) -> dict[str, float]:
    """Recall and precision of the rare class without and with defense, and false alarms by predicted class."""
    found = {"n": len(y)}
    for name, labels in {"without": result.no_defense, "corrected": result.corrected}.items():
        found[f"recall, {name}"] = recall_score(y, labels, zero_division=np.nan)
        found[f"precision, {name}"] = precision_score(y, labels, zero_division=np.nan)
    for name, label in {"common": 0, "rare": 1}.items():
        rows = result.no_defense == label
        found[f"false alarms, {name}"] = result.is_adversarial[rows].mean() if rows.any() else np.nan
    return found


def of_evasion(result) -> dict[str, float]:
    """Recall of altered rows of the rare class, all of which M recognized before."""
    labels = {"without": result.no_defense, "corrected": result.corrected}
    recalls = {f"recall, {name}": np.mean(values == 1) for name, values in labels.items()}
    return {"n": len(result.no_defense), **recalls, "flagged": result.is_adversarial.mean()}


if __name__ == "__main__":
    main()
