"""The training loop: a Keras model that trains only the autoencoder AE, toward M(AE(x)) = M(x)."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from skaae._data.rows import Rows, RowSubset
from skaae._divergence import AdversarialScore
from skaae._keras.devices import memory_errors
from skaae._keras.models import only_tensor
from skaae._training.batches import can_be_resident, checked_batch, preprocessed, shuffled_batches, shuffled_orders
from skaae._training.callbacks import ProgressLine, sets_learning_rate, verbosity
from skaae._training.optimizers import fuse_adam, make_optimizer, skip_all_reduce
from skaae._training.options import ResolvedOptions
from skaae._training.perturbations import Perturbation
from skaae._training.whole_epochs import whole_epochs

Heads = Callable[[tf.Tensor], list[tf.Tensor]]
NO_MEMORY = "Try a smaller batch_size or autoencoder, or train on the CPU with CUDA_VISIBLE_DEVICES=-1."


@dataclass(frozen=True)
class Objective:
    """The loss of a batch, without the regularization losses of the layers of the autoencoder.

    Parameters
    ----------
    score : AdversarialScore
        S(x), the same function that scores rows later.
    divergence_weight : float
        Weight of S(x).
    reconstruction_weight : float or ndarray that broadcasts to a sample
        Weight of the mean squared error between x and x', or of each coordinate in it.
    loss : callable or None
        ``(x, x_reconstructed) -> values``, one per row, which replaces both terms.
    """

    score: AdversarialScore
    divergence_weight: float = 1.0
    reconstruction_weight: float | np.ndarray = 0.0
    loss: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None = None

    def __call__(
        self,
        x: tf.Tensor,
        x_reconstructed: tf.Tensor,
        logits: Sequence[tf.Tensor],
        logits_reconstructed: Sequence[tf.Tensor],
        weights: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Mean loss of the rows, a float32 scalar; `weights` of the rows have the mean 1 over all batches."""
        if self.loss is not None:
            return _mean(tf.cast(self.loss(x, x_reconstructed), tf.float32), weights)
        values = self.divergence_weight * self.score(logits, logits_reconstructed)
        loss = tf.cast(_mean(values, weights), tf.float32)
        if np.any(self.reconstruction_weight):
            # Scaled first: the squares of large differences overflow.
            scale = np.float32(np.sqrt(np.asarray(self.reconstruction_weight, np.float64)))
            loss += _mean(tf.square(scale * x - scale * x_reconstructed), weights)
        return loss


def _mean(values: tf.Tensor, weights: tf.Tensor | None) -> tf.Tensor:
    """Mean of all values; the first axis of `values` is that of the rows, which have the weights."""
    if weights is not None:
        values *= tf.reshape(tf.cast(weights, values.dtype), [-1, *[1] * (len(values.shape) - 1)])
    return tf.reduce_mean(values)


