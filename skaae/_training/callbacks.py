"""What the callbacks of the user ask of the training, and the line that shows its progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

import keras

# They set the learning rate themselves, which Keras allows only where it is a number.
SETTING_LEARNING_RATE = (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau)


def sets_learning_rate(callbacks: Sequence[keras.callbacks.Callback] | None) -> bool:
    """Whether one of Keras' own callbacks sets the learning rate, which therefore must not follow a schedule.

    Examples
    --------
    >>> import keras
    >>> from skaae._training.callbacks import sets_learning_rate
    >>> sets_learning_rate([keras.callbacks.ReduceLROnPlateau("loss")])
    True
    """
    return any(isinstance(callback, SETTING_LEARNING_RATE) for callback in callbacks or ())


class ProgressLine(keras.callbacks.Callback):
    """One line that says how far the training is and how long it will still take, instead of the bar of Keras.

    It needs no call per batch, so that whole epochs still run at once. A terminal shows the last line only; a file,
    in which each state would remain, gets one line per epoch.
    """

    def __init__(self) -> None:
        super().__init__()
        self._start, self._n_done = 0.0, 0

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Take the time."""
        self._start, self._n_done = time.perf_counter(), 0

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Write the line of an epoch."""
        n_epochs = self.params["epochs"]
        self._n_done += 1  # not epoch + 1, where a training is resumed
        seconds = (time.perf_counter() - self._start) * (n_epochs - epoch - 1) / self._n_done
        values = "".join(f" - {name}: {float(value):.4g}" for name, value in (logs or {}).items())
        left = f" - {duration(seconds)} left" if epoch + 1 < n_epochs else ""
        line = f"Epoch {epoch + 1}/{n_epochs}{values}{left}"
        is_last = epoch + 1 == n_epochs
        print(f"\r{line:<79}" if can_draw() else line, end="" if can_draw() and not is_last else "\n", flush=True)


def duration(seconds: float) -> str:
    """Say a duration in seconds, minutes or hours.

    Examples
    --------
    >>> from skaae._training.callbacks import duration
    >>> duration(42.3), duration(150.0), duration(7020.0)
    ('42 s', '2 min 30 s', '1 h 57 min')
    """
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def can_draw() -> bool:
    """Whether a line of the standard output can be drawn again: in a terminal or a notebook."""
    is_terminal = getattr(sys.stdout, "isatty", lambda: False)()
    return bool(is_terminal) or type(sys.stdout).__module__.startswith("ipykernel")


def verbosity(verbose: int) -> int:
    """Return the value of `verbose`, or 0 where nothing can be written.

    Parameters
    ----------
    verbose : int
        0, 1 or 2, as in the detector.

    Returns
    -------
    verbose : int
    """
    return 0 if sys.stdout is None or getattr(sys.stdout, "closed", False) else verbose
