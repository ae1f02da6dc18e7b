"""TensorFlow's threads do not live on in a forked process: an error instead of a wait without end."""

from __future__ import annotations

import os

_user: int | None = None


def check_not_forked() -> None:
    """Note that this process uses TensorFlow; raise if it was forked from one that had used it.

    Raises
    ------
    RuntimeError
        In a process forked after skaae had used TensorFlow.

    Examples
    --------
    >>> from skaae._keras.processes import check_not_forked
    >>> check_not_forked()
    """
    global _user
    if _user is None:
        _user = os.getpid()
    if _user != os.getpid():
        raise RuntimeError(
            "this process was forked after TensorFlow had been used, and would wait for its threads for ever: start "
            'processes with joblib\'s "loky", or multiprocessing.get_context("spawn").'
        )