class TrainingModel(keras.Model):
    """The autoencoder as a Keras model that is trained on the objective, with callbacks, metrics and history.

    M is called through a function. Keras would track it as an attribute, and train it too.
    """

    def __init__(
        self,
        autoencoder: keras.Model,
        heads: Heads,
        objective: Objective,
        perturbation: Perturbation | None = None,
        seed: int = 0,
        weighted: bool = False,
    ) -> None:
        super().__init__(name="adversarial_autoencoder")
        self.autoencoder = autoencoder
        self._heads = heads
        self._objective = objective
        self._perturbation = perturbation
        self._seed = seed
        self._weighted = weighted
        self.built = True  # so is the autoencoder; BackupAndRestore asks

    def save(self, *arguments: Any, **named: Any) -> None:
        """Save the autoencoder, for ModelCheckpoint: a file of the rest could not be loaded."""
        self.autoencoder.save(*arguments, **named)

    def save_weights(self, *arguments: Any, **named: Any) -> None:
        """Save the weights of the autoencoder, and the state of the optimizer so that training can be resumed."""
        with self._optimizer_in_autoencoder():
            self.autoencoder.save_weights(*arguments, **named)

    def load_weights(self, *arguments: Any, **named: Any) -> None:
        """Load what `save_weights` saved."""
        with self._optimizer_in_autoencoder():
            self.autoencoder.load_weights(*arguments, **named)

    @contextmanager
    def _optimizer_in_autoencoder(self) -> Iterator[None]:
        self.autoencoder.optimizer = self.optimizer
        try:
            yield
        finally:
            del self.autoencoder.optimizer

    def call(self, x: tuple[tf.Tensor, tf.Tensor], training: bool = False) -> dict[str, Any]:
        """Reconstruct the perturbed rows, and compute their logits. The loss needs the clean rows."""
        # With several devices, Keras calls this with the rows alone when it builds metrics.
        x_reconstructed = self._reconstruct(x[1] if isinstance(x, tuple) else x, training)
        return {"reconstruction": x_reconstructed, "logits": self._heads(x_reconstructed)}

    def train_step(self, data: tuple[tf.Tensor, ...]) -> dict[str, tf.Tensor]:
        x, *logits = data
        weights = logits.pop() if self._weighted else None
        logits = logits or self._heads(x)
        # Perturb before Keras opens its gradient tape, which would also differentiate the ascent.
        logs = super().train_step(((x, self._perturbed(x, logits)), logits, weights))
        # With several workers Keras averages each value along its first axis.
        return {name: value[None] for name, value in logs.items()} if _over_several_workers() else logs

    def _maybe_symbolic_build(self, **batch: Any) -> None:
        """Do nothing with several workers, where Keras fails in this step and does not need it."""
        if not _over_several_workers():
            super()._maybe_symbolic_build(**batch)

    def _perturbed(self, x: tf.Tensor, logits: list[tf.Tensor]) -> tf.Tensor:
        if not self._perturbation:
            return x
        score = self._objective.score
        seed = tf.stack([self._seed, tf.cast(self.optimizer.iterations, tf.int32)])
        return self._perturbation(
            x,
            logits,
            against_classifier=lambda rows, targets: score(targets, self._heads(rows)),
            against_defense=lambda rows, targets: score(targets, self._heads(self._reconstruct(rows, training=False))),
            seed=seed,
        )

    def _reconstruct(self, x: tf.Tensor, training: bool) -> tf.Tensor:
        return tf.cast(only_tensor(self.autoencoder(x, training=training)), tf.float32)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> tf.Tensor:
        loss = self._objective(x[0], y_pred["reconstruction"], y, y_pred["logits"], sample_weight)
        total = tf.add_n([loss, *(tf.cast(penalty, tf.float32) for penalty in self.losses)])
        # The gradients of the devices are summed.
        return total / tf.distribute.get_strategy().num_replicas_in_sync

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, tf.Tensor]:
        """Compare the probabilities M(x) and M(AE(x)) with the metrics of the user."""
        return super().compute_metrics(x, tf.nn.softmax(y[0]), tf.nn.softmax(y_pred["logits"][0]), sample_weight)


