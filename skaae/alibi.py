"""The interface of alibi-detect's AdversarialAE, in front of `AdversarialAEDetector`.

A script that uses that class runs with another import line::

    from skaae.alibi import AdversarialAE    # was: from alibi_detect.ad import AdversarialAE

Written from the published documentation of alibi-detect 0.13; docs/alibi.md lists what differs.
Nothing is computed here: `AdversarialAE.detector_` is the estimator that does it.
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
from skaae._frozen_keras_model import freeze
from skaae._persistence import PersistenceMixin
from skaae._scoring.decisions import check_repairable
from skaae._scoring.threshold import conformal_threshold

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# The published method, and the rows that come are the rows that train.
PUBLISHED: dict[str, Any] = {
    "noise": 0.0,
    "virtual_adversarial": 0.0,
    "label_change_first": False,
    "calibration_fraction": 0.0,
}
LARGEST = float(np.finfo(np.float64).max)


class AdversarialAE(PersistenceMixin):
    """Adversarial autoencoder with the names and the results of alibi-detect's class.

    Parameters
    ----------
    threshold : float or None, default=None
        Rows that score higher are adversarial; None: set by :meth:`infer_threshold`.
    ae : keras.Model or None, default=None
        Autoencoder; a copy of it is trained.
    model : keras.Model, FrozenKerasModel or any fitted classifier
        The classifier to defend: a Keras model may return probabilities or logits.
    encoder_net, decoder_net : keras.Model or None, default=None
        Instead of `ae`.
    model_hl : list of keras.Model or None, default=None
        Models from x to probabilities, for the terms of hidden layers.
    hidden_layer_kld : dict of {int or str: int} or None, default=None
        Layers of `model`, each with the dimension that it is projected to.
    w_model_hl : list of float or None, default=None
        Weights of the terms of hidden layers, those of `hidden_layer_kld` first; None: 1 each.
    temperature : float, default=1.0
        Below 1 it sharpens the prediction on x.
    data_type : str or None, default=None
        For ``meta`` only.

    Attributes
    ----------
    detector_ : AdversarialAEDetector
        The scikit-learn estimator behind it, once rows have been seen.
    meta : dict
        ``name``, ``detector_type``, ``data_type``, ``online`` and ``version``.

    Raises
    ------
    ValueError, TypeError
        If `model` is missing, or neither `ae` nor both nets are given, or both are.

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
            raise ValueError("model is None: give the classifier to defend.")
        _check_networks(ae, encoder_net, decoder_net)
        self.threshold = threshold
        self.model = model
        self.model_hl = model_hl
        self.w_model_hl = w_model_hl
        self.temperature = temperature
        self._ae = ae
        self._start = {"autoencoder": ae} if ae is not None else {"encoder": encoder_net, "decoder": decoder_net}
        self._hidden_layers = hidden_layer_kld
        # From the global state, which scripts seed; the projections of hidden layers stay from fit to fit.
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
        """The autoencoder: trained after `fit`; before, the one given, or None where two nets were."""
        return self.detector_.autoencoder_ if hasattr(self, "detector_") else self._ae

    @property
    def threshold(self) -> float | None:
        """Rows that score higher are adversarial; None as long as none was given or inferred."""
        return self._threshold

    @threshold.setter
    def threshold(self, threshold: float | None) -> None:
        if threshold is not None and not _is_number(threshold, 0, LARGEST):
            raise ValueError(f"threshold must be a finite number of at least 0, or None, got {threshold!r}.")
        self._threshold = threshold
        if threshold is not None and hasattr(self, "detector_"):
            self.detector_._set_threshold(threshold)

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
        """Train the autoencoder, from the weights that it has.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Normal rows.
        loss_fn : callable or None, default=None
            ``loss_fn(x, x_reconstructed) -> values``, one a row; it is given those of ``model``,
            ``model_hl``, ``w_model``, ``w_recon``, ``w_model_hl`` and ``temperature`` that it
            takes. None: the adversarial loss.
        w_model, w_recon : float, default=1.0, 0.0
            Weights of the divergence and of the mean squared error in the adversarial loss.
        optimizer : class, keras.optimizers.Optimizer or str, default=keras.optimizers.Adam
            A class is used with its own defaults.
        epochs, batch_size : int, default=20, 128
        verbose : bool, default=True
            Show the progress.
        log_metric : tuple of str and keras.metrics.Metric or None, default=None
            Compares the predictions on x and on x'; recorded under this name.
        callbacks : keras.callbacks.Callback, list of them or None, default=None
        preprocess_fn : callable or None, default=None
            Applied to each batch.

        Raises
        ------
        ValueError, TypeError
            As :meth:`AdversarialAEDetector.fit`.
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
        threshold_perc : float, default=99.0
            Percentage of normal rows below the threshold, in (0, 100].
        margin : float, default=0.0
            Added to it.
        batch_size : int or None, default=None
            Not used: scores do not depend on it, and memory is bounded without.

        Raises
        ------
        ValueError
            If `threshold_perc` is no percentage, or `margin` no number that leaves a threshold of at
            least 0; the threshold is as it was then.
        """
        if not _is_number(threshold_perc, 0, 100) or threshold_perc == 0:
            raise ValueError(f"threshold_perc must be a number above 0 and at most 100, got {threshold_perc!r}.")
        if not _is_number(margin, -LARGEST, LARGEST):
            raise ValueError(f"margin must be a finite number, got {margin!r}.")
        scores = self.score(X, batch_size)
        threshold = conformal_threshold(scores, float(threshold_perc)) + margin
        if threshold < 0:
            raise ValueError(f"margin={margin!r} makes the threshold {threshold:.4g}: at least 0 is wanted.")
        self.threshold = threshold

    def score(self, X: ArrayLike, batch_size: int | None = None, return_predictions: bool = False) -> Any:
        """Adversarial score of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        batch_size : int or None, default=None
            Not used.
        return_predictions : bool, default=False

        Returns
        -------
        score : ndarray of shape (n_samples,), float64
        y, y_reconstructed : ndarray of shape (n_samples, n_classes), float64
            M(x) and M(x'), with `return_predictions`.
        """
        X = self._prepared(X, batch_size)
        if not return_predictions:
            return self.detector_.adversarial_score(X)
        names = "score", "probabilities", "probabilities_reconstructed"
        found = self.detector_._results(self.detector_._checked(X), *names)
        check_repairable(np.isfinite(found["score"]))
        return tuple(found[name] for name in names)

    def predict(
        self, X: ArrayLike, batch_size: int | None = None, return_instance_score: bool = True
    ) -> dict[str, Any]:
        """Tell which rows are adversarial.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        batch_size : int or None, default=None
            Not used.
        return_instance_score : bool, default=True

        Returns
        -------
        result : dict
            ``meta``, and ``data`` with ``is_adversarial``, 1 or 0 for each row, and ``instance_score``,
            float64, or None if not asked for.

        Raises
        ------
        ValueError
            If there is no threshold.
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
        """Correct the predictions on the rows that are adversarial.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
        batch_size : int or None, default=None
            Not used.
        return_instance_score, return_all_predictions : bool, default=True

        Returns
        -------
        result : dict
            As :meth:`predict`, and in ``data`` the classes, int: ``corrected``, and, or None if not
            asked for, ``no_defense`` (M(x)) and ``defense`` (M(x')).

        Raises
        ------
        ValueError
            If there is no threshold.
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
            raise ValueError("threshold is None: call infer_threshold(X) with normal rows first, or set threshold.")
        return (score > self.threshold).astype(int)

    def _prepared(self, X: ArrayLike, batch_size: int | None) -> np.ndarray:
        """Rows to be scored, with a detector that can score them also where nothing was trained."""
        if batch_size is not None and not (isinstance(batch_size, Integral) and batch_size > 0):
            raise ValueError(f"batch_size must be an int of at least 1, or None, got {batch_size!r}.")
        X = read_samples(X)
        if not hasattr(self, "detector_"):
            self._run(np.repeat(X[:1], 2, axis=0), epochs=0)
        return X

    def _with_keywords(self, loss_fn: Any, w_model: float, w_recon: float) -> Any:
        """An own loss with those of the keywords that alibi-detect calls it with which it takes."""
        if not callable(loss_fn):
            return loss_fn
        names = "model", "model_hl", "w_model_hl", "temperature"
        keywords = {"w_model": w_model, "w_recon": w_recon, **{name: getattr(self, name) for name in names}}
        taken = signature(loss_fn).parameters
        takes_all = any(parameter.kind is Parameter.VAR_KEYWORD for parameter in taken.values())
        bound = {name: value for name, value in keywords.items() if takes_all or name in taken}
        return partial(loss_fn, **bound) if bound else loss_fn

    def _run(self, X: np.ndarray, **parameters: Any) -> None:
        """Fit a new detector that starts from the autoencoder as it is."""
        start: dict[str, Any] = {"autoencoder": self.ae} if hasattr(self, "detector_") else self._start
        hidden = {
            "hidden_layers": self._hidden_layers,
            "hidden_models": self.model_hl,
            "hidden_weights": self.w_model_hl,
        }
        classifier = freeze(self.model, X) if isinstance(self.model, keras.Model) else self.model
        settings: dict[str, Any] = {
            "temperature": self.temperature,
            "threshold": self.threshold or 0.0,
            "random_state": self._seed,
        }
        detector = AdversarialAEDetector(classifier, **settings, **PUBLISHED)
        self.detector_ = detector.set_params(**start, **hidden, **parameters).fit(X)


def _check_networks(ae: Any, encoder_net: Any, decoder_net: Any) -> None:
    both = encoder_net is not None and decoder_net is not None
    if ae is None and not both:
        raise ValueError(f"ae={ae!r}, encoder_net={encoder_net!r}, decoder_net={decoder_net!r}: give ae, or both nets.")
    if ae is not None and (encoder_net is not None or decoder_net is not None):
        raise ValueError("ae was given and encoder_net or decoder_net too: give ae, or both nets.")


def _renamed(log_metric: Any) -> keras.metrics.Metric:
    pair = isinstance(log_metric, tuple | list) and len(log_metric) == 2
    if not (pair and isinstance(log_metric[0], str) and isinstance(log_metric[1], keras.metrics.Metric)):
        raise TypeError(f"log_metric must be a name and a keras.metrics.Metric, or None, got {log_metric!r}.")
    name, metric = log_metric
    return type(metric).from_config({**metric.get_config(), "name": name})


def _is_number(value: Any, lowest: float, highest: float) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and lowest <= float(value) <= highest
