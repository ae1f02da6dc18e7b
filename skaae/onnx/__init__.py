"""Detectors as ONNX files, and a detector that runs them without TensorFlow, Keras or scikit-learn."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from skaae._data.rows import chunks
from skaae._data.samples import as_samples, check_feature_names, check_float32_range
from skaae._scoring.decisions import DecisionsMixin, check_repairable
from skaae._utils.extras import import_extra
from skaae.onnx._files import check_target, write_whole

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["OnnxDetector", "to_onnx"]
FORMAT = 1
# What `OnnxDetector` reads from the file beside the graph.
METADATA = {"threshold", "classes", "classes_dtype", "sample_shape", "feature_names", "label_change_first", "versions"}
EXTRA = "onnx-runtime"
BYTES_PER_CHUNK = 2**18


def to_onnx(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted detector as one ONNX file, which :class:`OnnxDetector` runs without TensorFlow.

    The file has the autoencoder, the classifier and the score in one graph, from "x" (n_samples, ...)
    to "score", "reconstruction" (x'), "probabilities" (M(x)) and "probabilities_reconstructed"
    (M(x')), "no_defense" and "defense" (the positions of their labels), so that any ONNX runtime can
    use it; threshold, labels, sample shape and the versions of the packages are in its metadata.

    Parameters
    ----------
    estimator : AdversarialAEDetector, CorrectedClassifier or Pipeline
        Fitted. Of a Pipeline, the steps before the detector go into the graph; after it, only the
        classifier that it defends may come, whose labels are those that `correct` returns.
    path : str or path
        Written whole or not at all: under a temporary name in the same folder first.

    Raises
    ------
    ImportError
        If a package of the extra ``onnx`` is not installed.
    TypeError
        If it is something else, or has a part that cannot be expressed in ONNX, which is named.
    NotFittedError
        If it has not been fitted.
    FileNotFoundError, IsADirectoryError
        If the folder of `path` does not exist, or if `path` is a folder.

    Notes
    -----
    With a Keras classifier, or one that skaae converts to Keras, the graph is the one that the
    estimator runs; in float32 products round differently in ONNX Runtime, so that scores differ in
    the seventh digit of the logits. Of other classifiers:

    - Trees, forests, gradient boosting and histogram gradient boosting of scikit-learn and LightGBM
      take the very same branches, and equal votes give the same label; sums over the trees are
      rounded to float32 once.
    - XGBoost (onnxmltools) computes in float32, as it does itself.
    - Others (skl2onnx): float64, but for support vector machines, Bagging, Voting, Stacking and AdaBoost,
      which are in float32. A conversion whose probabilities are more than 1e-5 off is refused.

    The threshold is the score of one of the calibration rows: on that row rounding decides whether the
    score is above it. With ``label_change_first`` a row on which two classes are equally probable up to such rounding
    may change its label, and with it the score by about 1000.

    Examples
    --------
    >>> import tempfile
    >>> import keras
    >>> from sklearn.datasets import load_iris
    >>> from skaae import AdversarialAEDetector
    >>> from skaae.onnx import OnnxDetector, to_onnx
    >>> X, y = load_iris(return_X_y=True)
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    >>> detector = AdversarialAEDetector(model, epochs=1, random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     to_onnx(detector, f"{folder}/detector.onnx")
    ...     loaded = OnnxDetector(f"{folder}/detector.onnx")
    >>> bool(abs(loaded.score_samples(X) - detector.score_samples(X)).max() < 1e-5)
    True
    """
    path = check_target(path)
    from skaae.onnx._graph import export

    content = export(estimator, FORMAT).SerializeToString()
    _session(content)  # ONNX Runtime has to accept it before anything is written
    write_whole(path, content)