def train(
    autoencoder: keras.Model,
    heads: Heads,
    X: Rows,
    logits: Sequence[np.ndarray],
    objective: Objective,
    options: ResolvedOptions,
    seed: int,
    perturbation: Perturbation | None = None,
    compiled: bool = False,
) -> dict[str, list[float]]:
    """Train the autoencoder in place.

    Parameters
    ----------
    autoencoder : keras.Model
        Its weights are changed.
    heads : callable
        Rows -> logits of M and of the hidden terms. Frozen.
    X : RowSubset or ndarray of shape (n_samples, ...)
        Training rows, weighted if a RowSubset has weights.
    logits : sequence of ndarray of shape (n_samples, n_classes)
        Results of `heads` for all rows of X.
    objective : Objective
    options : ResolvedOptions
    seed : int
        Seeds the order of the rows and the perturbations.
    perturbation : Perturbation or None, default=None
        How the rows are perturbed before AE reconstructs them. None: not at all, as published.
    compiled : bool, default=False
        Whether XLA compiles the training step. A GPU needs this for small networks, where it would mostly wait for
        operations to start. XLA compiles each shape anew, so an epoch leaves out its last, incomplete batch. Its
        rows differ from epoch to epoch.

    Returns
    -------
    history : dict of list of float
        "loss" and each metric, with one value per epoch.

    Raises
    ------
    ValueError
        If the loss or the weights become NaN or infinite.
    MemoryError
        If the device has no memory left.
    """
    epochs, batch_size = options.epochs, options.batch_size
    if epochs == 0:
        return {}
    weights = X.weights if isinstance(X, RowSubset) else None
    arrays: list[Rows] = [X] if options.preprocess else [X, *logits]
    arrays += [] if weights is None else [weights]
    full_only = compiled and len(X) >= batch_size
    n_steps = len(X) // batch_size if full_only else math.ceil(len(X) / batch_size)
    steps_at_once = _steps_per_execution(options, n_steps)
    resident = full_only and steps_at_once == n_steps and not options.preprocess and can_be_resident(arrays)
    verbose = verbosity(int(options.verbose))
    decay_steps = None if sets_learning_rate(options.callbacks) else n_steps * epochs
    model = TrainingModel(autoencoder, heads, objective, perturbation, seed, weighted=weights is not None)
    model.compile(
        optimizer=make_optimizer(options.optimizer, options.learning_rate, decay_steps),
        metrics=copy.deepcopy(list(options.metrics)) if options.metrics else None,
        steps_per_execution=1 if resident else steps_at_once,
        jit_compile=compiled,
    )
    # If the optimizer has its variables already, TensorFlow traces the training step once instead of twice.
    model.optimizer.build(autoencoder.trainable_variables)
    skip_all_reduce(model.optimizer)
    if not compiled and not tf.distribute.has_strategy():
        fuse_adam(model.optimizer)
    with memory_errors(NO_MEMORY), whole_epochs(model, arrays) if resident else nullcontext():
        history = model.fit(
            _batches(arrays, options, epochs, seed, full_only, resident),
            epochs=epochs,
            steps_per_epoch=1 if resident else n_steps,
            shuffle=False,  # the batches are shuffled already
            callbacks=[*copy.deepcopy(list(options.callbacks or ())), *([ProgressLine()] if verbose == 1 else [])],
            verbose=2 if verbose == 2 else 0,
        ).history
    _check_convergence(autoencoder, history)
    return {name: [float(value) for value in values] for name, values in history.items()}


def check_preprocess(options: ResolvedOptions, X: Rows) -> None:
    """Raise a ValueError unless `preprocess` returns a batch of the shape of the first rows."""
    if options.preprocess:
        batch = X[: options.batch_size].astype(np.float32)
        checked_batch(options.preprocess(batch.copy()), batch)


def _steps_per_execution(options: ResolvedOptions, n_steps: int) -> int:
    """All steps of an epoch, or 1 where callbacks need each batch.

    It is 1 with several devices too, where the loop of TensorFlow fails.
    """
    several = tf.distribute.get_strategy().num_replicas_in_sync > 1
    return 1 if options.callbacks or several else n_steps


def _over_several_workers() -> bool:
    return isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy)


def _batches(
    arrays: Sequence[Rows],
    options: ResolvedOptions,
    epochs: int,
    seed: int,
    full_only: bool,
    resident: bool,
) -> tf.data.Dataset:
    """Batches of the rows and of what belongs to them. Where rows are preprocessed, logits are computed in training.

    Where the device holds the rows already: their order in each epoch.
    """
    if resident:
        return shuffled_orders(len(arrays[0]), options.batch_size, epochs, seed)
    batches = shuffled_batches(arrays, options.batch_size, epochs, seed, full_only)
    return preprocessed(batches, options.preprocess) if options.preprocess else batches


def _check_convergence(autoencoder: keras.Model, history: dict[str, list[float]]) -> None:
    losses = history.get("loss", [])  # none, if a callback resumes a training that was at its end
    finite = np.isfinite(losses).all() and all(np.isfinite(w).all() for w in autoencoder.get_weights())
    if not finite:
        course = f"{losses[0]:.3g} in the first epoch and {losses[-1]:.3g} in the last" if losses else "not computed"
        raise ValueError(
            f"The training diverged: the loss was {course}. Try a smaller learning_rate or an optimizer with "
            f"clipnorm=1.0, or scale X (StandardScaler)."
        )
