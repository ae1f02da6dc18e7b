"""The last layer of an autoencoder whose rows must stay valid: kept columns, one-hot groups, whole codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

import keras
import numpy as np
from keras import ops

from skaae._data.rows import RowSubset, Statistics
from skaae._keras.models import is_layer_graph, only_tensor

# One-hot columns of x' lie in about [0, 1]; so much steeper, their softmax tells them apart.
STEEPNESS = 5.0
# Standard deviation that counts for an indicator that is constant in the training rows.
LEAST_SPREAD = 0.1


@keras.saving.register_keras_serializable(package="skaae")
class ValidRows(keras.layers.Layer):
    """Make x' a row that the classifier can take.

    Forward, x' is exactly valid. Backward, one-hot groups have the gradient of their softmax, and codes that of the
    values before they are rounded (straight-through; Bengio, Leonard and Courville, arXiv:1308.3432).

    Parameters
    ----------
    kept : sequence of int, default=()
        Columns that x' has from x.
    groups : sequence of sequence of int, default=()
        Columns of one-hot groups.
    may_be_zero : sequence of bool, default=()
        For each group, whether all of its columns may be 0, because the column of one category was dropped.
    codes : sequence of (int, int, int), default=()
        Column, smallest and largest value of whole numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae._keras.valid_rows import ValidRows
    >>> layer = ValidRows(kept=[0], groups=[[1, 2]], may_be_zero=[False], codes=[(3, 0, 5)])
    >>> x, reconstruction = np.zeros((1, 4), "float32"), np.array([[0.3, 0.2, 0.9, 7.4]], "float32")
    >>> np.asarray(layer([x, reconstruction])).tolist()
    [[0.0, 0.0, 1.0, 5.0]]
    """

    def __init__(
        self,
        kept: Sequence[int] = (),
        groups: Sequence[Sequence[int]] = (),
        may_be_zero: Sequence[bool] = (),
        codes: Sequence[Sequence[int]] = (),
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.kept = [int(column) for column in kept]
        self.groups = [[int(column) for column in group] for group in groups]
        self.may_be_zero = [bool(may) for may in may_be_zero]
        self.codes = [[int(number) for number in code] for code in codes]

    def call(self, inputs: Sequence[Any]) -> Any:
        """Compute valid rows from x and the output of the autoencoder, both of shape (n_samples, n_features)."""
        x, reconstruction = inputs
        x = ops.cast(x, reconstruction.dtype)
        n_features = reconstruction.shape[-1]
        if self.codes:
            reconstruction = self._rounded(reconstruction, n_features)
        if self.groups:
            reconstruction = self._one_hot(reconstruction, n_features)
        is_kept = np.isin(np.arange(n_features), self.kept)
        return ops.where(is_kept, x, reconstruction) if self.kept else reconstruction

    def _rounded(self, values: Any, n_features: int) -> Any:
        columns, lowest, highest = np.array(self.codes).T
        low, high = np.full(n_features, -np.inf), np.full(n_features, np.inf)
        low[columns], high[columns] = lowest, highest
        is_code = np.isin(np.arange(n_features), columns)
        clipped = ops.clip(values, low.astype(np.float32), high.astype(np.float32))
        rounded = clipped + ops.stop_gradient(ops.round(clipped) - clipped)
        return ops.where(is_code, rounded, values)

    def _one_hot(self, values: Any, n_features: int) -> Any:
        in_groups = np.concatenate([np.array(group) for group in self.groups])
        others = np.setdiff1d(np.arange(n_features), in_groups)
        parts = [ops.take(values, others, axis=1)]
        for group, may_be_zero in zip(self.groups, self.may_be_zero, strict=True):
            parts.append(self._chosen(ops.take(values, np.array(group), axis=1), may_be_zero))
        order = np.argsort(np.concatenate([others, in_groups]))
        return ops.take(ops.concatenate(parts, axis=1), order, axis=1)

    @staticmethod
    def _chosen(values: Any, may_be_zero: bool) -> Any:
        """The one-hot vector of the largest value. A dropped column stands for what is left to 1."""
        if may_be_zero:
            values = ops.concatenate([values, 1 - ops.sum(values, axis=1, keepdims=True)], axis=1)
        soft = ops.softmax(STEEPNESS * values, axis=1)
        largest = ops.top_k(values, 1)[1][:, 0]  # argmax of Keras uses an operation that ONNX does not have
        hard = ops.one_hot(largest, values.shape[-1], dtype=soft.dtype)
        chosen = soft + ops.stop_gradient(hard - soft)
        return chosen[:, :-1] if may_be_zero else chosen

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape[1]

    def get_config(self) -> dict[str, Any]:
        own = {"kept": self.kept, "groups": self.groups, "may_be_zero": self.may_be_zero, "codes": self.codes}
        return {**super().get_config(), **own}


def with_spread_of_indicators(X: RowSubset, rules: Mapping[str, Any]) -> RowSubset:
    """Rows in which columns of 0 and 1 that are constant, such as those of a rare category, count as nearly constant.

    Other constant columns have the mean spread of the others. A category that never occurs would get much noise.

    Parameters
    ----------
    X : RowSubset of shape (n_samples, n_features)
    rules : dict
        Arguments of `ValidRows`.

    Returns
    -------
    X : RowSubset
        The same one if X is not encoded.
    """
    if "groups" not in rules:
        return X
    statistics = Statistics.of(X)
    columns = [*rules["kept"], *chain.from_iterable(rules["groups"]), *(code[0] for code in rules["codes"])]
    is_constant = np.isin(np.arange(len(statistics.variance)), columns) & (statistics.variance == 0)
    is_constant &= (statistics.lowest == 0) | (statistics.lowest == 1)
    variance = np.where(is_constant, LEAST_SPREAD**2, statistics.variance)
    return X.with_statistics(replace(statistics, variance=variance))


def with_valid_rows(autoencoder: keras.Model, rules: Mapping[str, Any]) -> keras.Model:
    """The autoencoder with a layer `ValidRows` at its end; the autoencoder itself if there are no rules.

    Parameters
    ----------
    autoencoder : keras.Model
        From rows to rows.
    rules : dict
        Arguments of `ValidRows`.

    Returns
    -------
    autoencoder : keras.Model
    """
    if not any(rules.values()):
        return autoencoder
    valid_rows = ValidRows(**rules, name="valid_rows")
    if is_layer_graph(autoencoder):
        x, reconstruction = autoencoder.inputs[0], autoencoder.outputs[0]
    else:
        x = keras.Input(autoencoder.input_shape[1:], name="sample")
        reconstruction = only_tensor(autoencoder(x))
    return keras.Model(x, valid_rows([x, reconstruction]), name="autoencoder")
