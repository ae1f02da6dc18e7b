"""Export detectors to ONNX files, and run these files without TensorFlow, Keras or scikit-learn."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from skaae._data.samples import as_samples, check_feature_names, check_float32_range
from skaae._scoring.decisions import DecisionsMixin
from skaae._utils.extras import import_extra
from skaae.onnx._files import check_target, write_whole
from skaae.onnx._options import options_of_values, values_of_options
from skaae.onnx._reading import Table, as_numbers, chunks_of, columns_by_place
from skaae.onnx._refusals import check_rows
from skaae.onnx._thresholds import from_values

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["OnnxDetector", "to_onnx"]
FORMAT = 4
# The metadata that `OnnxDetector` reads in addition to the graph.
METADATA = {
    "thresholds",
    "class_thresholds",
    "classes",
    "classes_dtype",
    "sample_shape",
    "feature_names",
    "table",
    "encoding",
    "kept",
    "label_change_first",
    "versions",
}
EXTRA = "onnx-runtime"
BYTES_PER_CHUNK = 2**18


def to_onnx(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write a fitted detector to one ONNX file, which :class:`OnnxDetector` runs without TensorFlow.

    The file contains the autoencoder, the classifier and the score in one graph, which any ONNX
    runtime can use. The input of the graph is "x", with shape (n_samples, ...). Its outputs are
    "score", "reconstruction" (x'), "probabilities" (M(x)), "probabilities_reconstructed" (M(x')), and
    the class numbers "no_defense" and "defense", predicted from x and from x'. The metadata of the
    file contains the thresholds, the labels, the sample shape and the versions of the packages. A row
    is adversarial if its score exceeds the element "no_defense" of "class_thresholds", where null means
    that rows of this class are never flagged. Its corrected label is then "defense" if the score exceeds the
    element "defense" of "repair_thresholds", where null means any score, and otherwise "no_defense".

    If the detector was fitted on a table with text, the graph has an input for each column that a transformer reads,
    with the name of the column, strings or float64, and of shape (n_samples, 1). The transformers of the classifier
    are part of the graph. If there are transformers, or missing values, the output "sample" has the rows that the
    autoencoder takes. They are infinite where a transformer refuses the row. The outputs "original" and "repaired" are
    x and x' as `transform` returns them.

    Parameters
    ----------
    estimator : AdversarialAEDetector, CorrectedClassifier or Pipeline
        The fitted estimator. The graph also contains the steps of a Pipeline before the detector. The
        only step allowed after the detector is the classifier that it defends. The predictions of
        such a Pipeline are the corrected labels that `correct` returns.
    path : str or path
        The file to write. It is first written under a temporary name in the same folder and then
        renamed, so that `path` never contains an incomplete file.

    Raises
    ------
    ImportError
        If a package of the extra ``onnx`` is not installed.
    TypeError
        If the estimator is of another type, or if a part of it cannot be expressed in ONNX. The
        message names the part.
    NotFittedError
        If the estimator is not fitted.
    FileNotFoundError, IsADirectoryError
        If the folder of `path` does not exist, or if `path` is a folder.

    Notes
    -----
    If the classifier is a Keras model, or skaae converts it to one, the file contains the graph that
    the estimator runs. ONNX Runtime rounds float32 products differently, so the logits differ in the
    seventh digit. Other classifiers are converted as follows:

    - Trees, forests, gradient boosting and histogram gradient boosting of scikit-learn, and LightGBM,
      take exactly the same branches as the classifier, and equal votes give the same label. The sum
      over the trees is rounded to float32 once.
    - XGBoost (converted by onnxmltools) computes in float32, as XGBoost itself does.
    - Bagging, soft voting, stacking and calibration combine their members in float64.
    - All others (converted by skl2onnx) compute in float64, except support vector machines and AdaBoost,
      which compute in float32. A conversion whose probabilities differ by more than 1e-5 is refused.
    - Encoders are lookup tables, which they fill themselves. Other transformers compute in float64.

    Networks that compute in bfloat16 are refused, because ONNX Runtime lacks the operators.

    A threshold is the score of a calibration row, and other rows may have the same score: always if
    rows occur several times, and often with nearest neighbors, small forests and Bagging. The file
    flags none of them, as the estimator does: the graph estimates how far rounding can move the score
    of each row, and returns exactly the threshold if that is within reach. For this, "thresholds", one
    for each class, is a second input of the graph, with those of the estimator as its default. With
    ``label_change_first``, a row with two classes that are equally probable up to rounding may get
    another label, which changes its score by about 1000.

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
    >>> bool(abs(loaded.adversarial_score(X) - detector.adversarial_score(X)).max() < 1e-5)
    True
    """
    path = check_target(path)
    from skaae.onnx._graph import export

    content = export(estimator, FORMAT).SerializeToString()
    _session(content)  # raises an error, before anything is written, if ONNX Runtime refuses the model
    write_whole(path, content)


