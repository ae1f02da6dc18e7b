import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.naive_bayes import GaussianNB

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._keras.models import (
    call_frozen,
    check_input_shape,
    check_one_input_one_output,
    copy_model,
    fingerprint,
    only_tensor,
    variables_of,
)
from tests.support.models import QUICK, weights_of


class Doubled(keras.layers.Layer):
    """Not registered with Keras."""

    def call(self, x):
        return 2 * x


class Subclassed(keras.Model):
    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dense = keras.layers.Dense(units)

    def call(self, x):
        return self.dense(x)

    def get_config(self):
        return {"units": self.units}


class WithoutConfig(keras.Model):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def call(self, x):
        return self.layer(x)


def functional():
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.layers.Dense(5), Doubled()])
    return keras.Model(inputs, keras.layers.Dropout(0.5)(inner(inputs)))


def sequential():
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(5), keras.layers.BatchNormalization()])


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 4), "float32"))
    return model


@pytest.mark.parametrize("build", [functional, sequential, subclassed])
def test_copy_has_the_weights_and_shares_nothing(build):
    model = build()
    copy = copy_model(model, "autoencoder")
    x = np.random.default_rng(0).normal(size=(7, 4)).astype("float32")
    np.testing.assert_array_equal(copy(x), model(x))
    before = weights_of(model)
    copy.set_weights([weight + 1 for weight in copy.get_weights()])
    for found, wanted in zip(weights_of(model), before, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_copy_of_a_model_without_configuration_is_refused():
    model = WithoutConfig(keras.layers.Dense(2))
    model(np.zeros((1, 4), "float32"))
    with pytest.raises(TypeError, match="autoencoder cannot be copied: WithoutConfig must implement get_config"):
        copy_model(model, "autoencoder")


@pytest.mark.parametrize("build", [functional, sequential])
def test_fingerprint_forgets_automatic_names_but_not_weights_or_architecture(build):
    model, again = build(), build()
    again.set_weights(model.get_weights())
    assert {layer.name for layer in model.layers} != {layer.name for layer in again.layers}
    assert fingerprint(again) == fingerprint(model)
    weights = model.get_weights()
    weights[0][0, 0] += 1e-6
    again.set_weights(weights)
    assert fingerprint(again) != fingerprint(model)
    tanh, relu = (keras.Sequential([keras.Input((2,)), keras.layers.Activation(name)]) for name in ("tanh", "relu"))
    assert fingerprint(tanh) != fingerprint(relu)


def test_frozen_call_writes_nothing_to_the_model():
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(3, activity_regularizer="l2"),
            keras.layers.Dropout(0.5),
        ]
    )
    before = [np.array(variable) for variable in model.variables]
    tf.function(lambda x: call_frozen(model, x))(tf.ones((5, 4)))
    for variable, wanted in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, wanted)
    assert not model.losses


def test_several_inputs_or_outputs_are_named():
    first, second = keras.Input((2,), name="first"), keras.Input((2,), name="second")
    two_in = keras.Model([first, second], keras.layers.Add()([first, second]))
    with pytest.raises(ValueError, match=r"but has 2 inputs: \['first', 'second'\]"):
        check_one_input_one_output(two_in, "classifier")
    two_out = keras.Model(first, [keras.layers.Dense(1)(first), keras.layers.Dense(1)(first)])
    with pytest.raises(ValueError, match="classifier must have one input and one output, but has 2 outputs"):
        check_one_input_one_output(two_out, "classifier")


def test_input_shape_is_compared_with_wildcards():
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.GlobalAveragePooling1D()])
    check_input_shape(model, (7, 3), "classifier")
    with pytest.raises(ValueError, match=r"classifier expects samples of shape \(None, 3\), .* of shape \(7, 2\)"):
        check_input_shape(model, (7, 2), "classifier")


def test_copy_of_a_model_that_has_learned_to_scale(iris):
    """Normalization derives values from its arrays, which `set_weights` does not."""
    scale = keras.layers.Normalization()
    scale.adapt(100 * iris[0] + 50)
    model = keras.Sequential([keras.Input((4,)), scale, keras.layers.Dense(4)])
    np.testing.assert_array_equal(copy_model(model, "autoencoder")(iris[0]), model(iris[0]))


def test_a_learned_vocabulary_is_refused():
    lookup = keras.layers.IntegerLookup(vocabulary=[1, 2])
    model = keras.Sequential([keras.Input((1,), dtype="int64"), lookup])
    with pytest.raises(TypeError, match="vocabularies"):
        variables_of(model)


class Named(keras.Model):
    """Subclassed, with a dict of one output."""

    def __init__(self, n_outputs, activation):
        super().__init__()
        self.dense = keras.layers.Dense(n_outputs, activation)

    def call(self, x):
        return {"label": self.dense(x)}

    def get_config(self):
        return {"n_outputs": self.dense.units, "activation": keras.activations.serialize(self.dense.activation)}


def functional(kind, n_outputs, activation):
    inputs = keras.Input((4,))
    outputs = keras.layers.Dense(n_outputs, activation)(inputs)
    return keras.Model(inputs, {"dict": {"label": outputs}, "list": [outputs]}[kind])


def named(kind, n_outputs, activation):
    keras.utils.set_random_seed(0)
    if kind != "subclassed":
        return functional(kind, n_outputs, activation)
    model = Named(n_outputs, activation)
    model(np.zeros((1, 4)))
    return model


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["dict", "list", "subclassed"])
@pytest.mark.usefixtures("short_distillation")
@pytest.mark.filterwarnings("ignore:The surrogate:UserWarning")
def test_one_output_in_a_dict_or_list(iris, kind):
    X, y = iris
    model = named(kind, 3, "softmax")
    frozen = FrozenKerasModel(model)
    np.testing.assert_allclose(frozen.predict_proba(X), only_tensor(model(X)), atol=1e-6)
    settings = {**QUICK, "autoencoder": named(kind, 4, "linear"), "hidden_models": [named(kind, 3, "softmax")]}
    assert len(AdversarialAEDetector(frozen, **settings).fit(X).correct(X).corrected) == len(X)
    if kind != "subclassed":
        surrogate = named(kind, 3, "softmax")
        AdversarialAEDetector(GaussianNB().fit(X, y), surrogate=surrogate, threshold=1.0, **QUICK).fit(X)


def test_several_outputs_of_a_subclassed_model_are_refused(iris):
    class Several(keras.Model):
        def call(self, x):
            return {"label": x[:, :2], "box": x}

    model = Several()
    model(iris[0])
    with pytest.raises(ValueError, match="classifier must return one output, got dict"):
        FrozenKerasModel(model).predict(iris[0])


def test_named_outputs_of_a_saved_model(iris, tmp_path):
    keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "softmax")]).export(tmp_path / "model", verbose=False)
    served = keras.layers.TFSMLayer(tmp_path / "model", call_endpoint="serving_default")
    model = keras.Sequential([keras.Input((4,)), served])
    assert FrozenKerasModel(model).predict_proba(iris[0]).shape == (150, 3)
    assert len(AdversarialAEDetector(model, **QUICK).fit(iris[0]).predict(iris[0])) == 150


def test_fingerprint_forgets_the_numbers_of_operations():
    def build(factor):
        x = keras.Input((3,), name="x")
        return keras.Model(x, keras.ops.tanh(factor * x))

    assert fingerprint(build(2.0)) == fingerprint(build(2.0))
    assert fingerprint(build(2.0)) != fingerprint(build(3.0))