class OnnxDetector(DecisionsMixin):
    """A detector from a file of :func:`to_onnx`; needs NumPy and ONNX Runtime only.

    It has the methods of :class:`AdversarialAEDetector` that score and decide, with the same results up
    to rounding. One detector may be used from several threads at once.

    Parameters
    ----------
    path : str or path
        A file that `to_onnx` has written.
    session_options : onnxruntime.SessionOptions or None, default=None
        Number of threads and the like.

    Attributes
    ----------
    threshold_ : float
        Rows that score higher are adversarial. May be set.
    offset_ : float
        ``-threshold_``.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Size of the first dimension of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X was a DataFrame when the detector was fitted.
    label_change_first_ : bool
        Whether rows whose label is another for x' score above 1000.
    versions_ : dict of str to str
        Versions of the packages that wrote the file.

    Raises
    ------
    ImportError
        If ONNX Runtime is not installed.
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no ONNX file, or none of `to_onnx`, or of a newer format.

    Notes
    -----
    X is read in chunks of 256 KiB, so that memory beyond the results is bounded. Where the detector
    came from a Pipeline, X is what its first step takes, while `reconstruct` and `transform` return
    rows as its last step before the detector makes them.
    """

    def __init__(self, path: str | os.PathLike[str], session_options: Any = None) -> None:
        self._session = _open(path, session_options)
        self._path = os.fspath(path)
        found = _metadata(self._session, path)
        self.threshold_ = float(found["threshold"])
        self.classes_ = np.array(found["classes"], dtype=np.dtype(found["classes_dtype"]))
        self.label_change_first_ = bool(found["label_change_first"])
        self.versions_ = dict(found["versions"])
        self.n_features_in_ = int(found["sample_shape"][0])
        if found["feature_names"] is not None:
            self.feature_names_in_ = np.array(found["feature_names"], dtype=object)
        self._sample_shape = tuple(found["sample_shape"])
        self._dtype = {"tensor(float)": np.float32, "tensor(double)": np.float64}[self._session.get_inputs()[0].type]
        self._has_steps = "sample" in [output.name for output in self._session.get_outputs()]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._path!r})"

    @property
    def offset_(self) -> float:
        """``-threshold_``."""
        return -self.threshold_

    def transform(self, X: ArrayLike) -> np.ndarray:
        """X with its adversarial samples replaced by x', so that a classifier after it is corrected.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples of the shape that was fitted.

        Returns
        -------
        X_repaired : ndarray of the shape of X, float32 or float64 as X
            Samples that are not flagged are returned bit for bit. After the steps of a Pipeline: of
            the shape that these return, float64.
        """
        if not self._has_steps:
            return super().transform(X)
        found = self._results(self._checked(X), "sample", "reconstruction", "score")
        check_repairable(np.isfinite(found["score"]))
        found["sample"][found["score"] > self.threshold_] = found["reconstruction"][found["score"] > self.threshold_]
        return found["sample"]

    def _checked(self, X: Any) -> np.ndarray:
        check_feature_names(X, getattr(self, "feature_names_in_", None))
        X = as_samples(X, self._sample_shape, type(self).__name__)
        check_float32_range(X)
        return X

    def _results(self, X: np.ndarray, *names: str) -> dict[str, np.ndarray]:
        """Results of all rows, of each chunk put where they belong."""
        results: dict[str, np.ndarray] = {}
        start = 0
        for rows in chunks(X, BYTES_PER_CHUNK):
            found = self._session.run(names, {"x": rows.astype(self._dtype, copy=False)})
            for name, values in zip(names, found, strict=True):
                if start == 0:
                    results[name] = np.empty((len(X), *values.shape[1:]), values.dtype)
                results[name][start : start + len(rows)] = values
            start += len(rows)
        return results


def _session(content: bytes, options: Any = None) -> Any:
    return import_extra("onnxruntime", EXTRA).InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _open(path: str | os.PathLike[str], options: Any) -> Any:
    with open(path, "rb") as file:
        content = file.read()
    errors = import_extra("onnxruntime.capi.onnxruntime_pybind11_state", EXTRA)
    try:
        return _session(content, options)
    except (errors.InvalidProtobuf, errors.InvalidGraph, errors.InvalidArgument, errors.Fail) as error:
        raise ValueError(f"path={os.fspath(path)!r} is no ONNX file that ONNX Runtime can read: {error}") from error


def _metadata(session: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    found = session.get_modelmeta().custom_metadata_map
    if "skaae_format" not in found:
        raise ValueError(f"path={os.fspath(path)!r} is an ONNX file, but none that skaae.onnx.to_onnx has written.")
    if json.loads(found["skaae_format"]) > FORMAT:
        raise ValueError(
            f"path={os.fspath(path)!r} has the format {found['skaae_format']}, newer than {FORMAT}, the newest that "
            f"this version of skaae reads."
        )
    if lost := sorted(METADATA - found.keys()):
        raise ValueError(f"path={os.fspath(path)!r} has lost the metadata {lost}: export the detector again.")
    return {name: json.loads(value) for name, value in found.items()}
