"""Options of an ONNX Runtime session as plain values, which can be pickled."""

from __future__ import annotations

from typing import Any

from skaae._utils.extras import import_extra


def values_of_options(options: Any) -> dict[str, Any]:
    """Read all options that have a name.

    Parameters
    ----------
    options : onnxruntime.SessionOptions

    Returns
    -------
    values : dict of str to object
        Entries of ``add_session_config_entry`` are not among them, because ONNX Runtime does not list them.
    """
    names = [name for name in dir(options) if not name.startswith("_")]
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if not callable(value)}


def options_of_values(values: dict[str, Any]) -> Any:
    """Make the options that `values_of_options` has read.

    Parameters
    ----------
    values : dict of str to object

    Returns
    -------
    options : onnxruntime.SessionOptions

    Examples
    --------
    >>> from skaae.onnx._options import options_of_values, values_of_options
    >>> options = options_of_values({"intra_op_num_threads": 1})
    >>> values_of_options(options)["intra_op_num_threads"]
    1
    """
    options = import_extra("onnxruntime", "onnx-runtime").SessionOptions()
    for name, value in values.items():
        setattr(options, name, value)
    return options
