"""Compiled inference over any number of rows, whose result for a row does not depend on the others."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import tensorflow as tf

# Matrix products work on blocks of 6, 8, 12, 16, 24 or 48 rows and round the rows of an incomplete
# block differently, so that a row's result would depend on its place in the batch.
BATCH_SIZES = (96, 48, 16, 1)
NUMBERS_PER_BATCH = 65_536
BATCHES_PER_CALL = 64


class RowFunction:
    """A TensorFlow function of rows, compiled once and run in batches of one fixed size.

    Matrix products in float32 round differently from one batch size to another, so that a row
    would score differently alone than among others. Here the last batch is padded, and a loop
    inside the graph runs the batches side by side. Memory beyond the result is bounded
    whatever the number of rows.

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
    >>> from skaae._inference import RowFunction
    >>> total = RowFunction(lambda x: {"sum": x[:, 0] + x[:, 1]}, sample_shape=(2,))
    >>> total(np.arange(6.0).reshape(3, 2), ["sum"])
    {'sum': array([1., 5., 9.], dtype=float32)}
    """

    def __init__(self, function: Callable[[tf.Tensor], dict[str, tf.Tensor]], sample_shape: Sequence[int]) -> None:
        self.sample_shape = tuple(sample_shape)
        self.batch_size = _batch_size(self.sample_shape)
        self._function = function

    def __call__(self, X: np.ndarray, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
        """Run the function over the rows of X and collect some of its results.

        Parameters
        ----------
        X : ndarray of shape (n_samples, *sample_shape), any real dtype
            Read slice by slice, so a memory map is never loaded whole.
        names : sequence of str or None, default=None
            Which results to collect; None: all.

        Returns
        -------
        results : dict of ndarray
            Each of length n_samples.
        """
        rows_per_call = self.batch_size * BATCHES_PER_CALL
        parts = [self._run(X[start : start + rows_per_call], names) for start in range(0, len(X), rows_per_call)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _run(self, rows: np.ndarray, names: Sequence[str] | None) -> dict[str, np.ndarray]:
        n_batches = math.ceil(len(rows) / self.batch_size)
        padded = np.zeros((n_batches * self.batch_size, *self.sample_shape), dtype=np.float32)
        padded[: len(rows)] = rows
        batches = padded.reshape(n_batches, self.batch_size, *self.sample_shape)
        results = self._compiled(tf.convert_to_tensor(batches))
        return {name: _flatten_batches(results[name].numpy())[: len(rows)] for name in names or results}

    @cached_property
    def _compiled(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """The traced graph, made at the first call."""
        batch = tf.TensorSpec((self.batch_size, *self.sample_shape), tf.float32)
        one_batch = tf.function(self._function, autograph=False).get_concrete_function(batch)
        signature = {name: output.dtype for name, output in one_batch.structured_outputs.items()}
        all_batches = tf.function(
            lambda batches: tf.map_fn(one_batch, batches, fn_output_signature=signature), autograph=False
        )
        return all_batches.get_concrete_function(tf.TensorSpec((None, *batch.shape), tf.float32))


def _batch_size(sample_shape: Sequence[int]) -> int:
    """The larger a sample the smaller the batch, since a single row costs a whole batch."""
    fitting = NUMBERS_PER_BATCH // max(1, math.prod(sample_shape))
    return next((size for size in BATCH_SIZES if size <= fitting), BATCH_SIZES[-1])


def _flatten_batches(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1, *array.shape[2:])
