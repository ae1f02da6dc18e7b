"""Raw rows as rows of numbers: what the detector works on where X has categories, text or missing values.

The detector works behind the last transformer of a Pipeline. If there is no transformer, because the classifier takes
categories or missing values itself, rows are encoded here, and decoded whenever the classifier is called.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.pipeline import Pipeline
from sklearn.utils.metaestimators import available_if

from skaae._classifiers.adapters import REFUSALS, is_fitted
from skaae._classifiers.encoded_columns import moved_rules, rules_of_transformers
from skaae._classifiers.frames import (
    MOST_NUMBERS,
    FrameColumns,
    MissingValues,
    as_pandas,
    check_dates,
    has_categories,
    is_raw,
)
from skaae._classifiers.kinds import encodes_categories, inner_parameters, may_read_categories, reads_categories
from skaae._classifiers.tracing import Sources, sources_of_transformers
from skaae._classifiers.unwrapping import (
    THRESHOLD_CLASSIFIERS,
    all_steps_of,
    allows_missing,
    last_step_of,
    transformed,
    unfrozen,
    without_decision_threshold,
    without_search,
)
from skaae._data.samples import check_frame

# So many rows show whether a classifier takes rows that are no numbers.
ROWS_TO_TRY = 100
Columns = FrameColumns | MissingValues


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
    sources : list of frozenset of int
        For each encoded column, the numbers of the columns of X on which it depends.
    classifier : classifier or None
        What takes the rows that `columns` encodes.
    """

    transformers: Any = None
    columns: Any = None
    rules: dict[str, Any] = field(default_factory=dict)
    sources: Sources = field(default_factory=list)
    classifier: Any = None

    @property
    def is_invertible(self) -> bool:
        """Whether x' can be given as a raw row."""
        return self.transformers is None

    def check_container(self, X: Any) -> None:
        """Raise unless X is a table with rows and columns, and a DataFrame where its columns are encoded by name."""
        check_frame(X)
        if hasattr(X, "columns"):
            return
        if self.transformers is None and isinstance(self.columns, FrameColumns):
            raise TypeError(f"X must be a DataFrame with the columns of fit, got {type(X).__name__}.")
        if np.ndim(X) != 2:
            raise ValueError(
                f"X must be a DataFrame or a 2D array, got {type(X).__name__} with {np.ndim(X)} dimension(s). A single "
                f"row is a table too: X.iloc[[0]] of a DataFrame."
            )

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
        given = X
        if self.transformers is not None:
            X = transformed(self.transformers, X)
            X = X if isinstance(self.columns, FrameColumns) else dense(X)
        if isinstance(self.columns, FrameColumns):
            self._check_categories(X)
        rows = X if self.columns is None else self.columns.encode(X)
        rows = np.asarray(rows, dtype=np.float64)
        self._check_finite(rows, given)
        return rows

    def _check_finite(self, rows: np.ndarray, X: Any) -> None:
        """Raise a ValueError that names the columns of X with numbers that are not finite."""
        if np.isfinite(rows).all():
            return
        is_infinite = np.isinf(rows)
        bad = is_infinite if is_infinite.any() else np.isnan(rows)
        places = sorted(set().union(*(self.sources[place] for place in np.flatnonzero(bad.any(axis=0)))))
        names = [X.columns[place] if hasattr(X, "columns") else place for place in places]
        if is_infinite.any():
            raise ValueError(f"X has infinity in the columns {names}, or their numbers become infinite when encoded.")
        raise ValueError(
            f"X has NaN in the columns {names}, which reached the classifier without missing values in fit. Fit the "
            f"detector on rows that have missing values there too, or put a SimpleImputer into the classifier."
        )

    def _check_categories(self, X: Any) -> None:
        """Raise an error for categories that were not there in fit, unless the classifier takes them as missing."""
        unknown = self.columns.unknown_categories(X)
        is_unknown = np.any([*unknown.values(), np.zeros(len(X), bool)], axis=0)
        if not is_unknown.any():
            return
        if not self._means_the_same(X[is_unknown] if hasattr(X, "iloc") else X.filter(is_unknown)):
            raise ValueError(
                f"X has categories that were not there when the detector was fitted, in the columns "
                f"{[name for name, rows in unknown.items() if rows.any()]}. Fit it on rows with all categories that "
                f"the classifier knows, or on columns of pandas' type CategoricalDtype, which lists them."
            )

    def _means_the_same(self, rows: Any) -> bool:
        """Whether the classifier has the same probabilities for rows that were encoded and decoded."""
        probabilities = self.classifier.predict_proba(rows)  # may raise an error of its own
        try:
            found = self.classifier.predict_proba(self.columns.decode(self.columns.encode(rows)))
        except (TypeError, *REFUSALS):  # it reads the text, and cannot read what stands for unknown categories
            return False
        return np.allclose(probabilities, found)

    def immutable_columns(self, is_mutable: np.ndarray, names: Sequence[str] | None = None) -> list[int]:
        """Find the encoded columns that depend on immutable columns of X.

        Parameters
        ----------
        is_mutable : ndarray of shape (n_features,), bool
            For each column of X.
        names : sequence of str or None, default=None
            Names of the columns of X, for the error message.

        Returns
        -------
        columns : list of int

        Raises
        ------
        ValueError
            If an encoded column depends on mutable and on immutable columns.
        """
        immutable = []
        for column, sources in enumerate(self.sources):
            mutable = {bool(is_mutable[source]) for source in sources}
            if len(mutable) == 2:
                raise ValueError(_cannot_be_traced(sources, is_mutable, names))
            if mutable == {False}:
                immutable.append(column)
        return immutable

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

    @available_if(lambda self: hasattr(self.estimator, "decision_function"))  # type: ignore[untyped-decorator]
    def decision_function(self, X: np.ndarray) -> np.ndarray:
        """Values with which a decision threshold of the classifier may be compared."""
        return np.asarray(self.estimator.decision_function(self.columns.decode(X)))


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
    classifier = without_search(classifier)
    if not may_take_raw(classifier):
        return None, classifier
    base = without_search(unfrozen(without_decision_threshold(classifier)))
    raw = is_raw(X) or (has_categories(X) and may_read_categories(base))
    has_transformers = isinstance(base, Pipeline) and len(all_steps_of(base)) > 1
    if has_transformers and (raw or has_categories(X) or encodes_categories(base)):
        encoding = _behind_transformers(_without_inner_pipelines(base), X)
    elif raw and _takes_raw(base, X):
        columns = columns_of(X)
        sources = [frozenset([source]) for source in columns.sources]
        encoding = Encoding(None, columns, columns.rules(), sources, base)
    else:
        return None, classifier
    return encoding, _on_encoded_rows(classifier, encoding)


