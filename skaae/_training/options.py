"""The options of a training, and how long it takes by default: the rows of a step, and the number of epochs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from skaae._data.rows import Rows

# With epochs=None: beyond about so many steps the defense hardly improves.
TRAINING_STEPS = {"row": 6000, "sequence": 7000, "image": 14_000}
LEAST_EPOCHS = 2
# Sequences and images take longer than rows.
MOST_EPOCHS = {"row": 100, "sequence": 70, "image": 70}
# A step of few rows or images is cheaper and improves AE nearly as much.
DEFAULT_BATCH_SIZE = {"row": 64, "sequence": 128, "image": 32}
# Steps for each image in all epochs together: more hardly improve AE.
STEPS_PER_IMAGE = 0.75


@dataclass(frozen=True)
class TrainingOptions:
    """Options of the training loop: the parameters of the detector of the same names.

    Numbers that are None depend on the rows, see `resolved`.
    """

    optimizer: str | type | keras.optimizers.Optimizer = "adam"
    learning_rate: float | keras.optimizers.schedules.LearningRateSchedule = 1e-3
    epochs: int | None = None
    batch_size: int | None = None
    callbacks: Sequence[keras.callbacks.Callback] | None = None
    metrics: Sequence[Any] | None = None
    preprocess: Callable[[np.ndarray], np.ndarray] | None = None
    verbose: int = 0

    def resolved(self, X: Rows, images: bool = False) -> ResolvedOptions:
        """Replace None by the defaults for these rows.

        Parameters
        ----------
        X : ndarray or RowSubset of shape (n_samples, ...)
            Training rows.
        images : bool, default=False
            Whether they are images.

        Returns
        -------
        options : ResolvedOptions
            Batches of 64 rows, 128 sequences or 32 images, and 2 to 100 epochs (sequences and images: 70) that make
            about 6000 steps (sequences: 7000, images: 14,000). Images take no more epochs than three quarters of the
            batch size, but at least 2.

        Examples
        --------
        >>> import numpy as np
        >>> from skaae._training.options import TrainingOptions
        >>> TrainingOptions().resolved(np.zeros((20_000, 30))).epochs
        20
        >>> options = TrainingOptions().resolved(np.zeros((2400, 28, 28, 1)), images=True)
        >>> options.batch_size, options.epochs
        (32, 24)
        """
        kind = "image" if images else "row" if len(X.shape) == 2 else "sequence"
        batch_size = DEFAULT_BATCH_SIZE[kind] if self.batch_size is None else self.batch_size
        epochs = _default_epochs(len(X), batch_size, kind) if self.epochs is None else self.epochs
        return ResolvedOptions(**{**vars(self), "epochs": epochs, "batch_size": batch_size})


@dataclass(frozen=True)
class ResolvedOptions(TrainingOptions):
    """Options with numbers for `epochs` and `batch_size`."""

    epochs: int = field(kw_only=True)
    batch_size: int = field(kw_only=True)

    def count_steps(self, n_rows: int) -> int:
        """Number of training steps with so many rows."""
        return self.epochs * math.ceil(n_rows / self.batch_size)


def _default_epochs(n_samples: int, batch_size: int, kind: str) -> int:
    enough = math.ceil(TRAINING_STEPS[kind] / math.ceil(n_samples / batch_size))
    most = round(STEPS_PER_IMAGE * batch_size) if kind == "image" else enough
    return max(LEAST_EPOCHS, min(enough, most, MOST_EPOCHS[kind]))
