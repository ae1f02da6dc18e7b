"""Some rows of X and what they have in common, without a copy of them: X may be larger than memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

BYTES_PER_CHUNK = 2**22
# Of a memory map, what is read before its pages are given back.
BYTES_OF_PAGES = 2**27
# What the system may map around a page that is read.
BYTES_AROUND = 2**21


@dataclass(frozen=True, eq=False)
class RowSubset:
    """Some rows of an array, read when they are asked for.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        Possibly a memory map; never copied whole.
    indices : ndarray of int
        Which rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._data.rows import RowSubset
    >>> rows = RowSubset(np.arange(10), np.array([1, 4, 7]))
    >>> len(rows), rows[1:], rows[np.array([2, 0])]
    (3, array([4, 7]), array([7, 1]))
    """

    X: np.ndarray
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, places: slice | np.ndarray) -> np.ndarray:
        """Copy of the rows at these places of the subset."""
        return self.X[self.indices[places]]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.X.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        return self.X.dtype

    @cached_property
    def statistics(self) -> Statistics:
        """What its rows have in common: read once, since that may be all of a file."""
        return Statistics.of_chunks(self)


Rows = np.ndarray | RowSubset


class Pages:
    """Gives the pages of a memory map back to the system, again and again, while its rows are read.

    They stay in the system's cache, but no longer count as memory of this process. Nothing is done
    for an array in memory, nor for a map whose pages are copies (mode "c"), which would be lost.

    Parameters
    ----------
    X : ndarray or RowSubset of shape (n_samples, ...)

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._data.rows import Pages
    >>> Pages(np.zeros((3, 2))).read(3)
    """

    def __init__(self, X: Rows) -> None:
        array = X.X if isinstance(X, RowSubset) else X
        self._rows = X
        self._map = _shared_map(array)
        # Between the rows of a subset lie others, on the same pages.
        self._bytes_per_row = array.nbytes / max(1, len(X))
        self._bytes_read = 0.0

    def read(self, n_rows: int) -> None:
        """Note that so many rows have been read, one after the other."""
        self._note(n_rows * self._bytes_per_row)

    def gather(self, places: np.ndarray) -> np.ndarray:
        """Copy of the rows at these places in any order, a few at a time, since far more is mapped around each."""
        if self._map is None:
            return self._rows[places]
        n_at_once = max(1, BYTES_OF_PAGES // BYTES_AROUND)
        parts = []
        for start in range(0, len(places), n_at_once):
            parts.append(self._rows[places[start : start + n_at_once]])
            self._note(len(parts[-1]) * (BYTES_AROUND + self._bytes_per_row))
        return np.concatenate(parts)

    def give_back(self) -> None:
        """Give all of them back now."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)
            self._bytes_read = 0.0

    def _note(self, n_bytes: float) -> None:
        self._bytes_read += n_bytes
        if self._bytes_read >= BYTES_OF_PAGES:
            self.give_back()


def _shared_map(array: np.ndarray) -> mmap.mmap | None:
    """The memory map that the array is a view of, if its pages are those of the file."""
    owner: np.ndarray | None = None
    base: Any = array
    while isinstance(base, np.ndarray):
        owner, base = base, base.base
    is_shared = isinstance(owner, np.memmap) and owner.mode != "c" and hasattr(mmap, "MADV_DONTNEED")
    return base if is_shared and isinstance(base, mmap.mmap) else None


def chunks(X: Rows, n_bytes: int | None = None) -> Iterator[np.ndarray]:
    """Rows of X, one chunk of bounded size after the other.

    Parameters
    ----------
    X : ndarray or RowSubset of shape (n_samples, ...)
    n_bytes : int or None, default=None
        Largest size of a chunk; None: 4 MiB.

    Yields
    ------
    rows : ndarray of shape (n_rows, ...)
        At most `n_bytes`, but a row at least.
    """
    n_rows = max(1, (n_bytes or BYTES_PER_CHUNK) // (X.dtype.itemsize * int(np.prod(X.shape[1:]))))
    pages = Pages(X)
    for start in range(0, len(X), n_rows):
        yield X[start : start + n_rows]
        pages.read(n_rows)
    pages.give_back()


def as_float32(X: Rows) -> np.ndarray:
    """One copy of all rows, float32, or the very array if it is that already."""
    if isinstance(X, np.ndarray):
        return X.astype(np.float32, copy=False)
    copy = np.empty(X.shape, np.float32)
    start = 0
    for rows in chunks(X):
        copy[start : start + len(rows)] = rows
        start += len(rows)
    return copy


@dataclass(frozen=True)
class Statistics:
    """What the rows of X have in common.

    Parameters
    ----------
    mean, variance : ndarray of shape (n_features,), float64
        Of the last axis of X.
    lowest, highest : ndarray of shape (n_features,)
        Least and largest value of the last axis.
    """

    mean: np.ndarray
    variance: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    @classmethod
    def of(cls, X: Rows) -> Statistics:
        """Of all rows of X, chunk by chunk.

        Parameters
        ----------
        X : ndarray or RowSubset of shape (n_samples, ..., n_features)

        Returns
        -------
        statistics : Statistics

        Examples
        --------
        >>> import numpy as np
        >>> from skaae._data.rows import Statistics
        >>> Statistics.of(np.array([[0.0, 1.0], [4.0, 1.0]])).variance
        array([4., 0.])
        """
        return X.statistics if isinstance(X, RowSubset) else cls.of_chunks(X)

    @classmethod
    def of_chunks(cls, X: Rows) -> Statistics:
        """The same, read from all rows of X."""
        total, n_values = cls._of_chunk(next(chunks(X))), 0
        for rows in chunks(X):
            n_rows = rows.size // rows.shape[-1]
            total = total._with(cls._of_chunk(rows), n_rows / (n_values + n_rows))
            n_values += n_rows
        return total

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of each feature, float64; of one that does not vary the mean of the others.

        Examples
        --------
        >>> import numpy as np
        >>> from skaae._data.rows import Statistics
        >>> Statistics.of(np.array([[0.0, 5.0], [4.0, 5.0]])).spread
        array([2., 2.])
        """
        spread = np.sqrt(self.variance)
        usual = spread[spread > 0].mean() if (spread > 0).any() else 1.0
        return np.where(spread > 0, spread, usual)

    @property
    def in_unit_interval(self) -> bool:
        """Whether all values are in [0, 1], as those of images or of min-max scaled features."""
        return bool(self.lowest.min() >= 0 and self.highest.max() <= 1)

    @classmethod
    def _of_chunk(cls, rows: np.ndarray) -> Statistics:
        rows = rows.reshape(-1, rows.shape[-1])
        moments = rows.mean(axis=0, dtype=np.float64), rows.var(axis=0, dtype=np.float64)
        return cls(*moments, rows.min(axis=0), rows.max(axis=0))

    def _with(self, others: Statistics, share: float) -> Statistics:
        """Those of both, of which `share` is the part of the others (Chan, Golub and LeVeque, 1979)."""
        difference = others.mean - self.mean
        return Statistics(
            self.mean + share * difference,
            (1 - share) * self.variance + share * others.variance + share * (1 - share) * difference**2,
            np.minimum(self.lowest, others.lowest),
            np.maximum(self.highest, others.highest),
        )