class OnnxDetector(DecisionsMixin):
    """A detector that runs a file written by :func:`to_onnx`, and only needs NumPy and ONNX Runtime.

    It has those methods of :class:`AdversarialAEDetector` that score rows and decide, with the same
    results up to rounding. Several threads may use one detector at the same time. A pickle contains the file.

    Parameters
    ----------
    path : str or path
        A file written by `to_onnx`.
    session_options : onnxruntime.SessionOptions or None, default=None
        Options of ONNX Runtime, such as the number of threads. A pickle keeps them, except for entries of
        ``add_session_config_entry``, which ONNX Runtime does not list.

    Attributes
    ----------
    threshold_ : float
        Threshold of the score for the classes that share one. To set it sets that of all classes.
    class_thresholds_ : ndarray of shape (n_classes,)
        Threshold of the score for each class that M predicts.
    repair_thresholds_ : ndarray of shape (n_classes,)
        Score that a flagged row must exceed to be repaired into each class.
    offset_ : float
        Rows with smaller `score_samples` are adversarial.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    n_features_in_ : int
        Size of the first dimension of a sample.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Defined only if the detector was fitted on a DataFrame.
    label_change_first_ : bool
        Whether rows with different labels for x and x' score above 1000.
    versions_ : dict of str to str
        Versions of the packages that wrote the file.

    Raises
    ------
    ImportError
        If ONNX Runtime is not installed.
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file is not an ONNX file, was not written by `to_onnx`, or has a newer format.

    Notes
    -----
    X is processed in chunks of 256 KiB, which bounds the memory needed beyond the results. If the
    detector was exported with the steps of a Pipeline, X contains rows as the first step takes them,
    and `reconstruct` and `transform` return rows as the last step before the detector returns them.
    If the transformers of the classifier encode X, both raise an error.

    X may be an array, a DataFrame of pandas or polars, or a dict of columns. The columns of a DataFrame must
    be those of fit, in the same order. As in scikit-learn, only a ColumnTransformer as the first step takes
    them in any order, and ignores columns that it drops or does not know.
    """

    def __init__(self, path: str | os.PathLike[str], session_options: Any = None) -> None:
        self._content = Path(path).read_bytes()
        self._options = session_options
        self._session = _open(path, self._content, session_options)
        self._path = os.fspath(path)
        metadata = _metadata(self._session, path)
        self._thresholds = from_values(metadata["thresholds"])
        self.classes_ = np.array(metadata["classes"], dtype=np.dtype(metadata["classes_dtype"]))
        self.label_change_first_ = bool(metadata["label_change_first"])
        self.versions_ = dict(metadata["versions"])
        self.n_features_in_ = int(metadata["sample_shape"][0])
        if metadata["feature_names"] is not None:
            self.feature_names_in_ = np.array(metadata["feature_names"], dtype=object)
        self._sample_shape = tuple(metadata["sample_shape"])
        self._table = None if metadata["table"] is None else Table(**metadata["table"])
        self._encoding = metadata["encoding"]
        self._kept_columns: list[int] = metadata["kept"]
        self._dtype = np.float64 if self._session.get_inputs()[0].type == "tensor(double)" else np.float32

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._path!r})"

    def __getstate__(self) -> dict[str, Any]:
        options = None if self._options is None else values_of_options(self._options)
        return {**{name: value for name, value in vars(self).items() if name != "_session"}, "_options": options}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        if self._options is not None:
            self._options = options_of_values(self._options)
        self._session = _session(self._content, self._options)

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Replace the adversarial samples of X by x', which corrects the predictions of a classifier on X.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples with the same shape as those seen in fit.

        Returns
        -------
        X_repaired : ndarray, same shape as X, float32 or float64 like X
            Samples that are not repaired are returned unchanged, bit for bit. If the file contains steps
            of a Pipeline, the array has the shape that these return, and dtype float64.
        """
        if self._table is None:
            return super().transform(X)
        self._check_invertible("transform")
        results = self._results(self._checked(X), "original", "repaired", "score", "no_defense", "defense")
        is_repaired = self._is_repaired(results)
        results["original"][is_repaired] = results["repaired"][is_repaired]
        return results["original"]

    def reconstruct(self, X: ArrayLike) -> np.ndarray:
        """Compute x' = AE(x) for every sample, adversarial or not.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples with the same shape as those seen in fit.

        Returns
        -------
        reconstruction : ndarray of the shape of X, float32
            If the file contains steps of a Pipeline, the array has the shape that these return. Where the detector
            was fitted on rows with missing values, it is float64, with NaN for what is missing.

        Raises
        ------
        ValueError
            If X does not fit, if x' of a sample has NaN or infinity, or if the classifier encodes X, so that x' is no
            row like those of X.
        """
        self._check_invertible("reconstruct")
        reconstruction = super().reconstruct(X)
        return reconstruction if self._encoding is None else self._results(self._checked(X), "repaired")["repaired"]

    def _check_invertible(self, method: str) -> None:
        if self._encoding is not None and not self._encoding["is_invertible"]:
            raise ValueError(
                f"{method} of {type(self).__name__} cannot return rows like those of X: the classifier encodes X, and "
                f"the file has no way back. Use correct(X) for corrected labels."
            )

    def _kept(self) -> list[int]:
        return self._kept_columns

    def _checked(self, X: Any) -> Any:
        """X as an array, or as the inputs of the graph if it has steps."""
        if self._table is not None:
            return self._table.read(X, type(self).__name__)
        names = [*self.feature_names_in_] if hasattr(self, "feature_names_in_") else None
        if isinstance(X, Mapping):
            columns = columns_by_place(X, names, None, self.n_features_in_, type(self).__name__)
            X = np.column_stack([as_numbers(values, str(place)) for place, values in columns.items()])
        check_feature_names(X, names)
        X = as_samples(X, self._sample_shape, type(self).__name__)
        check_float32_range(X)
        return X

    def _results(self, X: Any, *names: str) -> dict[str, np.ndarray]:
        """Compute the named results of all rows, chunk by chunk."""
        inputs = {"x": X} if isinstance(X, np.ndarray) else X
        if sum(values.nbytes for values in inputs.values()) <= BYTES_PER_CHUNK:
            return self._run(inputs, names)
        results: dict[str, np.ndarray] = {}
        n_rows = len(next(iter(inputs.values())))
        for start, rows in chunks_of(inputs, BYTES_PER_CHUNK):
            for name, values in self._run(rows, names, start).items():
                if start == 0:
                    results[name] = np.empty((n_rows, *values.shape[1:]), values.dtype)
                results[name][start : start + len(values)] = values
        return results

    def _run(self, inputs: dict[str, np.ndarray], names: tuple[str, ...], start: int = 0) -> dict[str, np.ndarray]:
        feed = {**inputs, "thresholds": self.class_thresholds_}
        if self._table is None:
            feed["x"] = feed["x"].astype(self._dtype, copy=False)
            return dict(zip(names, self._session.run(names, feed), strict=True))
        sample, *outputs = self._session.run(("sample", *names), feed)
        check_rows(sample, None if self._encoding is None else self._encoding["sources"], start)
        return dict(zip(names, outputs, strict=True))


def _session(content: bytes, options: Any = None) -> Any:
    runtime = import_extra("onnxruntime", EXTRA)
    if options is None:
        options = runtime.SessionOptions()
        options.log_severity_level = 3  # otherwise ONNX Runtime warns that the thresholds are an input with a default
    return runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _open(path: str | os.PathLike[str], content: bytes, options: Any) -> Any:
    errors = import_extra("onnxruntime.capi.onnxruntime_pybind11_state", EXTRA)
    try:
        return _session(content, options)
    except (errors.InvalidProtobuf, errors.InvalidGraph, errors.InvalidArgument, errors.Fail) as error:
        raise ValueError(f"path={os.fspath(path)!r} is not an ONNX file that ONNX Runtime can read: {error}") from error


def _metadata(session: Any, path: str | os.PathLike[str]) -> dict[str, Any]:
    metadata = session.get_modelmeta().custom_metadata_map
    if "skaae_format" not in metadata:
        raise ValueError(f"path={os.fspath(path)!r} is an ONNX file, but skaae.onnx.to_onnx did not write it.")
    if json.loads(metadata["skaae_format"]) > FORMAT:
        raise ValueError(
            f"path={os.fspath(path)!r} has format {metadata['skaae_format']}, but this version of skaae reads formats "
            f"up to {FORMAT}. Install the version that wrote the file, or a later one."
        )
    if missing := sorted(METADATA - metadata.keys()):
        raise ValueError(f"path={os.fspath(path)!r} lacks the metadata {missing}. Export the detector again.")
    return {name: json.loads(value) for name, value in metadata.items()}
