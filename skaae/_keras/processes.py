"""TensorFlow's threads do not exist in a forked process: it gets an error instead of waiting forever."""

from __future__ import annotations

import os

# TensorFlow offers no public way to ask whether it runs already.
from tensorflow.python.eager import context

_forked_after_use = False


def check_not_forked() -> None:
    """Raise if this process was forked from one in which TensorFlow ran already.

    It runs as soon as a Keras model is built, and so as soon as a file is loaded, by skaae or by anybody else.

    Raises
    ------
    RuntimeError
        In a process forked after TensorFlow was used.

    Examples
    --------
    >>> from skaae._keras.processes import check_not_forked
    >>> check_not_forked()
    """
    if _forked_after_use:
        raise RuntimeError(
            "This process was forked after TensorFlow had been used, and would wait forever for threads that it does "
            "not have. Load the file in the process that uses it (gunicorn without --preload, a Celery worker that "
            'loads in `worker_process_init`), start processes with joblib\'s "loky" or '
            'multiprocessing.get_context("spawn"), or export the detector with skaae.onnx.to_onnx.'
        )


def _note_fork() -> None:
    global _forked_after_use
    _forked_after_use = _forked_after_use or _tensorflow_runs()


def _tensorflow_runs() -> bool:
    return context._context is not None and context._context._context_handle is not None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
