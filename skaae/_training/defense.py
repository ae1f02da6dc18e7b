"""The whole fit: from a classifier, an untrained autoencoder and training rows to a `Defense`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import joblib
import keras
import numpy as np
import tensorflow as tf

from skaae._classifiers.adapters import Classifier, ConvertedClassifier, PredictProbaClassifier
from skaae._classifiers.heads import FrozenHeads, check_hidden_terms, draw_projections
from skaae._classifiers.label_rules import LabelRule, MostProbable
from skaae._data.rows import Rows, RowSubset, Statistics
from skaae._divergence import AdversarialScore
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.devices import can_compile, has_gpu, run_deterministically
from skaae._keras.models import call_frozen, fingerprint
from skaae._keras.sample_kinds import are_images
from skaae._keras.seeds import temporary_seed
from skaae._keras.valid_rows import with_spread_of_indicators, with_valid_rows
from skaae._persistence import PersistenceMixin
from skaae._training.autoencoders import SMALLEST_SPREAD, SampleShape, build_autoencoder
from skaae._training.cache import cache_key_of, cached_training
from skaae._training.domain import Domain, find_domain, tensor_into_domain
from skaae._training.loop import Objective, check_preprocess, train
from skaae._training.options import ResolvedOptions, TrainingOptions
from skaae._training.perturbations import Perturbation, unit_of_perturbation
from skaae._training.surrogate import Surrogate, build_surrogate, distill
from skaae._utils.warnings import warn

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

# XLA compiles for some 10 seconds, and saves some 5 milliseconds a step.
LEAST_STEPS_TO_COMPILE = 1500
# XLA of TensorFlow 2.21 fails in this way on a matrix product of the default autoencoder for images of 28 x 28.
XLA_ERRORS = (tf.errors.InternalError, tf.errors.InvalidArgumentError, tf.errors.UnimplementedError)
# Weights of the squared error, see `default_reconstruction_weight`.
WEIGHT_OF_IMAGES, WEIGHT_OF_ROWS = 10.0, 0.1
# The square of 1e12 leaves room in float32 for the sum and the gradient.
MOST_UNITS = 1e12
History = dict[str, list[float]]


@dataclass(frozen=True, eq=False)
class Defense(PersistenceMixin):
    """The networks of a fitted detector and the equation that compares their predictions.

    Parameters
    ----------
    autoencoder : keras.Model
        AE, trained.
    classifier : FrozenKerasModel or PredictProbaClassifier
        M.
    surrogate : FrozenKerasModel or None
        The network that provided the gradient in training; None where M has a gradient.
    heads : FrozenHeads
        Rows -> logits of M, or of its surrogate, and of the hidden terms.
    score : AdversarialScore
        The equation of S(x).
    sample_shape : tuple of int
        Shape of one sample.
    history : dict of list of float
        Loss and metrics of each epoch; empty if nothing was trained.
    domain : tuple of three ndarray or None, default=None
        Where x' stays, see `skaae._training.domain`. None: anywhere.
    label_rule : LabelRule, default=MostProbable()
        How M chooses its labels.
    kept : tuple of int, default=()
        Columns in which x' is x.
    images : bool, default=False
        Whether samples are images.
    """

    autoencoder: keras.Model
    classifier: Classifier
    surrogate: FrozenKerasModel | None
    heads: FrozenHeads
    score: AdversarialScore
    sample_shape: SampleShape
    history: History
    domain: Domain | None = None
    label_rule: LabelRule = field(default_factory=MostProbable)
    kept: tuple[int, ...] = ()
    images: bool = False

    def reconstruct(self, x: tf.Tensor) -> tf.Tensor:
        """X' = AE(x) in float32, which M takes."""
        return tensor_into_domain(tf.cast(call_frozen(self.autoencoder, x), tf.float32), self.domain)


