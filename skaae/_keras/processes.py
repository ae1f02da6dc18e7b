"""An error in forked processes, where TensorFlow would wait forever for threads that were not copied."""

from __future__ import annotations

import os

_user: int | None = None


def check_not_forked() -> None:
    """Note that this process uses TensorFlow, or raise if it was forked from a process that had used it.

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
            "This process was forked after TensorFlow had been used, so TensorFlow would wait forever. Start processes "
            'with "loky" of joblib, or with multiprocessing.get_context("spawn").'
        )
