"""Why a row was flagged: what x' = AE(x) changed, in the names and units of the user."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import _safe_indexing
from sklearn.utils.metaestimators import available_if

from skaae._classifiers.encoding import Encoding
from skaae._classifiers.frames import as_pandas
from skaae._classifiers.readable import ReadableFeature, readable_features
from skaae._constraints import FeatureConstraints
from skaae._scoring.decisions import check_repairable
from skaae._scoring.outlier_detector import has_columns
from skaae._scoring.pools import Thresholds
from skaae._utils.extras import import_extra

# x' is computed in float32: smaller differences, in standard deviations, are its rounding.
ROUNDING = 1e-6
COLUMNS = ["row", "feature", "value", "repaired", "difference", "label", "corrected", "defense", "p_value"]


class ExplanationMixin:
    """The method of a detector that says what was repaired."""

    if TYPE_CHECKING:
        classes_: np.ndarray
        n_features_in_: int
        _encoding: Encoding | None
        _spread: np.ndarray
        _thresholds: Thresholds

        def _checked(self, X: Any) -> np.ndarray: ...
        def _results(self, X: Any, *names: str) -> dict[str, np.ndarray]: ...
        def _kept(self) -> list[int]: ...
        def _is_repaired(self, results: dict[str, np.ndarray]) -> np.ndarray: ...

    @available_if(has_columns)  # type: ignore[untyped-decorator]
    def explain(
        self,
        X: Any,
        *,
        n_features: int | None = 5,
        constraints: FeatureConstraints | None = None,
        inverse_transform: Callable[[np.ndarray], Any] | None = None,
    ) -> Any:
        """Explain each flagged row by the features that x' = AE(x) changed most.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows as in fit.
        n_features : int or None, default=5
            Number of features for each flagged row. None: all that x' changed.
        constraints : FeatureConstraints or None, default=None
            Adds the column ``violated``: the features and relations that the row violates.
        inverse_transform : callable or None, default=None
            Takes rows as the detector does and returns rows of as many features in other units. For a
            detector behind a scaler in a Pipeline: ``pipeline[:-1].inverse_transform``.

        Returns
        -------
        explanation : DataFrame
            One line for each flagged row and feature, the largest change of a row first, with the columns

            - ``row``: the label of the row in the index of X, or its number;
            - ``feature``: its name in X. A column that several features are mixed into, or whose
              transformer has no inverse, has the name and the units behind the transformers;
            - ``value`` in x and ``repaired`` in x';
            - ``difference``: from x to x', in standard deviations of the training rows. For a category: the
              Euclidean norm over the columns that encode it;
            - ``label`` that M predicts for x, ``defense``, for x', and ``corrected``, which is one of both: see
              :meth:`correct`;
            - ``p_value``: see :meth:`p_values`. Missing if the threshold was given.

            Needs pandas. Empty if no row is flagged. Not available for images and sequences.

        Raises
        ------
        ValueError, TypeError
            If X or a parameter is invalid, or a row has an infinite score, so that there is no x'.

        Notes
        -----
        The detector trains x' to have the right label, not to resemble x. Pass ``reconstruction_weight=1``
        to keep x' near x, so that fewer and smaller changes are left to read.

        Examples
        --------
        >>> from sklearn.datasets import load_iris
        >>> from sklearn.linear_model import LogisticRegression
        >>> from skaae import AdversarialAEDetector
        >>> X, y = load_iris(return_X_y=True, as_frame=True)
        >>> M = LogisticRegression(max_iter=1000).fit(X, y)
        >>> detector = AdversarialAEDetector(M, epochs=20, reconstruction_weight=1, random_state=0).fit(X)
        >>> explanation = detector.explain(X, n_features=1)
        >>> len(explanation) == detector.predict(X).tolist().count(-1)
        True
        >>> list(explanation.columns[:5])
        ['row', 'feature', 'value', 'repaired', 'difference']
        """
        self._check_explain_arguments(n_features, constraints, inverse_transform)
        rows = self._checked(X)
        results = self._results(rows, "score", "no_defense")
        check_repairable(np.isfinite(results["score"]))
        flagged = np.flatnonzero(self._thresholds.is_adversarial(results["score"], results["no_defense"]))
        raw = _safe_indexing(X if hasattr(X, "columns") or self._encoding is not None else rows, flagged)
        lines = self._explained(raw, rows[flagged], n_features, inverse_transform)
        if constraints is not None:
            lines["violated"] = _violations(constraints, raw)[lines["row"]]
        labels = X.index if hasattr(X, "iloc") else np.arange(len(rows))
        lines["row"] = labels[flagged][lines["row"]]
        return lines

    def _check_explain_arguments(self, n_features: Any, constraints: Any, inverse_transform: Any) -> None:
        if n_features is not None and (not isinstance(n_features, Integral) or n_features < 1):
            raise ValueError(f"n_features must be an integer of at least 1, or None, got {n_features!r}.")
        if constraints is not None and not isinstance(constraints, FeatureConstraints):
            raise TypeError(f"constraints must be FeatureConstraints or None, got {type(constraints).__name__}.")
        if inverse_transform is not None and not callable(inverse_transform):
            raise TypeError(f"inverse_transform must be callable or None, got {type(inverse_transform).__name__}.")
        if inverse_transform is not None and getattr(self, "_encoding", None) is not None:
            raise ValueError("inverse_transform must be None where the classifier encodes X, which is undone already.")

    def _explained(
        self, X: Any, rows: np.ndarray, n_features: int | None, inverse_transform: Callable[[np.ndarray], Any] | None
    ) -> Any:
        """The lines of flagged rows, whose numbers are in the column ``row``."""
        names = list(getattr(self, "feature_names_in_", [f"x{place}" for place in range(self.n_features_in_)]))
        if not len(rows):
            return import_extra("pandas", "pandas").DataFrame({name: np.array([], int) for name in COLUMNS})
        results = self._results(rows, "score", "no_defense", "defense", "reconstruction")
        repaired = results["reconstruction"].astype(np.float64)
        repaired[:, self._kept()] = rows[:, self._kept()]
        difference = (repaired - rows) / self._spread
        features = readable_features(self._encoding, X, rows, repaired, names)
        if inverse_transform is not None:
            features = _in_other_units(features, rows, repaired, inverse_transform)
        lines = _lines(features, difference, n_features)
        of_row = {
            "label": self.classes_[results["no_defense"]],
            "corrected": self.classes_[np.where(self._is_repaired(results), results["defense"], results["no_defense"])],
            "defense": self.classes_[results["defense"]],
            "p_value": np.full(len(rows), np.nan),
        }
        if self._thresholds.calibration_scores is not None:
            of_row["p_value"] = self._thresholds.p_values(results["score"], results["no_defense"])
        return lines.assign(**{name: values[lines["row"]] for name, values in of_row.items()})


def _lines(features: list[ReadableFeature], difference: np.ndarray, n_features: int | None) -> Any:
    """A line for each row and feature that changed, the largest change of each row first."""
    pandas = import_extra("pandas", "pandas")
    distances = np.column_stack([feature.distance(difference) for feature in features])
    order = np.argsort(-np.abs(distances), axis=1, kind="stable")[:, :n_features]
    rows = np.repeat(np.arange(len(order)), order.shape[1])
    columns = order.ravel()
    changed = np.abs(distances[rows, columns]) > ROUNDING
    rows, columns = rows[changed], columns[changed]
    values, repaired = (
        pandas.Series(
            [getattr(features[column], name)[row] for row, column in zip(rows, columns, strict=True)], dtype=object
        )
        for name in ("values", "repaired")
    )
    return pandas.DataFrame(
        {
            "row": rows,
            "feature": [features[column].name for column in columns],
            "value": values.infer_objects(),
            "repaired": repaired.infer_objects(),
            "difference": distances[rows, columns],
        }
    )


def _in_other_units(
    features: list[ReadableFeature],
    rows: np.ndarray,
    repaired: np.ndarray,
    inverse_transform: Callable[[np.ndarray], Any],
) -> list[ReadableFeature]:
    X, X_repaired = (as_pandas(inverse_transform(values)) for values in (rows, repaired))
    if np.shape(X) != rows.shape or np.shape(X_repaired) != rows.shape:
        raise ValueError(f"inverse_transform must return rows of shape {rows.shape}, got {np.shape(X)}.")
    names = list(X.columns) if hasattr(X, "columns") else [feature.name for feature in features]
    columns = zip(names, np.asarray(X).T, np.asarray(X_repaired).T, features, strict=True)
    return [ReadableFeature(name, values, others, feature.columns) for name, values, others, feature in columns]


def _violations(constraints: FeatureConstraints, X: Any) -> np.ndarray:
    """For each row the names of what it violates, separated by commas."""
    names: list[list[str]] = [[] for _ in range(len(X))]
    if len(X):
        X = as_pandas(X)
        violations = constraints.check(X.reset_index(drop=True) if hasattr(X, "iloc") else X)
        for row, name in zip(violations["row"], violations["violated"], strict=True):
            names[row].append(str(name))
    return np.array([", ".join(row) for row in names], dtype=object)