def train_defense(
    classifier: Classifier,
    X: RowSubset,
    *,
    label_rule: LabelRule | None = None,
    rules: Mapping[str, Any] | None = None,
    autoencoder: keras.Model | Callable[[SampleShape], keras.Model] | None = None,
    encoder: keras.Model | None = None,
    decoder: keras.Model | None = None,
    surrogate: Surrogate = None,
    hidden_layers: Mapping[int | str, int] | None = None,
    hidden_models: Sequence[keras.Model] | None = None,
    hidden_weights: ArrayLike | None = None,
    temperature: float = 1.0,
    label_change_first: bool = True,
    divergence_weight: float = 1.0,
    reconstruction_weight: float | None = None,
    loss: Callable[[Any, Any], Any] | None = None,
    noise: float = 0.1,
    virtual_adversarial: float | None = None,
    virtual_adversarial_shares: tuple[float, float] | None = None,
    virtual_adversarial_steps: int | None = None,
    options: TrainingOptions,
    memory: Any = None,
    seed: int,
) -> Defense:
    """Build the autoencoder, train it to keep the predictions of the classifier, and return the defense.

    A classifier without a gradient gets a surrogate first, distilled from its predictions.

    Parameters
    ----------
    classifier : FrozenKerasModel or PredictProbaClassifier
        M. It is not changed.
    X : RowSubset of shape (n_samples, ...), float32 or float64
        Training rows.
    label_rule : LabelRule or None, default=None
        How M chooses its labels, which changes scores but not the training. None: the most probable class.
    rules : dict or None, default=None
        Arguments of `skaae._keras.valid_rows.ValidRows`: what x' has to obey.
    autoencoder, encoder, decoder, surrogate, hidden_layers, hidden_models, hidden_weights, temperature, \
    label_change_first, divergence_weight, reconstruction_weight, loss, noise, virtual_adversarial, \
    virtual_adversarial_shares, virtual_adversarial_steps, memory
        Parameters of `AdversarialAEDetector`.
    options : TrainingOptions
        Optimizer, epochs and the other options of the training loop.
    seed : int
        Seeds initial weights, projections, perturbations and the order of the rows.

    Returns
    -------
    defense : Defense

    Raises
    ------
    ValueError, TypeError
        If the autoencoder, the surrogate or a hidden term does not fit the classifier and X; nothing is trained
        then. If the training diverges.
    """
    rules = rules or {}
    X, kept = with_spread_of_indicators(X, rules), tuple(rules.get("kept", ()))
    network = classifier.model if isinstance(classifier, FrozenKerasModel) else None
    images = are_images(network, X.shape[1:])
    weights = check_hidden_terms(network, hidden_layers, hidden_models, hidden_weights, X)
    score = AdversarialScore(float(temperature), weights, bool(label_change_first))
    with temporary_seed(seed):
        trainable = build_autoencoder(X.shape[1:], autoencoder, encoder, decoder, Statistics.of(X), images)
        trainable = with_valid_rows(trainable, rules)
        stand_in = None if network is not None else build_surrogate(surrogate, X, classifier.classes_)
        projections = draw_projections(network, hidden_layers, seed)
        heads = FrozenHeads(stand_in or classifier, hidden_layers, hidden_models, projections)
        domain = find_domain(classifier, X, seed, kept) if isinstance(classifier, PredictProbaClassifier) else None
        rule = label_rule or MostProbable()
        defense = Defense(trainable, classifier, stand_in, heads, score, X.shape[1:], {}, domain, rule, kept, images)
        perturbation = Perturbation.of_rows(
            X, noise, virtual_adversarial, virtual_adversarial_shares, virtual_adversarial_steps, kept, images
        )
        default_weight = default_reconstruction_weight(X, images, stand_in is None and not perturbation)
        weight = default_weight if reconstruction_weight is None else reconstruction_weight
        training = Training(
            defense,
            distilled=None if isinstance(surrogate, FrozenKerasModel) else stand_in,
            objective=Objective(score, divergence_weight, weight, loss),
            perturbation=perturbation,
            options=options.resolved(X, images),
            seed=seed,
        )
        return replace(defense, history=training.run(X, memory))


def default_reconstruction_weight(X: Rows, images: bool, published: bool = False) -> float | np.ndarray:
    """Weight of the squared error between x and x'.

    With it x' resembles x, which costs the defense next to nothing: people can look at x', and it stays where a
    surrogate, which has seen nothing but X, agrees with the classifier.

    Parameters
    ----------
    X : ndarray or RowSubset of shape (n_samples, ...)
        Training rows.
    images : bool
        Whether they are images.
    published : bool, default=False
        Whether the training is that of the paper, which has no such term.

    Returns
    -------
    weight : float or ndarray that broadcasts to a sample, float64
        In units of the standard deviation of each feature, or of the range of images. 0 for features that are
        so small beside others, or so far from 0, that float32 cannot hold the squares.
    """
    if published:
        return 0.0
    statistics, unit = Statistics.of(X), np.asarray(unit_of_perturbation(X, images), np.float64)
    largest = np.maximum(np.abs(statistics.lowest), np.abs(statistics.highest))
    is_resolved = (unit > SMALLEST_SPREAD) & (unit < 1 / SMALLEST_SPREAD) & (largest.max() < MOST_UNITS * unit)
    return np.where(is_resolved, (WEIGHT_OF_IMAGES if images else WEIGHT_OF_ROWS) / unit**2, 0.0)


