"""The features of x and x' as a person reads them: names and units of X instead of encoded columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from skaae._classifiers.encoding import Encoding
from skaae._classifiers.frames import as_pandas
from skaae._classifiers.inversion import inverted


@dataclass(frozen=True, eq=False)
class ReadableFeature:
    """A feature with its values in x and in x'.

    Parameters
    ----------
    name : object
        As in X, or the name that a transformer gives to a column which cannot be turned back.
    values, repaired : ndarray of shape (n_samples,)
        Values in x and in x'.
    columns : list of int
        The columns of the encoded rows that are made from the feature.
    """

    name: Any
    values: np.ndarray
    repaired: np.ndarray
    columns: list[int]

    def distance(self, difference: np.ndarray) -> np.ndarray:
        """How far x' is from x in this feature.

        Parameters
        ----------
        difference : ndarray of shape (n_samples, n_encoded)
            x' - x in the encoded rows, in standard deviations.

        Returns
        -------
        distance : ndarray of shape (n_samples,)
            With its sign if the feature is one column, otherwise the Euclidean norm over its columns.
        """
        columns = difference[:, self.columns]
        return columns[:, 0] if columns.shape[1] == 1 else np.linalg.norm(columns, axis=1)


def readable_features(
    encoding: Encoding | None, X: Any, rows: np.ndarray, repaired: np.ndarray, names: Sequence[Any]
) -> list[ReadableFeature]:
    """Find the features of X in encoded rows.

    Parameters
    ----------
    encoding : Encoding or None
        None if rows are the numbers of X.
    X : DataFrame or array-like of shape (n_samples, n_features)
        Rows as the user passed them.
    rows, repaired : ndarray of shape (n_samples, n_encoded)
        The encoded rows x and x'.
    names : sequence of length n_features
        Names of the features of X.

    Returns
    -------
    features : list of ReadableFeature
        All features of which an encoded column is made. Columns that cannot be turned back stand for themselves.
    """
    if encoding is None:
        return [ReadableFeature(name, rows[:, place], repaired[:, place], [place]) for place, name in enumerate(names)]
    raw, turned_back = _columns(X), _turned_back(encoding, repaired, len(names))
    features, named = [], set()
    for place, name in enumerate(names):
        columns = [column for column, sources in enumerate(encoding.sources) if sources == {place}]
        values = turned_back[place]
        if values is not None and columns:
            features.append(ReadableFeature(name, raw[place], values, columns))
            named.update(columns)
    encoded_names = _names_of_encoded(encoding, rows.shape[1])
    others = [column for column in range(rows.shape[1]) if column not in named]
    return features + [
        ReadableFeature(encoded_names[column], rows[:, column], repaired[:, column], [column]) for column in others
    ]


def _turned_back(encoding: Encoding, rows: np.ndarray, n_features: int) -> list[np.ndarray | None]:
    """For each column of X its values in encoded rows, or None if they cannot be computed."""
    decoded = encoding.decode(rows)
    if encoding.transformers is None:
        return list(_columns(decoded))
    if not isinstance(decoded, np.ndarray):
        decoded = np.column_stack([np.asarray(column, dtype=object) for column in _columns(decoded)])
    columns = inverted(encoding.transformers, decoded)
    return columns if len(columns) == n_features else [None] * n_features


def _names_of_encoded(encoding: Encoding, n_encoded: int) -> list[str]:
    """The names that the transformers give to their columns, or numbers."""
    if encoding.transformers is not None and encoding.columns is None:
        try:
            return [str(name) for name in encoding.transformers[:-1].get_feature_names_out()]
        except (AttributeError, ValueError):  # a step does not name its columns
            pass
    return [f"encoded column {column}" for column in range(n_encoded)]


def _columns(X: Any) -> list[np.ndarray]:
    frame = as_pandas(X)
    if hasattr(frame, "iloc"):
        return [frame.iloc[:, place].to_numpy(dtype=object) for place in range(frame.shape[1])]
    return list(np.asarray(frame).T)
