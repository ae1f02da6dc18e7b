"""One fit, from the weights at the start to those at the end: surrogate, targets, autoencoder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import joblib
import keras
import numpy as np
import tensorflow as tf

from skaae._classifiers.adapters import Classifier, PredictProbaClassifier
from skaae._classifiers.heads import FrozenHeads
from skaae._data.rows import RowSubset
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.devices import can_compile, has_gpu
from skaae._keras.models import fingerprint
from skaae._training.cache import cached_training, describe
from skaae._training.loop import Objective, TrainingOptions, train
from skaae._training.perturbations import Perturbation
from skaae._training.surrogate import distill

# XLA compiles for some 10 seconds, and saves some 5 milliseconds a step.
LEAST_STEPS_TO_COMPILE = 1500
History = dict[str, list[float]]


@dataclass(frozen=True)
class Fitting:
    """All that the weights of the autoencoder depend on, but for the rows.

    Parameters
    ----------
    autoencoder : keras.Model
        AE; `run` changes its weights.
    classifier : FrozenKerasModel or PredictProbaClassifier
        M.
    surrogate : FrozenKerasModel or None
        Where M has no gradient, the network that has; `run` changes its weights if `distills`.
    distills : bool
    heads : FrozenHeads
        Rows -> logits of M, or of its surrogate, and of the hidden terms.
    objective : Objective
    options : TrainingOptions
    perturbation : Perturbation
    seed : int
    """

    autoencoder: keras.Model
    classifier: Classifier
    surrogate: FrozenKerasModel | None
    distills: bool
    heads: FrozenHeads
    objective: Objective
    options: TrainingOptions
    perturbation: Perturbation
    seed: int

    def run(self, X: RowSubset, memory: Any = None) -> History:
        """Train, or take the weights of the same training from `memory`.

        Parameters
        ----------
        X : RowSubset of shape (n_samples, ...), float32 or float64
            Training rows.
        memory : str, path, joblib.Memory or None, default=None

        Returns
        -------
        history : dict of list of float
        """
        if memory is None:
            return self._train(X)
        weights, history = cached_training(memory, X, self._key(), lambda: self._weights(self._train(X)))
        for model, values in zip(self._models(), weights, strict=True):
            model.set_weights(values)
        return history

    def _train(self, X: RowSubset) -> History:
        if self.surrogate is not None and self.distills:
            distill(self.surrogate, self.classifier, X, self.seed)
        targets = self._targets(X)
        return train(
            self.autoencoder,
            self.heads,
            X,
            targets,
            self.objective,
            self.options,
            self.seed,
            self.perturbation,
            compiled=self._compiled(len(X)),
        )

    def _compiled(self, n_rows: int) -> bool:
        """Whether XLA compiles the training step: on a GPU, where there are steps enough to make up for the wait."""
        options = self.options
        n_steps = options.count_epochs(n_rows) * math.ceil(n_rows / options.batch_size)
        own_code = self.objective.loss is not None or any(
            not isinstance(metric, str) for metric in options.metrics or ()
        )
        if own_code or n_steps < LEAST_STEPS_TO_COMPILE or not has_gpu() or tf.distribute.has_strategy():
            return False
        return can_compile([self.autoencoder, self.heads.model, *self.heads.hidden_models])

    def _targets(self, X: RowSubset) -> list[np.ndarray]:
        """Logits that x' has to match: M's own, also where a surrogate gives the gradient."""
        logits = self.heads.evaluate(X)
        if isinstance(self.classifier, PredictProbaClassifier):
            logits[0] = self.classifier.predict_logits(X).astype(np.float32)
        return logits

    def _models(self) -> list[keras.Model]:
        surrogate = [self.surrogate.model] if self.surrogate is not None and self.distills else []
        return [self.autoencoder, *surrogate]

    def _weights(self, history: History) -> tuple[list[list[np.ndarray]], History]:
        return [model.get_weights() for model in self._models()], history

    def _key(self) -> list[Any]:
        """Plain values: never a Keras object, whose hash changes with the clock."""
        settings = {**vars(self.objective), **vars(self.options), **vars(self.perturbation), "verbose": None}
        surrogate = None if self.surrogate is None else fingerprint(self.surrogate.model)
        return [
            fingerprint(self.autoencoder),
            _fingerprint_of_classifier(self.classifier),
            [surrogate, self.distills],
            self.heads.fingerprint(),
            {name: describe(value) for name, value in settings.items()},
            self.seed,
        ]


def _fingerprint_of_classifier(classifier: Classifier) -> list[Any]:
    if isinstance(classifier, PredictProbaClassifier):
        return [joblib.hash(classifier.estimator)]
    return [fingerprint(classifier.model), classifier.from_logits]
