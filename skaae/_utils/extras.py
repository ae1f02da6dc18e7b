"""Import optional packages where a feature needs them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def import_extra(module: str, extra: str) -> Any:
    """Import a package that one of the extras of skaae installs.

    Parameters
    ----------
    module : str
        Name of the package or of a module in it.
    extra : str
        Name of the extra that installs it.

    Returns
    -------
    module : module
        The imported module.

    Raises
    ------
    ImportError
        If the package is not installed. The message names the extra.

    Examples
    --------
    >>> from skaae._utils.extras import import_extra
    >>> import_extra("nonexistent", "report")
    Traceback (most recent call last):
    ImportError: This feature requires nonexistent, which is not installed. Install it with: pip install 'skaae[report]'
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"This feature requires {module}, which is not installed. Install it with: pip install 'skaae[{extra}]'"
        ) from error
