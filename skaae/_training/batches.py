"""The batches of a training: shuffled anew in each epoch, from memory or read during training."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from skaae._data.rows import Pages, Rows, as_float32

MOST_RESIDENT_BYTES = 2**28
BYTES_AT_ONCE = 2**22
Preprocess = Callable[[np.ndarray], np.ndarray]


def shuffled_batches(
    arrays: Sequence[Rows], batch_size: int, epochs: int, seed: int, full_only: bool = False
) -> tf.data.Dataset:
    """Batches of the rows of all arrays. The order differs in each epoch and depends only on the seed.

    Parameters
    ----------
    arrays : sequence of ndarray or RowSubset
        Of equal length. TensorFlow holds up to 256 MiB of them. Larger arrays are read during training, for instance
        from a memory map.
    batch_size, epochs : int
    seed : int
    full_only : bool, default=False
        Leave out the last batch of an epoch if it is incomplete.

    Returns
    -------
    batches : tf.data.Dataset of tuple of tf.Tensor
        The last batch of an epoch has the remaining rows.
    """
    gather = _gather_resident if can_be_resident(arrays) else _gather_streamed
    n_full = len(arrays[0]) // batch_size * batch_size

    def order(epoch: tf.Tensor) -> tf.data.Dataset:
        rows = _shuffled(len(arrays[0]), seed, epoch)
        full = tf.data.Dataset.from_tensor_slices(tf.reshape(rows[:n_full], (-1, batch_size)))
        return (
            full
            if full_only or n_full == len(arrays[0])
            else full.concatenate(tf.data.Dataset.from_tensors(rows[n_full:]))
        )

    return gather(tf.data.Dataset.range(epochs).flat_map(order), arrays).prefetch(2)


def shuffled_orders(n_rows: int, batch_size: int, epochs: int, seed: int) -> tf.data.Dataset:
    """The rows of each full batch of `shuffled_batches`, for functions that gather them themselves.

    Parameters
    ----------
    n_rows, batch_size, epochs, seed : int
        At least one batch of rows.

    Returns
    -------
    orders : tf.data.Dataset of tf.Tensor of shape (n_batches, batch_size), int32
        An element for each epoch. The last batch is left out if it is incomplete.
    """
    n_full = n_rows // batch_size * batch_size
    orders = tf.data.Dataset.range(epochs).map(lambda epoch: _shuffled(n_rows, seed, epoch)[:n_full])
    return orders.map(lambda rows: tf.reshape(rows, (-1, batch_size))).prefetch(1)


def _shuffled(n_rows: int, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    return tf.random.experimental.stateless_shuffle(tf.range(n_rows), [seed, tf.cast(epoch, tf.int32)])


def can_be_resident(arrays: Sequence[Rows]) -> bool:
    """Whether the rows of all arrays are so few that TensorFlow may hold a copy, 256 MiB."""
    return sum(_size(values) for values in arrays) <= MOST_RESIDENT_BYTES


def _size(values: Rows) -> int:
    """Number of bytes of the rows as float32."""
    return 4 * math.prod(values.shape)


def _gather_resident(order: tf.data.Dataset, arrays: Sequence[Rows]) -> tf.data.Dataset:
    """Batches from one copy of the rows that TensorFlow holds, which is fastest.

    The copy passes through the pipeline by reference. If the function that gathers captured it, the two would form a
    reference cycle, and the copy would stay in memory until Python collects cycles.
    """
    resident = tf.data.Dataset.from_tensors(tuple(tf.convert_to_tensor(as_float32(values)) for values in arrays))
    both = tf.data.Dataset.zip(order, resident.repeat())
    return both.map(lambda rows, copies: tuple(tf.gather(values, rows) for values in copies))


def _gather_streamed(order: tf.data.Dataset, arrays: Sequence[Rows]) -> tf.data.Dataset:
    """Batches read from the arrays themselves, which are not copied.

    The rows of several batches are read together, in the order of the file. Otherwise each row costs a page fault.
    """
    pages = [Pages(values) for values in arrays]

    def read(rows: np.ndarray) -> list[np.ndarray]:
        taken = [values.take(rows.ravel()).astype(np.float32, copy=False) for values in pages]
        return [values.reshape(*rows.shape, *values.shape[1:]) for values in taken]

    def read_batches(rows: tf.Tensor) -> tuple[tf.Tensor, ...]:
        batches = tf.numpy_function(read, [rows], [tf.float32] * len(arrays), stateful=True)
        shapes = [(None, None, *values.shape[1:]) for values in arrays]
        return rows, *map(tf.ensure_shape, batches, shapes)

    def without_padding(rows: tf.Tensor, *batches: tf.Tensor) -> tuple[tf.Tensor, ...]:
        n_rows = tf.math.count_nonzero(rows >= 0)
        return tuple(
            tf.ensure_shape(batch[:n_rows], (order.element_spec.shape[0], *batch.shape[1:])) for batch in batches
        )

    at_once = order.padded_batch(_batches_at_once(order, arrays), padding_values=-1)
    return at_once.map(read_batches).prefetch(1).unbatch().map(without_padding)


def _batches_at_once(order: tf.data.Dataset, arrays: Sequence[Rows]) -> int:
    """Number of batches that are read together, about 4 MiB."""
    bytes_per_row = sum(_size(values) for values in arrays) / len(arrays[0])
    (n_rows,) = next(iter(order)).shape
    return max(1, int(BYTES_AT_ONCE / (bytes_per_row * n_rows)))


def preprocessed(batches: tf.data.Dataset, preprocess: Preprocess) -> tf.data.Dataset:
    """Apply the Python function of the user to the rows of each batch, inside the data pipeline.

    Parameters
    ----------
    batches : tf.data.Dataset of tuple of tf.Tensor
        The rows come first.
    preprocess : callable
        ``preprocess(batch) -> batch`` of the same shape.

    Returns
    -------
    batches : tf.data.Dataset of tuple of tf.Tensor
    """

    def apply(batch: np.ndarray) -> np.ndarray:
        return checked_batch(preprocess(batch), batch)

    def call(x: tf.Tensor, *others: tf.Tensor) -> tuple[tf.Tensor, ...]:
        return tf.ensure_shape(tf.numpy_function(apply, [x], tf.float32, stateful=True), x.shape), *others

    return batches.map(call).prefetch(2)


def checked_batch(processed: Any, batch: np.ndarray) -> np.ndarray:
    """Return a preprocessed batch as float32; raise a ValueError unless it has the shape of the batch."""
    rows = np.asarray(processed, dtype=np.float32)
    if rows.shape != batch.shape:
        raise ValueError(f"preprocess must return an array of the shape of its batch, {batch.shape}, got {rows.shape}.")
    return rows
