"""Is the threshold's promise kept? False alarms on fresh rows against the nominal rate, over many splits.

    python -m benchmarks.defense.promise [--seeds 20] [SET ...]

For each seed M and AE are trained anew. Rows that neither has seen set the threshold, 2,000 of them, or
each tenth of these; or 2,000 rows that M was trained on, which is what `fit` does with a classifier that comes
fitted with the same rows. A run goes on where the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import warnings
from collections.abc import Iterator
from itertools import product

import keras
import numpy as np

from benchmarks.common.data import load
from benchmarks.defense import victims
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.ledger import Ledger
from benchmarks.defense.sections import promise_table
from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._scoring.threshold import conformal_threshold

LEDGER = Ledger.named("promise")
SETS = ("magic", "letter", "adult")  # which have the rows for it
PERCENTILES = (90, 95, 99)
EPOCHS = 10


def main() -> None:
    warnings.filterwarnings("ignore", ".* rows are too few to promise")
    for_each_set(parsed(parser_of(__doc__, ["magic", "letter"], seeds=20), SETS), run_set)
    print(promise_table(LEDGER.lines()).to_string())


def run_set(name: str, seed: int) -> None:
    """Run a split that has no results yet."""
    if not LEDGER.done(set=name, seed=seed):
        LEDGER.write(list(run(name, seed)))


def run(name: str, seed: int) -> Iterator[dict]:
    """False alarms on the fresh rows for each set of rows that sets the threshold."""
    split = load(name, seed)
    keras.backend.clear_session()
    model = victims.train(split, seed)
    detector = AdversarialAEDetector(
        FrozenKerasModel(model, from_logits=True), threshold=1.0, epochs=EPOCHS, random_state=seed
    )
    # AE leaves out the last 2,000 of M's training rows.
    detector.fit(split.X_train[:-2000])
    fresh = detector.adversarial_score(split.X_test)
    unseen = detector.adversarial_score(split.X_calibration)[:2000]
    ways = {
        "2000 unseen": [unseen],
        "200 unseen": np.split(unseen, 10),
        "2000 that M has seen": [detector.adversarial_score(split.X_train[-2000:])],
    }
    for way, parts in ways.items():
        for part, percentile in product(range(len(parts)), PERCENTILES):
            yield {
                "set": name,
                "seed": seed,
                "calibration rows": way,
                "part": part,
                "nominal": round(1 - percentile / 100, 2),
                "false alarms": np.mean(fresh > conformal_threshold(parts[part], percentile)),
            }


if __name__ == "__main__":
    main()