def _without_inner_pipelines(pipeline: Pipeline) -> Pipeline:
    """The same steps in one Pipeline, so that what is behind the last transformer is the classifier itself."""
    return Pipeline([(f"{place}", step) for place, step in enumerate(all_steps_of(pipeline))])


def may_take_raw(classifier: Any) -> bool:
    """Whether a classifier, fitted or not, is of a kind that may take rows with categories or missing values.

    Parameters
    ----------
    classifier : object

    Returns
    -------
    may_take_raw : bool
        True for a Pipeline with transformers, for boosting, and for what says that it takes missing values or may
        contain one of these.
    """
    base = without_search(unfrozen(without_decision_threshold(classifier)))
    if isinstance(base, Pipeline) and len(all_steps_of(base)) > 1:
        return True
    return may_read_categories(base) or allows_missing(base) or any(map(may_take_raw, inner_parameters(base)))


def _behind_transformers(pipeline: Pipeline, X: Any) -> Encoding:
    """The encoding that a fitted Pipeline makes, and another one behind it where it leaves categories or NaN."""
    rows = transformed(pipeline, X)
    rows = rows if hasattr(rows, "columns") and (is_raw(rows) or has_categories(rows)) else dense(rows)
    n_encoded, last = rows.shape[1], unfrozen(pipeline.steps[-1][1])
    rules = rules_of_transformers(pipeline, n_encoded)
    sources = sources_of_transformers(pipeline, np.shape(X)[1], n_encoded)
    if not (is_raw(rows) or has_categories(rows) or _would_pass_on_missing_values(pipeline, X)):
        return Encoding(pipeline, None, rules, sources, last)
    columns = columns_of(rows)
    own, moved = columns.rules(), moved_rules(rules, columns.places)
    rules = {name: [*own[name], *moved.get(name, ())] for name in own}
    return Encoding(pipeline, columns, rules, [sources[column] for column in columns.sources], last)


