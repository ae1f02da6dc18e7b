"""The process of the peer alibi-detect: it trains AdversarialAE, and then scores rows until its input ends.

    .venv-peers/bin/python benchmarks/common/peer_alibi.py FOLDER [--epochs 20] [--seed 0]

FOLDER has model.keras, whose outputs are logits, autoencoder.keras and X_train.npy. A line with the
seconds of the training is the first answer, and trained.weights.h5 is then there. Every line after
that is the path of an .npy file of rows; the answer is the path of an .npz file with the score, the
label that M gives to each row (no_defense), and the one that it gives to the reconstruction (defense).
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import contextlib
import sys
import time
from pathlib import Path

import keras
import numpy as np
from alibi_detect.ad import AdversarialAE

BATCH_SIZE = 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    answers = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # nothing that a library prints is taken for an answer
        detector, seconds = train(arguments.folder, arguments.epochs, arguments.seed)
        print(seconds, file=answers, flush=True)
        for line in sys.stdin:
            print(answer(detector, Path(line.strip())), file=answers, flush=True)


def train(folder: Path, epochs: int, seed: int) -> tuple[AdversarialAE, float]:
    """The trained detector and the seconds of `fit` alone; 0 epochs leave the autoencoder as it came."""
    autoencoder = keras.models.load_model(folder / "autoencoder.keras", compile=False)
    model = with_softmax(keras.models.load_model(folder / "model.keras", compile=False))
    keras.utils.set_random_seed(seed)
    X = np.load(folder / "X_train.npy")
    detector = AdversarialAE(threshold=0.0, ae=autoencoder, model=model)
    start = time.perf_counter()
    if epochs:
        optimizer = keras.optimizers.Adam(learning_rate=1e-3)
        detector.fit(X, epochs=epochs, batch_size=128, optimizer=optimizer, verbose=False)
    seconds = time.perf_counter() - start
    detector.ae.save_weights(folder / "trained.weights.h5")
    return detector, seconds


def with_softmax(model: keras.Model) -> keras.Model:
    """M with probabilities as outputs, which AdversarialAE wants."""
    return keras.Sequential([keras.Input(model.input_shape[1:]), model, keras.layers.Softmax()])


def answer(detector: AdversarialAE, rows: Path) -> Path:
    """Score a file of rows and write the answer next to it."""
    found = detector.correct(np.load(rows), batch_size=BATCH_SIZE)["data"]
    path = rows.with_suffix(".npz")
    np.savez(path, score=found["instance_score"], no_defense=found["no_defense"], defense=found["defense"])
    return path


if __name__ == "__main__":
    main()
