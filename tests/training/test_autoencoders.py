import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae._data.rows import Statistics
from skaae._training.autoencoders import build_autoencoder, depth_to_space
from tests.support.models import weights_of

SHAPES = [(1,), (2,), (30,), (5, 1), (7, 3), (1, 1), (8, 8, 1), (28, 28, 1), (32, 32, 3), (5, 9, 2), (1, 1, 1)]


def dense(n_inputs, n_outputs):
    return keras.Sequential([keras.Input((n_inputs,)), keras.layers.Dense(n_outputs)])


@pytest.mark.parametrize("sample_shape", SHAPES)
def test_default_fits_any_row_sequence_or_image(sample_shape):
    model = build_autoencoder(sample_shape)
    x = np.random.default_rng(0).normal(size=(3, *sample_shape)).astype("float32")
    assert model(x).shape == x.shape


@pytest.mark.parametrize("sample_shape", [(4,), (6, 2), (8, 8, 1)])
def test_default_is_bounded_where_x_is(sample_shape):
    x = 100 * np.random.default_rng(0).normal(size=(50, *sample_shape)).astype("float32")
    statistics = Statistics.of(np.random.default_rng(0).random((50, *sample_shape)))
    bounded = build_autoencoder(sample_shape, statistics=statistics)(x).numpy()
    assert bounded.min() >= 0
    assert bounded.max() <= 1
    assert np.abs(build_autoencoder(sample_shape)(x)).max() > 1


@pytest.mark.parametrize("sample_shape", [(4,), (6, 4)])
def test_default_computes_in_the_units_of_each_feature(sample_shape):
    x = np.random.default_rng(0).normal(size=(50, *sample_shape))
    mean, spread = np.array([0, 1e4, -3, 5]), np.array([1, 2e3, 1e-3, 0])
    raw = mean + spread * x
    keras.utils.set_random_seed(0)
    given_raw = build_autoencoder(sample_shape, statistics=Statistics.of(raw))
    given_standardized = keras.models.clone_model(build_autoencoder(sample_shape))
    given_standardized.set_weights(given_raw.get_weights())
    statistics = Statistics.of(raw)
    wanted = given_standardized(((raw - statistics.mean) / statistics.spread).astype("float32"))
    found = (given_raw(raw.astype("float32")) - statistics.mean) / statistics.spread
    np.testing.assert_allclose(found[..., :3], wanted[..., :3], atol=2e-3)


def test_image_is_not_scaled():
    statistics = Statistics.of(np.random.default_rng(0).normal(5, 100, (9, 8, 8, 1)))
    names = [layer.name for layer in build_autoencoder((8, 8, 1), statistics=statistics).layers]
    assert "scale" not in names


def test_images_without_channels_get_the_autoencoder_for_images():
    model = build_autoencoder((8, 6), images=True)
    assert model.output_shape == (None, 8, 6)
    names = [layer.name for layer in model.get_layer("autoencoder").layers]
    assert names == [layer.name for layer in build_autoencoder((8, 6, 1)).layers]
    assert isinstance(model.get_layer("autoencoder").get_layer("encoder_0"), keras.layers.Conv2D)


def test_given_model_is_the_start_and_is_not_changed():
    model = dense(4, 4)
    before = weights_of(model)
    copy = build_autoencoder((4,), model)
    np.testing.assert_array_equal(weights_of(copy)[0], before[0])
    copy.set_weights([0 * weight for weight in copy.get_weights()])
    np.testing.assert_array_equal(weights_of(model)[0], before[0])


def test_model_that_is_built_at_its_first_call():
    assert build_autoencoder((4,), keras.Sequential([keras.layers.Dense(4)])).built


def test_callable_gets_the_sample_shape():
    assert build_autoencoder((6,), lambda shape: dense(*shape, *shape)).output_shape == (None, 6)


def test_encoder_and_decoder_are_chained():
    encoder, decoder = dense(4, 2), dense(2, 4)
    chained = build_autoencoder((4,), encoder=encoder, decoder=decoder)
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    np.testing.assert_array_equal(chained(x), decoder(encoder(x)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"encoder": dense(4, 2)}, ValueError, "encoder was passed without decoder"),
        ({"decoder": dense(2, 4)}, ValueError, "decoder was passed without encoder"),
        ({"autoencoder": dense(4, 4), "encoder": dense(4, 2), "decoder": dense(2, 4)}, ValueError, "both passed"),
        (
            {"autoencoder": dense(4, 3)},
            ValueError,
            r"autoencoder must return .* \(4,\), but returns samples of shape \(3,\)",
        ),
        ({"autoencoder": dense(5, 5)}, ValueError, r"autoencoder expects samples of shape \(5,\).*\(4,\)"),
        ({"encoder": dense(5, 2), "decoder": dense(2, 4)}, ValueError, r"encoder expects samples of shape \(5,\)"),
        ({"encoder": dense(4, 2), "decoder": dense(3, 4)}, ValueError, r"decoder expects samples of shape \(3,\)"),
        (
            {"encoder": dense(4, 2), "decoder": dense(2, 3)},
            ValueError,
            r"decoder must return .* returns samples of shape \(3,\)",
        ),
        (
            {"autoencoder": lambda shape: "model"},
            TypeError,
            r"autoencoder\(\(4,\)\) must return a keras.Model, got str",
        ),
        ({"encoder": len, "decoder": dense(2, 4)}, TypeError, "encoder must be a keras.Model"),
    ],
)
def test_bad_autoencoders(arguments, error, message):
    with pytest.raises(error, match=message):
        build_autoencoder((4,), **arguments)


def test_samples_without_a_default():
    with pytest.raises(ValueError, match=r"X has samples of shape \(2, 2, 2, 2\)"):
        build_autoencoder((2, 2, 2, 2))


def test_doubled_size_is_that_of_tensorflow():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 8)).astype("float32")
    inputs = keras.Input(x.shape[1:])
    doubled = keras.Model(inputs, depth_to_space(inputs, "doubled"))
    np.testing.assert_array_equal(doubled(x), tf.nn.depth_to_space(x, 2))
    inputs = keras.Input((4, 8))
    np.testing.assert_array_equal(
        keras.Model(inputs, depth_to_space(inputs, "doubled"))(x[:, 0]), x[:, 0].reshape(2, 8, 4)
    )
