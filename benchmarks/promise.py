"""Is the threshold's promise kept? False alarms on fresh rows against the nominal rate, over many splits.

    python benchmarks/promise.py [--seeds 20] [SET ...]

For each seed M and AE are trained anew. Rows that neither has seen set the threshold, 2,000 or 200 of
them; or 2,000 rows that M was trained on, which is what `fit` does with a classifier that comes
fitted with the same rows.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import warnings
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import victims
from commands import parser_of
from data import load

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._threshold import conformal_threshold

RESULTS = Path(__file__).parent / "results" / "promise.csv"
PERCENTILES = (90, 95, 99)
EPOCHS = 10


def main() -> None:
    arguments = parser_of(__doc__, ["magic", "letter"], seeds=20).parse_args()
    warnings.filterwarnings("ignore", ".* rows are too few to promise")
    lines = [line for name in arguments.sets for seed in range(arguments.seeds) for line in run(name, seed)]
    results = pd.DataFrame(lines)
    RESULTS.parent.mkdir(exist_ok=True)
    results.to_csv(RESULTS, index=False, float_format="%.4f")
    table = results.groupby(["set", "calibration rows", "nominal"], sort=False)["false alarms"].agg(["mean", "std"])
    print(table.to_string(float_format="{:.4f}".format))


def run(name: str, seed: int):
    """False alarms on the fresh rows for each way to set the threshold."""
    split = load(name, seed)
    keras.backend.clear_session()
    model = victims.train(split, seed)
    detector = AdversarialAEDetector(
        FrozenKerasModel(model, from_logits=True), threshold=1.0, epochs=EPOCHS, random_state=seed
    )
    # AE leaves out the last 2,000 of M's training rows.
    detector.fit(split.X_train[:-2000])
    fresh = detector.adversarial_score(split.X_test)
    unseen = detector.adversarial_score(split.X_calibration)
    ways = {
        "2000 unseen": unseen[:2000],
        "200 unseen": unseen[:200],
        "2000 that M has seen": detector.adversarial_score(split.X_train[-2000:]),
    }
    for way, scores in ways.items():
        for percentile in PERCENTILES:
            alarms = np.mean(fresh > conformal_threshold(scores, percentile))
            yield {
                "set": name,
                "seed": seed,
                "calibration rows": way,
                "nominal": round(1 - percentile / 100, 2),
                "false alarms": alarms,
            }


if __name__ == "__main__":
    main()
