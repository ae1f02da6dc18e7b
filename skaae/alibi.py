"""The interface of alibi-detect's AdversarialAE on top of `AdversarialAEDetector`.

A script that uses alibi-detect's class only needs a new import line::

    from skaae.alibi import AdversarialAE    # was: from alibi_detect.ad import AdversarialAE

This module was written from the published documentation of alibi-detect 0.13. docs/alibi.md lists
the differences. `AdversarialAE` delegates all computations to the estimator `detector_`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from inspect import Parameter, signature
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from skaae._data.input import read_samples
from skaae._detector import AdversarialAEDetector
from skaae._frozen_keras_model import freeze_inferring_logits
from skaae._persistence import PersistenceMixin
from skaae._scoring.decisions import check_repairable
from skaae._scoring.threshold import conformal_threshold

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# The settings of the published method, which trains on all rows that it is given.
PUBLISHED_SETTINGS: dict[str, Any] = {
    "noise": 0.0,
    "virtual_adversarial": 0.0,
    "label_change_first": False,
    "class_thresholds": False,
    "calibration_fraction": 0.0,
}
LARGEST = float(np.finfo(np.float64).max)


class AdversarialAE(PersistenceMixin):
    """Adversarial autoencoder with the parameter names and the results of alibi-detect's class.

    Parameters
    ----------
    threshold : float or None, default=None
        Rows with higher scores are adversarial. If None, call :meth:`infer_threshold` to set it.
    ae : keras.Model or None, default=None
        The autoencoder. A copy of it is trained.
    model : keras.Model, FrozenKerasModel or any fitted classifier
        The classifier to defend. A Keras model may return probabilities or logits.
    encoder_net, decoder_net : keras.Model or None, default=None
        The two halves of the autoencoder. Pass them instead of `ae`.
    model_hl : list of keras.Model or None, default=None
        Models from x to probabilities. Each adds a hidden-layer term to the loss and the score.
    hidden_layer_kld : dict of {int or str: int} or None, default=None
        Maps layers of `model` to the dimension of their projections. Each adds a hidden-layer term.
    w_model_hl : list of float or None, default=None
        Weights of the hidden-layer terms, those of `hidden_layer_kld` first. None means 1 for each.
    temperature : float, default=1.0
        Temperature of the prediction on x. Values below 1 sharpen it.
    data_type : str or None, default=None
        Only stored in ``meta``.

    Attributes
    ----------
    detector_ : AdversarialAEDetector
        The scikit-learn estimator that does the work. Defined once rows were fitted or scored.
    meta : dict
        Has the keys ``name``, ``detector_type``, ``data_type``, ``online`` and ``version``.

    Raises
    ------
    ValueError, TypeError
        If `model` is missing, or if not exactly one of `ae` and the pair of `encoder_net` and
        `decoder_net` is given.

    Examples
    --------
    >>> import keras
    >>> from sklearn.datasets import load_iris
    >>> from skaae.alibi import AdversarialAE
    >>> X = load_iris().data.astype("float32")
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, activation="softmax")])
    >>> ae = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(4)])
    >>> ad = AdversarialAE(ae=ae, model=model)
    >>> ad.fit(X, epochs=2, verbose=False)
    >>> ad.infer_threshold(X, threshold_perc=95)
    >>> sorted(ad.predict(X)["data"])
    ['instance_score', 'is_adversarial']
    """

    def __init__(
        self,
        threshold: float | None = None,
        ae: keras.Model | None = None,
        model: Any = None,
        encoder_net: keras.Model | None = None,
        decoder_net: keras.Model | None = None,
        model_hl: Sequence[keras.Model] | None = None,
        hidden_layer_kld: Mapping[int | str, int] | None = None,
        w_model_hl: Sequence[float] | None = None,
        temperature: float = 1.0,
        data_type: str | None = None,
    ) -> None:
        if model is None:
            raise ValueError("model must be the classifier to defend, got None.")
        _check_networks(ae, encoder_net, decoder_net)
        self.threshold = threshold
        self.model = model
        self.model_hl = model_hl
        self.w_model_hl = w_model_hl
        self.temperature = temperature
        self._ae = ae
        self._start = {"autoencoder": ae} if ae is not None else {"encoder": encoder_net, "decoder": decoder_net}
        self._hidden_layers = hidden_layer_kld
        # Scripts seed the global state. One seed for all fits keeps the projections of the hidden layers fixed.
        self._seed = int(np.random.randint(2**31))
        self.meta = {
            "name": type(self).__name__,
            "detector_type": "adversarial",
            "data_type": data_type,
            "online": False,
            "version": version("skaae"),
        }

    def __repr__(self) -> str:
        return f"{type(self).__name__}(ae={self.ae!r}, model={self.model!r}, threshold={self.threshold!r})"

    @property
    def ae(self) -> keras.Model | None:
        """The autoencoder: the trained one after `fit`, before it the parameter `ae`."""
        return self.detector_.autoencoder_ if hasattr(self, "detector_") else self._ae

    @property
    def threshold(self) -> float | None:
        """The threshold: rows with higher scores are adversarial. None until it is set or inferred."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold: float | None) -> None:
        if threshold is not None and not _is_number(threshold, 0, LARGEST):
            raise ValueError(f"threshold must be a finite number of at least 0, or None, got {threshold!r}.")
        self._threshold = threshold
        if threshold is not None and hasattr(self, "detector_"):
            self.detector_.threshold_ = threshold

    def fit(
        self,
        X: ArrayLike,
        loss_fn: Callable[[Any, Any], Any] | None = None,
        w_model: float = 1.0,
        w_recon: float = 0.0,
        optimizer: type | keras.optimizers.Optimizer | str = keras.optimizers.Adam,
        epochs: int = 20,
        batch_size: int = 128,
        verbose: bool = True,
        log_metric: tuple[str, keras.metrics.Metric] | None = None,
        callbacks: Sequence[keras.callbacks.Callback] | keras.callbacks.Callback | None = None,
        preprocess_fn: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        """Train the autoencoder, starting from its current weights.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Normal rows.
        loss_fn : callable or None, default=None
            ``loss_fn(x, x_reconstructed) -> values`` with one value for each row. If it also takes any
            of the arguments ``model``, ``model_hl``, ``w_model``, ``w_recon``, ``w_model_hl`` and
            ``temperature``, these are passed by name. None means the adversarial loss.
        w_model, w_recon : float, default=1.0, 0.0
            Weights of the divergence and the mean squared error in the adversarial loss.
        optimizer : class, keras.optimizers.Optimizer or str, default=keras.optimizers.Adam
            A class is called without arguments.
        epochs, batch_size : int, default=20, 128
            Number of passes over X, and number of rows in a training step.
        verbose : bool, default=True
            Whether to show progress.
        log_metric : tuple of str and keras.metrics.Metric or None, default=None
            Name and metric. The metric compares the predictions on x and x'.
        callbacks : keras.callbacks.Callback, list of them or None, default=None
            Callbacks of the training.
        preprocess_fn : callable or None, default=None
            Function that is applied to each training batch.

        Raises
        ------
        ValueError, TypeError
            See :meth:`AdversarialAEDetector.fit`.
        """
        single = isinstance(callbacks, keras.callbacks.Callback)
        self._run(
            read_samples(X),
            loss=self._with_keywords(loss_fn, w_model, w_recon),
            divergence_weight=w_model,
            reconstruction_weight=w_recon,
            optimizer=optimizer() if isinstance(optimizer, type) else keras.optimizers.get(optimizer),
            epochs=epochs,
            batch_size=batch_size,
            verbose=verbose,
            metrics=None if log_metric is None else [_renamed(log_metric)],
            callbacks=[callbacks] if single else callbacks,
            preprocess=preprocess_fn,
        )

    def infer_threshold(
        self, X: ArrayLike, threshold_perc: float = 99.0, margin: float = 0.0, batch_size: int | None = None
    ) -> None:
        """Set the threshold from normal rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Normal rows.
        threshold_perc : float, default=99.0
            Percentage of normal rows below the threshold, in (0, 100].
        margin : float, default=0.0
            Number that is added to the threshold.
        batch_size : int or None, default=None
            Ignored. Scores do not depend on it, and memory use is bounded without it.

        Raises
        ------
        ValueError
            If `threshold_perc` is not in (0, 100], if `margin` is not a finite number, or if the
            threshold would be negative. The previous threshold is then kept.
        """
        if not _is_number(threshold_perc, 0, 100) or threshold_perc == 0:
            raise ValueError(f"threshold_perc must be a number above 0 and at most 100, got {threshold_perc!r}.")
        if not _is_number(margin, -LARGEST, LARGEST):
            raise ValueError(f"margin must be a finite number, got {margin!r}.")
        scores = self.score(X, batch_size)
        threshold = conformal_threshold(scores, float(threshold_perc)) + margin
        if threshold < 0:
            raise ValueError(f"The threshold must be at least 0, but margin={margin!r} makes it {threshold:.4g}.")
        self.threshold = threshold

    def score(self, X: ArrayLike, batch_size: int | None = None, return_predictions: bool = False) -> Any:
        """Compute the adversarial score of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        batch_size : int or None, default=None
            Ignored.
        return_predictions : bool, default=False
            Whether to return the predictions too.

        Returns
        -------
        score : ndarray of shape (n_samples,), float64
            S(x) of each row.
        y, y_reconstructed : ndarray of shape (n_samples, n_classes), float64
            The probabilities M(x) and M(x'). Only returned if `return_predictions` is True.
        """
        X = self._prepared(X, batch_size)
        if not return_predictions:
            return self.detector_.adversarial_score(X)
        names = "score", "probabilities", "probabilities_reconstructed"
        results = self.detector_._results(self.detector_._checked(X), *names)
        check_repairable(np.isfinite(results["score"]))
        return tuple(results[name] for name in names)

    def predict(
        self, X: ArrayLike, batch_size: int | None = None, return_instance_score: bool = True
    ) -> dict[str, Any]:
        """Predict which rows are adversarial.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        batch_size : int or None, default=None
            Ignored.
        return_instance_score : bool, default=True
            Whether to return the scores too.

        Returns
        -------
        result : dict
            Has the keys ``meta`` and ``data``. ``data`` is a dict with ``is_adversarial``, 1 or 0 for
            each row, and ``instance_score``, float64, or None if `return_instance_score` is False.

        Raises
        ------
        ValueError
            If no threshold has been set.
        """
        score = self.score(X, batch_size)
        data = {"is_adversarial": self._flags(score), "instance_score": score if return_instance_score else None}
        return {"meta": self.meta, "data": data}

    def correct(
        self,
        X: ArrayLike,
        batch_size: int | None = None,
        return_instance_score: bool = True,
        return_all_predictions: bool = True,
    ) -> dict[str, Any]:
        """Correct the predictions on adversarial rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        batch_size : int or None, default=None
            Ignored.
        return_instance_score, return_all_predictions : bool, default=True
            Whether to return the scores, and the predictions on x and x', too.

        Returns
        -------
        result : dict
            The result of :meth:`predict`, with these class numbers added to ``data``: ``corrected``;
            ``no_defense``, predicted from x; and ``defense``, predicted from x'. The last two are None
            if `return_all_predictions` is False.

        Raises
        ------
        ValueError
            If no threshold has been set.
        """
        score, *predictions = self.score(X, batch_size, return_predictions=True)
        flags = self._flags(score)
        no_defense, defense = (probabilities.argmax(axis=1) for probabilities in predictions)
        data = {
            "is_adversarial": flags,
            "instance_score": score if return_instance_score else None,
            "corrected": np.where(flags == 1, defense, no_defense),
            "no_defense": no_defense if return_all_predictions else None,
            "defense": defense if return_all_predictions else None,
        }
        return {"meta": self.meta, "data": data}

    def _flags(self, score: np.ndarray) -> np.ndarray:
        if self.threshold is None:
            raise ValueError("threshold is None. Call infer_threshold(X) with normal rows, or set threshold, first.")
        return (score > self.threshold).astype(int)

    def _prepared(self, X: ArrayLike, batch_size: int | None) -> np.ndarray:
        """Check the rows, and make a detector that can score them if `fit` has not been called."""
        if batch_size is not None and not (isinstance(batch_size, Integral) and batch_size > 0):
            raise ValueError(f"batch_size must be an int of at least 1, or None, got {batch_size!r}.")
        X = read_samples(X)
        if not hasattr(self, "detector_"):
            self._run(np.repeat(X[:1], 2, axis=0), epochs=0)
        return X

    def _with_keywords(self, loss_fn: Any, w_model: float, w_recon: float) -> Any:
        """Bind the keywords of alibi-detect that the user's loss takes."""
        if not callable(loss_fn):
            return loss_fn
        names = "model", "model_hl", "w_model_hl", "temperature"
        keywords = {"w_model": w_model, "w_recon": w_recon, **{name: getattr(self, name) for name in names}}
        taken = signature(loss_fn).parameters
        takes_all = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in taken.values())
        bound = {name: value for name, value in keywords.items() if takes_all or name in taken}
        return partial(loss_fn, **bound) if bound else loss_fn

    def _run(self, X: np.ndarray, **parameters: Any) -> None:
        """Fit a new detector that starts from the current autoencoder."""
        start: dict[str, Any] = {"autoencoder": self.ae} if hasattr(self, "detector_") else self._start
        hidden = {
            "hidden_layers": self._hidden_layers,
            "hidden_models": self.model_hl,
            "hidden_weights": self.w_model_hl,
        }
        is_keras = isinstance(self.model, keras.Model)
        classifier = freeze_inferring_logits(self.model, X) if is_keras else self.model
        settings: dict[str, Any] = {
            "temperature": self.temperature,
            "threshold": self.threshold or 0.0,
            "random_state": self._seed,
        }
        detector = AdversarialAEDetector(classifier, **settings, **PUBLISHED_SETTINGS)
        self.detector_ = detector.set_params(**start, **hidden, **parameters).fit(X)


def _check_networks(ae: Any, encoder_net: Any, decoder_net: Any) -> None:
    if any((net is None) == (ae is None) for net in (encoder_net, decoder_net)):
        raise ValueError(
            f"Pass either ae, or both encoder_net and decoder_net. Got ae={ae!r}, encoder_net={encoder_net!r}, "
            f"decoder_net={decoder_net!r}."
        )


def _renamed(log_metric: Any) -> keras.metrics.Metric:
    pair = isinstance(log_metric, tuple | list) and len(log_metric) == 2
    if not (pair and isinstance(log_metric[0], str) and isinstance(log_metric[1], keras.metrics.Metric)):
        raise TypeError(f"log_metric must be a tuple (name, keras.metrics.Metric) or None, got {log_metric!r}.")
    name, metric = log_metric
    return type(metric).from_config({**metric.get_config(), "name": name})


def _is_number(value: Any, lowest: float, highest: float) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and lowest <= float(value) <= highest
