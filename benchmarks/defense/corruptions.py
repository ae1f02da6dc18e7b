"""Natural corruptions of images: the score of those that mislead M against those that do not.

    python -m benchmarks.defense.corruptions [--seeds 3] [SET ...]

A row is harmful if M is right on the clean image and wrong on the corrupted one, harmless if it stays right.
A line of results/corruptions.csv for each set, seed, method, corruption and severity. A run goes on where
the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from collections.abc import Iterator

import keras
import numpy as np
import pandas as pd

from benchmarks.common.data import CACHE, IMAGES, Split, load
from benchmarks.defense import victims
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.judging import Predictions, separation, thresholds_of
from benchmarks.defense.ledger import Ledger
from benchmarks.defense.methods import METHODS, Fitted, labels

LEDGER = Ledger.named("corruptions")
JUDGED = ("skaae", "published method", "mean squared error", "maximum probability", "isolation forest")
SEVERITIES = range(1, 6)
SKIPPED = {"saturate": "gray images have no saturation"}
N_ROWS = 300
# The package takes no image below 32 pixels a side.
MARGIN = 2


def main() -> None:
    for_each_set(parsed(parser_of(__doc__, ["mnist5k", "fashion"], seeds=3), IMAGES), run_set)


def run_set(name: str, seed: int) -> None:
    """Run every method on one set that has no results yet."""
    keys = {"set": name, "seed": seed}
    wanted = [method for method in JUDGED if not LEDGER.done(**keys, method=method)]
    if not wanted:
        return
    split = load(name, seed)
    model = victims.network(name, split, seed)
    corrupted = cached(name, split, seed)
    for method in wanted:
        fitted = METHODS[method](model, split, seed)
        lines = list(judge(fitted, model, split, corrupted))
        LEDGER.write([{**keys, "method": method, **line} for line in lines])
        shown = pd.DataFrame(lines).groupby("severity")[["auc", "without", "corrected", "flagged"]].mean()
        print(f"\n{name}, seed {seed}: {method} ({fitted.seconds:.0f} s)\n{shown.round(3).to_string()}", flush=True)


def judge(
    fitted: Fitted, model: keras.Model, split: Split, corrupted: dict[tuple[str, int], np.ndarray]
) -> Iterator[dict]:
    """A line for each corruption and severity."""
    thresholds = thresholds_of(fitted, model, split)
    right = labels(model, split.X_test) == split.y_test
    for (name, severity), X in corrupted.items():
        y, was_right = split.y_test[: len(X)], right[: len(X)]
        found = Predictions.of(fitted, model, X, thresholds)
        harmful, harmless = was_right & (found.given != y), was_right & (found.given == y)
        yield {
            "corruption": name,
            "severity": severity,
            "harmful": harmful.sum(),
            "harmless": harmless.sum(),
            "auc": separation(found.score[harmless], found.score[harmful]),
            **found.summary(y),
        }


def cached(name: str, split: Split, seed: int) -> dict[tuple[str, int], np.ndarray]:
    """The first rows of the test set under every corruption, computed once."""
    folder = CACHE / "corrupted" / f"{name}-{seed}-{N_ROWS}"
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for corruption in corruption_names():
        path = folder / f"{corruption}.npy"
        if not path.exists():
            np.random.seed(seed)
            images = split.X_test[:N_ROWS]
            np.save(path, np.stack([corrupted(images, corruption, severity) for severity in SEVERITIES]))
        found |= {(corruption, severity): X for severity, X in zip(SEVERITIES, np.load(path), strict=True)}
    return found


def corruption_names() -> list[str]:
    import imagecorruptions

    return [name for name in imagecorruptions.get_corruption_names("all") if name not in SKIPPED]


def corrupted(images: np.ndarray, corruption: str, severity: int) -> np.ndarray:
    """Gray images in [0, 1] as the package takes them, padded and in color, and back."""
    import imagecorruptions

    sides = (0, 0), (MARGIN, MARGIN), (MARGIN, MARGIN), (0, 0)
    padded = np.repeat(np.pad(np.round(images * 255).astype(np.uint8), sides), 3, axis=-1)
    found = [imagecorruptions.corrupt(image, severity=severity, corruption_name=corruption) for image in padded]
    # One channel, not their mean: noise is drawn for each channel, and the mean of three would have less of it.
    return (np.stack(found)[:, MARGIN:-MARGIN, MARGIN:-MARGIN, :1] / 255).astype(np.float32)


if __name__ == "__main__":
    main()
