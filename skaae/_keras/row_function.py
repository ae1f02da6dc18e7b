"""Compiled inference over any number of rows, whose result for a row does not depend on the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TypeVar

import numpy as np
import tensorflow as tf

from skaae._data.rows import Pages, Rows
from skaae._keras.devices import allocate_memory_as_needed, full_float32, has_gpu, memory_errors
from skaae._keras.processes import check_not_forked

allocate_memory_as_needed()
T = TypeVar("T")

# Matrix products work on blocks of 6, 8, 12, 16, 24 or 48 rows and round the rows of an incomplete
# block differently, so that a row's result would depend on its place in the batch.
BATCH_SIZES = (96, 48, 16, 1)
NUMBERS_PER_BATCH = 65_536
# More rows go through in larger batches, of so many small ones.
MULTIPLES = (64, 8)
# A GPU is idle most of the time with these: there a batch has so many small ones, and numbers, at most.
MULTIPLES_ON_GPU = (1024, 256, 64, 8)
NUMBERS_PER_BATCH_ON_GPU = 2**22
NO_MEMORY = "Other processes may hold the rest of the device; CUDA_VISIBLE_DEVICES=-1 scores on the CPU."


class Graph:
    """A traced function of rows, and two ways to call it.

    Parameters
    ----------
    function : callable
        As `RowFunction` takes it.
    sample_shape : sequence of int
    """

    def __init__(self, function: Callable[[tf.Tensor], dict[str, tf.Tensor]], sample_shape: Sequence[int]) -> None:
        batch = tf.TensorSpec((None, *sample_shape), tf.float32)
        self._traced = tf.function(function, autograph=False).get_concrete_function(batch)
        # TensorFlow orders the values of a dict by its keys.
        self._names = sorted(self._traced.structured_outputs)
        self._types = [output.dtype for output in self._traced.outputs]
        self._captured = self._traced.captured_inputs

    def __call__(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        """Call the graph with the threads of TensorFlow, which run independent parts at the same time."""
        outputs: dict[str, tf.Tensor] = self._traced(x)
        return outputs

    def call_in_this_thread(self, x: np.ndarray) -> dict[str, tf.Tensor]:
        """Call the graph in this thread, without the overhead of a TensorFlow function. This is faster for few rows."""
        outputs = tf.raw_ops.StatefulPartitionedCall(args=[x, *self._captured], Tout=self._types, f=self._traced)
        return dict(zip(self._names, outputs, strict=True))


class RowFunction:
    """A TensorFlow function of rows, compiled once and run in batches of a few fixed sizes.

    Matrix products in float32 round differently from one batch size to another, so that a row
    would score differently alone than among others. Here a batch is padded to a size for which it
    does not: a multiple of the smallest mostly gives its very bits, and one that is tried at first
    use and does not is never used. Memory beyond the result is bounded whatever the number of rows.

    On a GPU the batches are larger, and the bits depend on their size: there a row alone and a row
    among others agree to about six digits.

    Parameters
    ----------
    function : callable
        Takes a float32 tensor of shape (batch_size, *sample_shape) and returns a dict of tensors
        whose first dimension is the rows.
    sample_shape : sequence of int
        Shape of one sample; the batch is the smaller the larger a sample is.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._keras.row_function import RowFunction
    >>> total = RowFunction(lambda x: {"sum": x[:, 0] + x[:, 1]}, sample_shape=(2,))
    >>> total(np.arange(6.0).reshape(3, 2), ["sum"])
    {'sum': array([1., 5., 9.], dtype=float32)}
    """

    def __init__(self, function: Callable[[tf.Tensor], dict[str, tf.Tensor]], sample_shape: Sequence[int]) -> None:
        self.sample_shape = tuple(sample_shape)
        self.batch_size = _batch_size(self.sample_shape)
        self._function = function
        self._is_usable: dict[int, bool] = {}

    def __call__(self, X: Rows, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Run the function over the rows of X and collect some of its results.

        Parameters
        ----------
        X : ndarray or RowSubset of shape (n_samples, *sample_shape), any real dtype
            Read slice by slice, so a memory map is never loaded whole.
        names : sequence of str or None, default=None
            Which results to collect; None: all.

        Returns
        -------
        results : dict of ndarray
            Each of length n_samples.

        Raises
        ------
        RuntimeError
            In a process forked after TensorFlow had been used.
        MemoryError
            If the device has no memory left.
        """
        check_not_forked()
        if not self._on_gpu:
            return self._evaluate(X, names)
        with full_float32(), memory_errors(NO_MEMORY):
            return self._evaluate(X, names)

    def _evaluate(self, X: Rows, names: Sequence[str] | None) -> dict[str, np.ndarray]:
        if 0 < len(X) <= self.batch_size:
            outputs = self._graph.call_in_this_thread(self._padded(X[:]))
            return {name: outputs[name].numpy()[: len(X)] for name in names or outputs}
        results: dict[str, np.ndarray] = {}
        pages = Pages(X)
        for start, outputs in one_behind(self._batches(X)):
            for name in names or outputs:
                values = np.asarray(outputs[name])[: len(X) - start]
                if start == 0:
                    results[name] = np.empty((len(X), *values.shape[1:]), values.dtype)
                results[name][start : start + len(values)] = values
            pages.note_read(len(values))
        pages.release()
        return results

    def _batches(self, X: Rows) -> Iterator[tuple[int, dict[str, tf.Tensor]]]:
        """Place of the first row of each batch, and the outputs of the batch."""
        start = 0
        while start < len(X):
            size = self._size(X, start)
            yield start, self._run(X[start : start + size])
            start += size

    def _size(self, X: Rows, start: int) -> int:
        """The largest batch that the rows from `start` fill and that may be used."""
        for multiple in self._multiples:
            size = multiple * self.batch_size
            if start + size <= len(X):
                if size not in self._is_usable:
                    self._is_usable[size] = self._try(X[start : start + size])
                if self._is_usable[size]:
                    return size
        return self.batch_size

    def _try(self, rows: np.ndarray) -> bool:
        """Whether a batch of so many rows fits the GPU; on the CPU, whether it gives the bits of small batches.

        On a GPU the rounding depends on the size of the batch, so that no two sizes give the same bits.
        """
        if not self._on_gpu:
            return self._rounds_alike(rows)
        try:
            self._run(rows)
        except tf.errors.ResourceExhaustedError:
            return False
        return True

    def _rounds_alike(self, rows: np.ndarray) -> bool:
        """Whether these rows give the same bits in one batch as in small ones."""
        parts = [self._run(rows[start : start + self.batch_size]) for start in range(0, len(rows), self.batch_size)]
        return all(
            np.array_equal(values, np.concatenate([part[name] for part in parts]), equal_nan=True)
            for name, values in self._run(rows).items()
        )

    def _run(self, rows: np.ndarray) -> dict[str, tf.Tensor]:
        return self._graph(tf.convert_to_tensor(self._padded(rows), tf.float32))

    def _padded(self, rows: np.ndarray) -> np.ndarray:
        if len(rows) >= self.batch_size:
            return rows.astype(np.float32, copy=False)
        padded = np.zeros((self.batch_size, *self.sample_shape), dtype=np.float32)
        padded[: len(rows)] = rows
        return padded

    @cached_property
    def _on_gpu(self) -> bool:
        return has_gpu()

    @cached_property
    def _multiples(self) -> Sequence[int]:
        """Sizes of larger batches, in small ones, the largest first."""
        if not self._on_gpu:
            return MULTIPLES
        most = NUMBERS_PER_BATCH_ON_GPU // (self.batch_size * math.prod(self.sample_shape))
        return [multiple for multiple in MULTIPLES_ON_GPU if multiple <= most]

    @cached_property
    def _graph(self) -> Graph:
        """Traced once, for all sizes."""
        return Graph(self._function, self.sample_shape)


def one_behind(items: Iterable[T]) -> Iterator[T]:
    """Yield each item when the next one has been made, so that a GPU computes that while this one is collected.

    Examples
    --------
    >>> from skaae._keras.row_function import one_behind
    >>> list(one_behind("abc"))
    ['a', 'b', 'c']
    """
    iterator = iter(items)
    for previous in iterator:
        for item in iterator:
            yield previous
            previous = item
        yield previous


def _batch_size(sample_shape: Sequence[int]) -> int:
    """The larger a sample the smaller the batch, since a single row costs a whole batch."""
    fitting = NUMBERS_PER_BATCH // max(1, math.prod(sample_shape))
    return next((size for size in BATCH_SIZES if size <= fitting), BATCH_SIZES[-1])
