"""Packages that only some features need, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_extra(module: str, extra: str) -> Any:
    """Import a package that an extra of skaae installs.

    Parameters
    ----------
    module : str
        Name of the package.
    extra : str
        Name of the extra.

    Returns
    -------
    module : module

    Raises
    ------
    ImportError
        If it is not installed; the message names the extra.

    Examples
    --------
    >>> from skaae._utils.extras import import_extra
    >>> import_extra("nothing", "report")
    Traceback (most recent call last):
    ImportError: This needs nothing: pip install 'skaae[report]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(f"This needs {module}: pip install 'skaae[{extra}]'") from error
