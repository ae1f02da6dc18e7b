"""Raw rows as rows of numbers: what the detector works on where X has categories, text or missing values.

The detector works behind the last transformer of a Pipeline. If there is no transformer, because the classifier takes
categories or missing values itself, rows are encoded here, and decoded whenever the classifier is called.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.utils import get_tags

from skaae._classifiers.adapters import is_fitted
from skaae._classifiers.encoded_columns import rules_of_transformers
from skaae._classifiers.frames import FrameColumns, MissingValues, has_categories, is_raw
from skaae._classifiers.kinds import BOOSTERS, encodes_categories, may_read_categories
from skaae._classifiers.unwrapping import (
    THRESHOLD_CLASSIFIERS,
    all_steps_of,
    transformed,
    unfrozen,
    without_decision_threshold,
)

# Sparse rows become dense: 2 GiB of float64.
MOST_NUMBERS = 2**28


@dataclass(frozen=True, eq=False)
class Encoding:
    """From raw rows to finite rows of numbers, and what these have to obey.

    Parameters
    ----------
    transformers : Pipeline or None
        The transformers before the classifier, with the classifier as the last step, or None.
    columns : FrameColumns, MissingValues or None
        How rows are encoded that the transformers, or the user, leave with categories or missing values.
    rules : dict
        Arguments of `skaae._keras.valid_rows.ValidRows`.
    """

    transformers: Any = None
    columns: Any = None
    rules: dict[str, Any] = field(default_factory=dict)

    @property
    def is_invertible(self) -> bool:
        """Whether x' can be given as a raw row."""
        return self.transformers is None

    def encode(self, X: Any) -> np.ndarray:
        """Encode raw rows.

        Parameters
        ----------
        X : DataFrame or array-like of shape (n_samples, n_features)

        Returns
        -------
        rows : ndarray of shape (n_samples, n_encoded), float64

        Raises
        ------
        ValueError
            If the transformers return values that are not finite, or too many numbers.
        """
        if self.transformers is not None:
            X = dense(transformed(self.transformers, X))
        rows = X if self.columns is None else self.columns.encode(X)
        rows = np.asarray(rows, dtype=np.float64)
        if not np.isfinite(rows).all():
            raise ValueError(
                "X has values that are NaN or infinite where the classifier or its transformers take none."
            )
        return rows

    def decode(self, rows: np.ndarray) -> Any:
        """Raw rows, or what the transformers return, from encoded rows."""
        return rows if self.columns is None else self.columns.decode(rows)


class DecodingClassifier(ClassifierMixin, BaseEstimator):
    """A classifier of raw rows as one of encoded rows.

    Parameters
    ----------
    estimator : classifier
        Fitted.
    columns : FrameColumns or MissingValues
    """

    def __init__(self, estimator: Any, columns: Any) -> None:
        self.estimator = estimator
        self.columns = columns

    @property
    def classes_(self) -> np.ndarray:
        return np.asarray(self.estimator.classes_)

    @property
    def n_features_in_(self) -> int:
        n_encoded: int = self.columns.n_encoded
        return n_encoded

    def fit(self, X: Any, y: Any = None) -> DecodingClassifier:
        """Do nothing: the classifier is fitted."""
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def predict(self, X: np.ndarray) -> np.ndarray:
        """Labels of the classifier."""
        return np.asarray(self.estimator.predict(self.columns.decode(X)))

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        """Probabilities of the classifier."""
        return np.asarray(self.estimator.predict_proba(self.columns.decode(X)))


def encoded(classifier: Any, X: Any) -> tuple[Encoding | None, Any]:
    """Find how raw rows are encoded, and the classifier of encoded rows.

    Parameters
    ----------
    classifier : object
        Fitted, as the user passed it.
    X : object
        Rows of fit, as the user passed them.

    Returns
    -------
    encoding : Encoding or None
        None if the classifier takes X as an array of numbers, or takes no X of this kind.
    classifier : object
        The classifier of encoded rows; the same one if `encoding` is None.
    """
    if not is_fitted(classifier):
        return None, classifier
    base = unfrozen(without_decision_threshold(classifier))
    raw = is_raw(X) or (has_categories(X) and may_read_categories(base))
    has_transformers = isinstance(base, Pipeline) and len(all_steps_of(base)) > 1
    if has_transformers and (raw or has_categories(X) or encodes_categories(base)):
        rows = dense(transformed(base, X))
        columns: FrameColumns | MissingValues | None = MissingValues.of(rows) if np.isnan(rows).any() else None
        encoding = Encoding(base, columns, rules_of_transformers(base, rows.shape[1]))
    elif raw and _takes_missing_or_categories(base):
        columns = FrameColumns.of(X) if hasattr(X, "columns") else MissingValues.of(np.asarray(X, dtype=np.float64))
        encoding = Encoding(None, columns)
    else:
        return None, classifier
    rules = {**encoding.rules, **(encoding.columns.rules(encoding.rules) if encoding.columns is not None else {})}
    return Encoding(encoding.transformers, encoding.columns, rules), _on_encoded_rows(classifier, encoding)


def dense(rows: Any) -> np.ndarray:
    """Encoded rows as a dense array of float64."""
    if issparse(rows):
        if np.prod(rows.shape, dtype=float) > MOST_NUMBERS:
            raise ValueError(
                f"classifier encodes X as a sparse array of shape {rows.shape}, which is too large to be made dense. "
                f"Encode rare categories together (OneHotEncoder(min_frequency=...)), or fit on fewer rows."
            )
        rows = rows.toarray()
    return np.asarray(rows, dtype=np.float64)


def _on_encoded_rows(classifier: Any, encoding: Encoding) -> Any:
    """The classifier behind the transformers, or one that decodes, with its decision threshold around it."""
    classifier = unfrozen(classifier)
    if isinstance(classifier, THRESHOLD_CLASSIFIERS):
        outer = copy.copy(classifier)
        outer.estimator_ = _on_encoded_rows(getattr(classifier, "estimator_", classifier.estimator), encoding)
        return outer
    if encoding.transformers is not None and isinstance(classifier, Pipeline):
        return _on_encoded_rows(classifier.steps[-1][1], encoding)
    return classifier if encoding.columns is None else DecodingClassifier(classifier, encoding.columns)


def _takes_missing_or_categories(classifier: Any) -> bool:
    """Whether the classifier itself takes missing values, or columns of categories in a DataFrame."""
    if type(classifier).__module__.split(".")[0] in BOOSTERS or may_read_categories(classifier):
        return True
    has_tags = isinstance(classifier, BaseEstimator) and not isinstance(classifier, Pipeline)
    return has_tags and bool(get_tags(classifier).input_tags.allow_nan)
