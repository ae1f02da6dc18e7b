"""Warnings that point at the user's own line, however deep in the libraries they arise."""

from __future__ import annotations

import sys
import warnings

# Whose frames lie between the user's line and ours: a Pipeline that fits us, a file that is loaded.
LIBRARIES = {"skaae", "sklearn", "joblib", "pickle", "skops"}


def warn(message: str | Warning, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line outside the libraries.

    Parameters
    ----------
    message : str or Warning
    category : type of Warning, default=UserWarning
        Of a message that is a str.

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
