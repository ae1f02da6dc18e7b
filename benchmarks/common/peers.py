"""Detectors of other packages, each trained and asked in a process with an environment of its own."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import weakref
from pathlib import Path

import keras
import numpy as np

from benchmarks.common.data import UnavailableError

ENVIRONMENT = Path(__file__).parents[2] / ".venv-peers"


class Peer:
    """A peer's detector after training; its process and its files go when this object goes.

    Parameters
    ----------
    script : str
        File of this folder that the process runs; it says what passes between the two.
    model, autoencoder : keras.Model
        M, with logits as its outputs, and the autoencoder to start from, which gets the trained weights.
    X_train : ndarray
    epochs, seed : int

    Raises
    ------
    UnavailableError
        If the environment is not there.
    """

    def __init__(
        self, script: str, model: keras.Model, autoencoder: keras.Model, X_train: np.ndarray, epochs: int, seed: int
    ) -> None:
        if not (ENVIRONMENT / "ready").exists():
            raise UnavailableError(f"{ENVIRONMENT.name} is missing, `make bench-peers` builds it")
        resources = contextlib.ExitStack()
        weakref.finalize(self, resources.close)
        self._folder = Path(resources.enter_context(tempfile.TemporaryDirectory(prefix="skaae-peer-")))
        model.save(self._folder / "model.keras")
        autoencoder.save(self._folder / "autoencoder.keras")
        np.save(self._folder / "X_train.npy", X_train)
        self._process = resources.enter_context(self._start(script, "--epochs", str(epochs), "--seed", str(seed)))
        self.seconds = float(self._read())
        autoencoder.load_weights(self._folder / "trained.weights.h5")
        self._rows, self._answer = None, {}

    def score(self, X: np.ndarray) -> np.ndarray:
        return self._ask(X)["score"]

    def given_labels(self, X: np.ndarray) -> np.ndarray:
        return self._ask(X)["no_defense"]

    def repaired_labels(self, X: np.ndarray) -> np.ndarray:
        return self._ask(X)["defense"]

    def _start(self, script: str, *options: str) -> subprocess.Popen:
        command = [ENVIRONMENT / "bin" / "python", Path(__file__).with_name(script), self._folder, *options]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "bufsize": 0}
        with (self._folder / "log").open("w") as log:
            return subprocess.Popen(command, **pipes, stderr=log)

    def _ask(self, X: np.ndarray) -> dict[str, np.ndarray]:
        """Ask once for the rows that are asked about several times in turn."""
        if X is not self._rows:
            np.save(self._folder / "rows.npy", X)
            self._process.stdin.write(f"{self._folder / 'rows.npy'}\n".encode())
            with np.load(self._read()) as answer:
                self._rows, self._answer = X, dict(answer)
        return self._answer

    def _read(self) -> str:
        line = self._process.stdout.readline().decode().strip()
        if not line:
            raise RuntimeError(f"the peer ended: {(self._folder / 'log').read_text()[-2000:]}")
        return line
