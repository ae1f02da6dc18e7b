"""What the callbacks and the progress bar of the user ask of the training."""

from __future__ import annotations

import sys
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


def verbosity(verbose: int) -> int:
    """Return the value of `verbose` for Keras: no progress bar in a log file, nothing where nothing can be written.

    A progress bar is drawn again and again, and each of its states would remain in a file. So a file gets a line for
    each epoch instead.

    Parameters
    ----------
    verbose : int
        0, 1 or 2, as in the detector.

    Returns
    -------
    verbose : int
    """
    if verbose == 0 or sys.stdout is None or getattr(sys.stdout, "closed", False):
        return 0
    is_terminal = getattr(sys.stdout, "isatty", lambda: False)()
    can_draw = is_terminal or type(sys.stdout).__module__.startswith("ipykernel")
    return 2 if verbose == 1 and not can_draw else verbose