def _would_pass_on_missing_values(pipeline: Pipeline, X: Any) -> bool:
    """Whether later rows may reach the classifier with missing values, which it takes, unlike those of fit."""
    if not (hasattr(X, "columns") and allows_missing(pipeline.steps[-1][1])):
        return False
    row = as_pandas(X)[:1]
    numbers = [name for name in row.columns if row[name].dtype.kind in "iuf"]
    row = row.astype(dict.fromkeys(numbers, np.float64))
    row[numbers] = np.nan
    try:
        return bool(np.isnan(dense(transformed(pipeline, row))).any())
    except (AttributeError, TypeError, *REFUSALS):
        return False


def columns_of(X: Any) -> Columns:
    """How to encode rows with categories or missing values."""
    return FrameColumns.of(X) if hasattr(X, "columns") else MissingValues.of(np.asarray(X, dtype=np.float64))


def _cannot_be_traced(sources: frozenset[int], is_mutable: np.ndarray, names: Sequence[str] | None) -> str:
    mutable, immutable = (
        [source if names is None else str(names[source]) for source in sorted(sources) if is_mutable[source] == kind]
        for kind in (True, False)
    )
    return (
        f"mutable_features cannot be traced through the classifier: a column of its transformers depends on "
        f"{mutable[:5]}, which are mutable, and on {immutable[:5]}, which are not, or a transformer is of an unknown "
        f"kind. Put them into separate transformers of a ColumnTransformer. A FunctionTransformer that treats each "
        f"column on its own needs feature_names_out='one-to-one'."
    )


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


def _on_encoded_rows(classifier: Any, encoding: Encoding, is_step: bool = False) -> Any:
    """The classifier behind the transformers, or one that decodes, with its decision threshold around it."""
    classifier = unfrozen(classifier if is_step else without_search(classifier))
    if isinstance(classifier, THRESHOLD_CLASSIFIERS):
        outer = copy.copy(classifier)
        vars(outer).pop("feature_names_in_", None)  # of raw rows
        outer.estimator_ = _on_encoded_rows(getattr(classifier, "estimator_", classifier.estimator), encoding, is_step)
        return outer
    if encoding.transformers is not None and isinstance(classifier, Pipeline):
        return _on_encoded_rows(classifier.steps[-1][1], encoding, is_step=True)
    return classifier if encoding.columns is None else DecodingClassifier(classifier, encoding.columns)


def _takes_raw(classifier: Any, X: Any) -> bool:
    """Whether the classifier takes X as it is. Raise an error if it refuses X, but was fitted on such rows."""
    check_dates(X)
    refusal = _refusal(classifier, X)
    if refusal is not None and has_categories(X) and reads_categories(classifier):
        raise ValueError(
            f"classifier={type(last_step_of(classifier)).__name__} was fitted on categories of pandas and must take X "
            f"as it is, but it raises: {refusal}"
        ) from refusal
    return refusal is None


def _refusal(classifier: Any, X: Any) -> Exception | None:
    """The error of the classifier for rows of fit, as they are or encoded and decoded; None if it takes them."""
    try:
        rows, columns = X[:ROWS_TO_TRY], columns_of(X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of names of columns, for instance, to a classifier that takes numbers
            probabilities = [
                classifier.predict_proba(values) for values in (rows, columns.decode(columns.encode(rows)))
            ]
    except (AttributeError, TypeError, *REFUSALS) as error:
        return error
    is_finite = all(np.isfinite(np.asarray(values, dtype=float)).all() for values in probabilities)
    return None if is_finite else ValueError("predict_proba returns NaN or infinity")
