"""Rows of the user as rows of numbers, and back: what the methods of a fitted estimator read and return."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from skaae._classifiers.adapters import check_fitted
from skaae._classifiers.encoding import Encoding, encoded
from skaae._classifiers.frames import is_raw, like
from skaae._classifiers.kinds import check_categories
from skaae._classifiers.unwrapping import allows_missing
from skaae._data.features import mask_of_features
from skaae._data.input import DTYPES, check_finite_in_chunks, explain_conversion_errors
from skaae._data.samples import check_float32_range, check_frame, check_sample_shape
from skaae._training.defense import Defense

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


class RawRowsMixin:
    """Reads X, encodes it where the classifier does, and finds the columns in which x' is x."""

    _encoding: Encoding | None = None

    if TYPE_CHECKING:
        classifier: Any
        mutable_features: Any
        n_features_in_: int
        _defense: Defense

    def encode(self, X: ArrayLike) -> np.ndarray:
        """Return the rows of numbers that the autoencoder and :func:`attack_target` take.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        rows : ndarray of shape (n_samples, n_encoded), float32 or float64
            What the transformers of the classifier return, with missing values filled in and marked in further
            columns. X itself as an array if it has numbers only.

        Raises
        ------
        ValueError, TypeError
            If X does not fit.
        """
        return self._checked(X)

    def _read_for_fit(self, classifier: Any, X: Any) -> tuple[np.ndarray, Any]:
        """The rows and the classifier that training takes; and the rules that x' obeys, as ``_rules``."""
        check_frame(X)
        if is_raw(X):
            check_fitted(classifier)
        self._encoding, inner = encoded(classifier, X)
        if self._encoding is None:
            check_categories(classifier, X)
        rows = self._validated(X, reset=True)
        self._rules = self._rules_of_fit(rows)
        return rows, inner

    def _rules_of_fit(self, rows: np.ndarray) -> dict[str, Any]:
        rules = {} if self._encoding is None else dict(self._encoding.rules)
        if self.mutable_features is None:
            return rules
        if rows.ndim != 2:
            raise ValueError(f"mutable_features requires rows of features, got samples of shape {rows.shape[1:]}.")
        names = getattr(self, "feature_names_in_", None)
        is_mutable = mask_of_features(self.mutable_features, self.n_features_in_, names)
        immutable = np.flatnonzero(~is_mutable).tolist()
        if self._encoding is not None:
            immutable = self._encoding.immutable_columns(is_mutable, names)
        if len(immutable) == rows.shape[1]:
            chosen = list(self.mutable_features)[:10]
            raise ValueError(f"mutable_features must contain a feature that the classifier reads, got {chosen}.")
        return {**rules, "kept": sorted({*rules.get("kept", ()), *immutable})}

    def _kept(self) -> list[int]:
        """Columns in which x' is x."""
        defense = getattr(self, "_defense", None)
        return [] if defense is None else list(defense.kept)

    def _decoded(self, method: Callable[[ArrayLike], np.ndarray], X: Any, keeps_rows: bool = False) -> Any:
        """The result of a method that returns rows, as rows like those of X."""
        if self._encoding is None:
            return method(X)
        if not self._encoding.is_invertible:
            raise ValueError(
                f"{type(self).__name__} works on the rows that the transformers of its classifier return, and these "
                f"cannot be turned back into rows like those of X. Use correct(X) or CorrectedClassifier for corrected "
                f"labels, and encode(X) for the rows that the autoencoder takes. Or put the transformers before the "
                f"detector: make_pipeline(transformers, detector)."
            )
        rows = method(X)
        unchanged = (rows == self._encoding.encode(X)).all(axis=1) if keeps_rows else None
        return like(self._encoding.decode(rows), X, unchanged)

    def _validated(self, X: Any, reset: bool) -> np.ndarray:
        """X as an array of finite numbers of the shape of fit, encoded if the classifier encodes it."""
        with explain_conversion_errors(X) if self._encoding is None else nullcontext():
            rows = self._read(X, reset)
        check_float32_range(rows)
        if not reset:
            check_sample_shape(rows, self._defense.sample_shape, type(self).__name__)
        return rows

    def _read(self, X: Any, reset: bool) -> np.ndarray:
        is_mapped, n_least = isinstance(X, np.memmap), 2 if reset else 1
        settings = {"allow_nd": True, "dtype": DTYPES, "ensure_min_samples": n_least}
        if self._encoding is not None:
            self._encoding.check_container(X)
            validate_data(self, X, reset=reset, skip_check_array=True)
            rows: np.ndarray = check_array(self._encoding.encode(X), estimator=self, **settings)
            return rows
        with self._explained_missing_values():
            rows = validate_data(self, X, reset=reset, ensure_all_finite=not is_mapped, **settings)
        if is_mapped:
            check_finite_in_chunks(rows, type(self).__name__)
        return rows

    @contextmanager
    def _explained_missing_values(self) -> Iterator[None]:
        """Say why missing values are refused where the classifier takes them."""
        try:
            yield
        except ValueError as error:
            if "contains NaN" in str(error) and allows_missing(self.classifier):
                raise ValueError(
                    "X has missing values, but the detector was fitted on rows without. Fit it on rows with missing "
                    "values too, so that the autoencoder knows them."
                ) from error
            raise

    def _checked(self, X: Any) -> np.ndarray:
        if not hasattr(self, "_thresholds"):
            check_is_fitted(self)
        return self._validated(X, reset=False)
