"""Warnings that point at the line of the user's code, however deep in the libraries they are raised."""

from __future__ import annotations

import sys
import warnings

# Packages whose frames may lie between the user's line and ours: a Pipeline calls fit, or joblib loads a file.
LIBRARIES = {"skaae", "sklearn", "imblearn", "joblib", "pickle", "skops", "mlflow"}


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Issue a warning that points at the innermost line outside the libraries.

    Parameters
    ----------
    message : str or Warning
        The text, or a warning that contains it.
    category : type of Warning, default=UserWarning
        Category of the warning if `message` is a str.

    Examples
    --------
    >>> import warnings
    >>> from skaae._utils.warnings import warn
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("few rows")
    >>> str(caught[0].message)
    'few rows'
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] in LIBRARIES:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
