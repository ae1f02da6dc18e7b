"""Subsets of the rows of X and their statistics, without copies: X may be larger than memory."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

BYTES_PER_CHUNK = 2**22
# Pages of a memory map are released after so many bytes.
BYTES_OF_PAGES = 2**27
# The operating system may map a whole block of this size when a row in it is read.
BYTES_PER_BLOCK = 2**21


@dataclass(frozen=True, eq=False)
class RowSubset:
    """Some rows of an array, which are read only when they are needed.

    Parameters
    ----------
    X : ndarray of shape (n_samples, ...)
        May be a memory map. It is never copied whole.
    indices : ndarray of int
        Numbers of the rows.
    weights : ndarray of shape (n_rows,), float32, or None, default=None
        Weights of the rows in training. None: all rows weigh the same.

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
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, places: slice | np.ndarray) -> np.ndarray:
        """Copy the rows at these places of the subset."""
        return self.X[self.indices[places]]

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.X.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        return self.X.dtype

    @cached_property
    def statistics(self) -> Statistics:
        """Statistics of the rows. They are computed once, since this may read a whole file."""
        return Statistics.of_chunks(self)

    def with_statistics(self, statistics: Statistics) -> RowSubset:
        """The same rows with other statistics, by which networks and perturbations are scaled."""
        subset = RowSubset(self.X, self.indices, self.weights)
        vars(subset)["statistics"] = statistics
        return subset


Rows = np.ndarray | RowSubset


class Pages:
    """Releases the pages of a memory map again and again while its rows are read.

    Released pages stay in the cache of the operating system, but no longer count as memory of this process.
    Nothing is released of an array in memory, or of a map whose pages are copies (mode "c"): what was written
    to them would be lost.

    Parameters
    ----------
    X : ndarray or RowSubset of shape (n_samples, ...)

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._data.rows import Pages
    >>> pages = Pages(np.arange(6).reshape(3, 2))
    >>> pages.take(np.array([2, 0]))
    array([[4, 5],
           [0, 1]])
    """

    def __init__(self, X: Rows) -> None:
        self._rows = X
        self._array = X.X if isinstance(X, RowSubset) else X
        self._map = _shared_map(self._array)
        # Other rows lie between those of a subset, on the same pages.
        self._bytes_per_row = self._array.nbytes / max(1, len(X))
        self._bytes_mapped = 0.0

    def note_read(self, n_rows: int) -> None:
        """Note that so many rows have been read, one after the other; release the pages if they are many."""
        self._bytes_mapped += n_rows * self._bytes_per_row
        if self._bytes_mapped >= BYTES_OF_PAGES:
            self.release()

    def take(self, places: np.ndarray) -> np.ndarray:
        """Copy the rows at these places, which may be in any order.

        The rows of a memory map are read in the order of the file, so that each block of the file is mapped once.
        """
        if self._map is None:
            return self._rows[places]
        taken = np.empty((len(places), *self._rows.shape[1:]), self._rows.dtype)
        for part, n_bytes in self._parts_in_file_order(places):
            if self._bytes_mapped + n_bytes > BYTES_OF_PAGES:
                self.release()
            taken[part] = self._rows[places[part]]
            self._bytes_mapped += n_bytes
        return taken

    def release(self) -> None:
        """Release all pages now."""
        if self._map is not None:
            self._map.madvise(mmap.MADV_DONTNEED)
            self._bytes_mapped = 0.0

    def _parts_in_file_order(self, places: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
        """Positions in `places` whose rows lie in a few blocks of the file, and the bytes that these blocks map."""
        numbers = self._rows.indices[places] if isinstance(self._rows, RowSubset) else places
        addresses = self._array.ctypes.data + numbers.astype(np.int64) * self._array.strides[0]
        order = np.argsort(addresses)
        is_new_block = np.diff(addresses[order] // BYTES_PER_BLOCK, prepend=-1) != 0
        bytes_per_block = BYTES_PER_BLOCK + self._array[:1].nbytes
        part = (np.cumsum(is_new_block) - 1) // max(1, BYTES_OF_PAGES // bytes_per_block)
        starts = np.flatnonzero(np.diff(part, prepend=-1))
        n_blocks = np.add.reduceat(is_new_block, starts, dtype=np.int64) if len(starts) else starts
        for rows, count in zip(np.split(order, starts[1:]), n_blocks, strict=False):
            yield rows, int(count) * bytes_per_block


def _shared_map(array: np.ndarray) -> mmap.mmap | None:
    """The memory map that the array is a view of, or None. None also for a map with private pages."""
    owner: np.ndarray | None = None
    base: Any = array
    while isinstance(base, np.ndarray):
        owner, base = base, base.base
    is_shared = isinstance(owner, np.memmap) and owner.mode != "c" and hasattr(mmap, "MADV_DONTNEED")
    return base if is_shared and isinstance(base, mmap.mmap) else None


def chunks(X: Rows, n_bytes: int | None = None) -> Iterator[np.ndarray]:
    """Iterate over the rows of X in chunks of bounded size.

    Parameters
    ----------
    X : ndarray or RowSubset of shape (n_samples, ...)
    n_bytes : int or None, default=None
        Largest size of a chunk. None: 4 MiB.

    Yields
    ------
    rows : ndarray of shape (n_rows, ...)
        At most `n_bytes`, but at least one row.
    """
    n_rows = max(1, (n_bytes or BYTES_PER_CHUNK) // (X.dtype.itemsize * int(np.prod(X.shape[1:]))))
    pages = Pages(X)
    for start in range(0, len(X), n_rows):
        yield X[start : start + n_rows]
        pages.note_read(n_rows)
    pages.release()


def as_float32(X: Rows) -> np.ndarray:
    """Copy all rows into a float32 array, or return X itself if it is one already."""
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
    """Moments and ranges of the features of X.

    Parameters
    ----------
    mean, variance : ndarray of shape (n_features,), float64
        Along the last axis of X.
    lowest, highest : ndarray of shape (n_features,)
        Smallest and largest value, along the last axis.
    """

    mean: np.ndarray
    variance: np.ndarray
    lowest: np.ndarray
    highest: np.ndarray

    @classmethod
    def of(cls, X: Rows) -> Statistics:
        """Compute the statistics of all rows of X, chunk by chunk.

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
        """Compute the statistics like `of`, without looking for a previous result."""
        total, n_values = cls._of_chunk(next(chunks(X))), 0
        for rows in chunks(X):
            n_rows = rows.size // rows.shape[-1]
            total = total._with(cls._of_chunk(rows), n_rows / (n_values + n_rows))
            n_values += n_rows
        return total

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation of each feature, float64. A constant feature gets the mean of the others.

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
        """Whether all values are in [0, 1], as in images or min-max scaled features."""
        return bool(self.lowest.min() >= 0 and self.highest.max() <= 1)

    @classmethod
    def _of_chunk(cls, rows: np.ndarray) -> Statistics:
        rows = rows.reshape(-1, rows.shape[-1])
        moments = rows.mean(axis=0, dtype=np.float64), rows.var(axis=0, dtype=np.float64)
        return cls(*moments, rows.min(axis=0), rows.max(axis=0))

    def _with(self, others: Statistics, share: float) -> Statistics:
        """Combine two sets of rows, of which the others are this `share` (Chan, Golub and LeVeque, 1979)."""
        difference = others.mean - self.mean
        return Statistics(
            self.mean + share * difference,
            (1 - share) * self.variance + share * others.variance + share * (1 - share) * difference**2,
            np.minimum(self.lowest, others.lowest),
            np.maximum(self.highest, others.highest),
        )
