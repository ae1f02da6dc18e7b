"""The predictions that AE(x) has to preserve: of M and, if requested, of the hidden terms."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from skaae._data.rows import Rows
from skaae._frozen_keras_model import FrozenKerasModel
from skaae._keras.logits import check_outputs, class_logits, outputs_to_check
from skaae._keras.models import (
    call_frozen,
    check_input_shape,
    check_keras_version,
    check_one_input_one_output,
    fingerprint,
    is_layer_graph,
)
from skaae._keras.row_function import RowFunction
from skaae._persistence import PersistenceMixin

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

LayerKey = int | str


class FrozenHeads(PersistenceMixin):
    """Logits of M and of the hidden terms, computed with one call of M.

    A hidden term is a distribution that depends on x: the softmax of a random projection of a hidden layer of M, or
    the output of a separate Keras model. The projections are never trained.

    Parameters
    ----------
    classifier : FrozenKerasModel
        M.
    hidden_layers : mapping of int or str to int or None, default=None
        Index or name of a layer of M -> dimension of its projection.
    hidden_models : sequence of keras.Model or None, default=None
        Models from x to probabilities.
    projections : sequence of ndarray, default=()
        One per item of `hidden_layers`, of shape (units of the layer, dimension).
    """

    _not_saved = ("model", "_graph")

    def __init__(
        self,
        classifier: FrozenKerasModel,
        hidden_layers: Mapping[LayerKey, int] | None = None,
        hidden_models: Sequence[keras.Model] | None = None,
        projections: Sequence[np.ndarray] = (),
    ) -> None:
        self.classifier = classifier
        self.hidden_layers = dict(hidden_layers or {})
        self.hidden_models = tuple(hidden_models or ())
        self.projections = list(projections)
        self.model = _with_hidden_outputs(classifier.model, self.hidden_layers)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.model = _with_hidden_outputs(self.classifier.model, self.hidden_layers)

    def __call__(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Compute the logits of M, then of the hidden layers, then of the hidden models.

        Parameters
        ----------
        x : tf.Tensor of shape (n_samples, ...), float32

        Returns
        -------
        logits : list of tf.Tensor of shape (n_samples, n_classes of the term), float32
        """
        if tf.executing_eagerly():
            return self._graph(x)
        return self._outputs_and_logits(x)[1]

    @cached_property
    def _graph(self) -> Callable[[tf.Tensor], list[tf.Tensor]]:
        """The same as a graph, which shows the logits also under ``tf.config.run_functions_eagerly``."""
        sample_shape = self.classifier.model.inputs[0].shape[1:]
        function = tf.function(lambda x: self._outputs_and_logits(x)[1], autograph=False)
        return function.get_concrete_function(tf.TensorSpec((None, *sample_shape), tf.float32))

    def evaluate(self, X: Rows) -> list[np.ndarray]:
        """Compute the logits of all rows of X like `__call__`, and check that they and the outputs of M are valid."""
        results = RowFunction(self._named, X.shape[1:])(X)
        check_outputs(results.pop("outputs"), self.classifier.from_logits)
        for values in results.values():
            # Infinite logits can give finite probabilities.
            check_outputs(values, from_logits=True)
        return list(results.values())

    def fingerprint(self) -> list[Any]:
        """Plain values that identify the hidden terms."""
        models = [fingerprint(model) for model in self.hidden_models]
        return [list(self.hidden_layers.items()), self.projections, models]

    def hidden_terms(self, x: tf.Tensor) -> list[tf.Tensor]:
        """Compute the logits of the hidden models only, for which M is not called."""
        return [class_logits(call_frozen(model, x), from_logits=False) for model in self.hidden_models]

    def _outputs_and_logits(self, x: tf.Tensor) -> tuple[tf.Tensor, list[tf.Tensor]]:
        outputs = call_frozen(self.model, x)
        outputs, *hidden = outputs if self.projections else (outputs,)
        projected = [
            tf.reshape(tf.cast(values, tf.float32), (-1, projection.shape[0])) @ projection
            for values, projection in zip(hidden, self.projections, strict=True)
        ]
        return outputs, [class_logits(outputs, self.classifier.from_logits), *projected, *self.hidden_terms(x)]

    def _named(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        outputs, logits = self._outputs_and_logits(x)
        checked = outputs_to_check(outputs, self.classifier.from_logits)
        return {"outputs": checked, **{f"term {position:03d}": values for position, values in enumerate(logits)}}


def draw_projections(
    model: keras.Model | None, hidden_layers: Mapping[LayerKey, int] | None, seed: int
) -> list[np.ndarray]:
    """Draw a Glorot uniform projection for each hidden layer. Equal seeds give equal projections.

    Parameters
    ----------
    model : keras.Model
        M.
    hidden_layers : mapping of int or str to int or None
        Layer of M -> dimension.
    seed : int

    Returns
    -------
    projections : list of ndarray of shape (units of the layer, dimension), float32

    Raises
    ------
    ValueError
        If a layer does not exist, has no fixed shape, or the dimension is below 2.
    """
    generator = np.random.default_rng(seed)
    projections = []
    for key, dimension in (hidden_layers or {}).items():
        n_units = _count_units(model, key)
        limit = np.sqrt(6 / (n_units + dimension))
        projections.append(generator.uniform(-limit, limit, (n_units, dimension)).astype(np.float32))
    return projections


def check_hidden_terms(
    model: keras.Model | None,
    hidden_layers: Mapping[LayerKey, Any] | None,
    hidden_models: Sequence[Any] | None,
    hidden_weights: ArrayLike | None,
    X: Rows,
) -> tuple[float, ...]:
    """Raise unless the hidden terms fit M and X. Return their weights, by default 1 each.

    `model` is None if M is not a Keras model and so has no hidden layers.
    """
    if hidden_layers and model is None:
        raise ValueError("hidden_layers needs a Keras classifier. Pass `hidden_models` instead.")
    for key, dimension in (hidden_layers or {}).items():
        if isinstance(dimension, bool) or not isinstance(dimension, int | np.integer) or dimension < 2:
            raise ValueError(
                f"hidden_layers[{key!r}] must be an output dimension, an int of at least 2, got {dimension!r}."
            )
        _count_units(model, key)
    for position, hidden_model in enumerate(hidden_models or ()):
        _check_hidden_model(hidden_model, f"hidden_models[{position}]", X)
    n_terms = len(hidden_layers or {}) + len(hidden_models or ())
    weights = np.ones(n_terms) if hidden_weights is None else np.asarray(hidden_weights)
    is_numeric = weights.shape == (n_terms,) and (n_terms == 0 or weights.dtype.kind in "biuf")
    if not is_numeric or not (weights >= 0).all() or (weights > np.finfo(np.float32).max).any():
        raise ValueError(
            f"hidden_weights must be {n_terms} numbers of at least 0, one per item of hidden_layers and "
            f"hidden_models, got {hidden_weights!r}."
        )
    return tuple(float(weight) for weight in weights)


def _check_hidden_model(model: Any, argument: str, X: Rows) -> None:
    check_keras_version(model, argument)
    if not isinstance(model, keras.Model):
        raise TypeError(f"{argument} must be a keras.Model, got {type(model).__name__}.")
    check_one_input_one_output(model, argument)
    check_input_shape(model, X.shape[1:], argument)
    function = RowFunction(lambda x: {"outputs": outputs_to_check(call_frozen(model, x), False)}, X.shape[1:])
    outputs = function(X[:1], ["outputs"])["outputs"]
    if outputs.ndim != 2:
        raise ValueError(f"{argument} must return (n_samples, n_classes) probabilities, got the shape {outputs.shape}.")
    check_outputs(outputs, from_logits=False, argument=argument)


def _count_units(model: keras.Model, key: LayerKey) -> int:
    shape = _find_layer(model, key).output.shape[1:]
    if None in shape:
        raise ValueError(f"hidden_layers: layer {key!r} must have outputs of fixed shape, got {shape}.")
    return int(np.prod(shape))


def _find_layer(model: keras.Model, key: LayerKey) -> keras.Layer:
    if not is_layer_graph(model):
        raise ValueError(
            f"hidden_layers needs a Functional or Sequential classifier, got {type(model).__name__}. "
            f"Pass `hidden_models` instead."
        )
    names = [layer.name for layer in model.layers]
    if isinstance(key, str) and key in names:
        return model.get_layer(key)
    if isinstance(key, int | np.integer) and -len(names) <= key < len(names):
        return model.layers[key]
    raise ValueError(f"hidden_layers: the classifier has no layer {key!r}. Its layers are {dict(enumerate(names))}.")


def _with_hidden_outputs(model: keras.Model, hidden_layers: Mapping[LayerKey, int]) -> keras.Model:
    """M with the outputs of its hidden layers in addition to its own. The layers are shared, not copied."""
    if not hidden_layers:
        return model
    hidden = [_find_layer(model, key).output for key in hidden_layers]
    return keras.Model(model.inputs[0], [model.outputs[0], *hidden])
