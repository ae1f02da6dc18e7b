"""Errors for rows that the steps of a file do not turn into finite numbers. Needs only NumPy."""

from __future__ import annotations

import numpy as np

from skaae._data.samples import check_float32_range


def check_rows(rows: np.ndarray, sources: list[list[str]] | None, start: int = 0) -> None:
    """Raise an error unless the rows behind the steps are finite.

    Parameters
    ----------
    rows : ndarray of shape (n_samples, n_encoded), float64
        What the autoencoder takes.
    sources : list of list of str, or None
        For each column of `rows`, the columns of X on which it depends, if these are known.
    start : int, default=0
        Number of the first row.

    Raises
    ------
    ValueError
        If a row has NaN, infinity, or a number beyond float32.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae.onnx._refusals import check_rows
    >>> check_rows(np.array([[1.0, np.nan]]), [["age"], ["country"]])
    Traceback (most recent call last):
    ValueError: X has values that the classifier does not take, the first at index 0 in the columns ['country']: ...
    """
    if (np.abs(rows) <= np.finfo(np.float32).max).all():
        return
    is_finite = np.isfinite(rows)
    if not is_finite.all():
        place = int(np.flatnonzero(~is_finite.all(axis=1))[0])
        where = f"the first at index {start + place}"
        if sources is not None:
            bad = [source for column in np.flatnonzero(~is_finite[place]) for source in sources[column]]
            where += f" in the columns {list(dict.fromkeys(bad))}"
        raise ValueError(
            f"X has values that the classifier does not take, {where}: categories or missing values that were not "
            f"there in fit, or numbers out of the range of a transformer."
        )
    check_float32_range(rows)
