"""Tree ensembles as M, under an attack that asks for labels only: HopSkipJump of ART.

    python -m benchmarks.defense.trees [--seeds 3] [SET ...]

A line of results/trees.csv for each set, seed, classifier, method and kind of rows. A run goes on where the
last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time
from functools import partial

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from xgboost import XGBClassifier

from benchmarks.common.data import CACHE, TABLES, Split, load
from benchmarks.defense import attacks
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.judging import judge_unaware
from benchmarks.defense.ledger import Ledger
from benchmarks.defense.methods import METHODS, labels

LEDGER = Ledger.named("trees")
CLASSIFIERS = {
    "random forest": RandomForestClassifier,
    "histogram boosting": HistGradientBoostingClassifier,
    "XGBoost": partial(XGBClassifier, n_jobs=1),  # threads cost more than they bring, here too
}
JUDGED = ("skaae", "published method", "isolation forest", "maximum probability")
N_ROWS = 100


def main() -> None:
    parser = parser_of(__doc__, ["spambase", "magic"], seeds=3)
    parser.add_argument("--classifiers", nargs="*", default=list(CLASSIFIERS), choices=CLASSIFIERS)
    arguments = parsed(parser, TABLES)
    for_each_set(arguments, partial(run_set, classifiers=arguments.classifiers))


def run_set(name: str, seed: int, classifiers: list[str]) -> None:
    """Run what one set has no results of yet."""
    split = load(name, seed)
    for classifier in classifiers:
        keys = {"set": name, "seed": seed, "classifier": classifier}
        wanted = [method for method in JUDGED if not LEDGER.done(**keys, method=method)]
        if wanted:
            run_classifier(keys, wanted, split)


def run_classifier(keys: dict, wanted: list[str], split: Split) -> None:
    """Run some methods on one classifier."""
    model = CLASSIFIERS[keys["classifier"]](random_state=keys["seed"]).fit(split.X_train, split.y_train)
    rows = np.flatnonzero(labels(model, split.X_test) == split.y_test)[:N_ROWS]
    attacked = {"HopSkipJump L2": cached(keys, model, split, rows)}
    for method in wanted:
        fitted = METHODS[method](model, split, keys["seed"])
        lines = list(judge_unaware(fitted, model, split, attacked, rows))
        LEDGER.write([{**keys, "method": method, **line} for line in lines])
        shown = pd.DataFrame(lines).set_index("attack").round(3).to_string()
        print(f"\n{', '.join(map(str, keys.values()))}: {method} ({fitted.seconds:.0f} s)\n{shown}", flush=True)


def cached(keys: dict, model: ClassifierMixin, split: Split, rows: np.ndarray) -> np.ndarray:
    """The attacked rows, computed once."""
    folder = CACHE / "attacked" / f"{keys['set']}-{keys['seed']}-{keys['classifier']}"
    path = folder / f"HopSkipJump-{len(rows)}.npy"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        start = time.perf_counter()
        np.save(path, attacks.hop_skip_jump(model, split, rows, keys["seed"]))
        print(f"attacked {len(rows)} rows in {time.perf_counter() - start:.0f} s", flush=True)
    return np.load(path)


if __name__ == "__main__":
    main()
