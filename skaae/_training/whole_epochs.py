"""Whole epochs in one call, for a GPU: the rows stay on the device, where each compiled step gathers its batch.

A pipeline that hands over one batch at a time costs most of a millisecond a step there, more than a step of a small
network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf

from skaae._data.rows import Rows, as_float32


@contextmanager
def whole_epochs(model: keras.Model, arrays: Sequence[Rows]) -> Iterator[None]:
    """Let `model.fit` take `shuffled_orders` instead of batches inside the block.

    XLA compiles the training step, not the loop around it.

    Parameters
    ----------
    model : keras.Model
        Compiled. `train_step` takes a batch of all arrays.
    arrays : sequence of ndarray or RowSubset
        Of equal length. The device holds a copy of them inside the block.
    """
    copies = tuple(tf.convert_to_tensor(as_float32(values)) for values in arrays)
    run_epoch = _epoch_of(model.train_step)

    def train_epoch(orders: Iterator[tf.Tensor]) -> dict[str, Any]:
        run_epoch(next(orders), copies)
        metrics: dict[str, Any] = model.get_metrics_result()
        return metrics

    model.train_function = train_epoch
    try:
        yield
    finally:
        model.train_function = None


def _epoch_of(train_step: Callable[..., Any]) -> Callable[..., None]:
    """Order of the rows, arrays -> all steps of an epoch. If it captured the arrays, it would keep them."""

    def step(rows: tf.Tensor, arrays: tuple[tf.Tensor, ...]) -> None:
        train_step(tuple(tf.gather(values, rows) for values in arrays))

    compiled_step = tf.function(step, jit_compile=True, autograph=False)

    def epoch(order: tf.Tensor, arrays: tuple[tf.Tensor, ...]) -> None:
        def one_step(n: tf.Tensor) -> tf.Tensor:
            compiled_step(order[n], arrays)
            return n + 1

        # One after the other: nothing but the variables connects two steps.
        tf.while_loop(lambda n: n < tf.shape(order)[0], one_step, [0], parallel_iterations=1)

    return tf.function(epoch, autograph=False)