@dataclass(frozen=True)
class Training:
    """The training of a defense: everything, except the rows, that the trained weights depend on.

    Parameters
    ----------
    defense : Defense
        Untrained. `run` changes the weights of its autoencoder.
    distilled : FrozenKerasModel or None
        The surrogate, if `run` has to train it too.
    objective : Objective
    perturbation : Perturbation
    options : ResolvedOptions
    seed : int
    """

    defense: Defense
    distilled: FrozenKerasModel | None
    objective: Objective
    perturbation: Perturbation
    options: ResolvedOptions
    seed: int

    def run(self, X: RowSubset, memory: Any = None) -> History:
        """Train, or load the weights of an identical training from `memory`.

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
        check_preprocess(self.options, X)
        if isinstance(self.defense.classifier, PredictProbaClassifier) and self.distilled is not None:
            arguments = self.distilled, self.defense.classifier, X, self.seed, self.defense.domain
            run_deterministically(partial(distill, *arguments), self.distilled.model)
        if self._compiled(X):
            start = self.defense.autoencoder.get_weights()
            try:
                return self._train_autoencoder(X, compiled=True)
            except XLA_ERRORS as error:
                warn(f"XLA could not compile the training step, which takes longer without it: {str(error)[:200]}")
                self.defense.autoencoder.set_weights(start)
        training = partial(self._train_autoencoder, X, compiled=False)
        return run_deterministically(training, self.defense.autoencoder)

    def _train_autoencoder(self, X: RowSubset, compiled: bool) -> History:
        return train(
            self.defense.autoencoder,
            self.defense.heads,
            X,
            self._targets(X),
            self.objective,
            self.options,
            self.seed,
            self.perturbation,
            compiled=compiled,
        )

    def _compiled(self, X: RowSubset) -> bool:
        """Whether XLA compiles the training step: on a GPU, if enough steps follow to make up for the wait."""
        options, heads = self.options, self.defense.heads
        n_steps = options.count_steps(len(X))
        own_metrics = any(not isinstance(metric, str) for metric in options.metrics or ())
        own_code = self.objective.loss is not None or own_metrics
        if own_code or n_steps < LEAST_STEPS_TO_COMPILE or not has_gpu() or tf.distribute.has_strategy():
            return False
        return can_compile([self.defense.autoencoder, heads.model, *heads.hidden_models])

    def _targets(self, X: RowSubset) -> list[np.ndarray]:
        """Logits that x' has to reproduce: those of M itself, even where a surrogate provides the gradient."""
        logits = self.defense.heads.evaluate(X)
        if isinstance(self.defense.classifier, PredictProbaClassifier):
            logits[0] = self.defense.classifier.predict_logits(X).astype(np.float32)
        return logits

    def _models(self) -> list[keras.Model]:
        """The models that this training changes."""
        return [self.defense.autoencoder, *([] if self.distilled is None else [self.distilled.model])]

    def _weights(self, history: History) -> tuple[list[list[np.ndarray]], History]:
        return [model.get_weights() for model in self._models()], history

    def _key(self) -> list[Any]:
        """Plain values that identify this training. The hash of a Keras object would change with the clock."""
        settings = {**vars(self.objective), **vars(self.options), **vars(self.perturbation), "verbose": None}
        surrogate = self.defense.surrogate
        return [
            fingerprint(self.defense.autoencoder),
            fingerprint_of_classifier(self.defense.classifier),
            [None if surrogate is None else fingerprint(surrogate.model), self.distilled is not None],
            self.defense.heads.fingerprint(),
            {name: cache_key_of(value) for name, value in settings.items()},
            self.seed,
        ]


def fingerprint_of_classifier(classifier: Classifier) -> list[Any]:
    if isinstance(classifier, PredictProbaClassifier | ConvertedClassifier):
        return [joblib.hash(classifier.estimator)]
    return [fingerprint(classifier.model), classifier.from_logits]
