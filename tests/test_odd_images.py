"""Odd and hostile images: other shapes, layouts and ranges of values."""

import keras
import numpy as np
import pytest

from skaae import AdversarialAEDetector

pytestmark = pytest.mark.filterwarnings("ignore:.* rows are too few to promise:UserWarning")

IMAGES = np.random.default_rng(0).normal(size=(6, 5, 4, 1))


@pytest.fixture(scope="module")
def fitted_on_images():
    classifier = keras.Sequential([keras.Input((5, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2, "softmax")])
    autoencoder = keras.Sequential([keras.Input((5, 4, 1)), keras.layers.Conv2D(1, 1)])
    return AdversarialAEDetector(classifier, autoencoder=autoencoder, epochs=0).fit(IMAGES)


class TestShapesOfImages:
    @pytest.mark.parametrize(
        "shape", [(3, 5, 4, 3), (3, 5, 4), (3, 20), (3, 1, 5, 4), (3, 4, 5, 1), (5, 4, 1), (0, 5, 4, 1), (3, 5, 0, 1)]
    )
    def test_other_shapes(self, fitted_on_images, shape):
        for method in (fitted_on_images.predict, fitted_on_images.transform, fitted_on_images.infer_threshold):
            with pytest.raises(ValueError, match=r"samples of shape|is expecting 5 features|0 sample\(s\)"):
                method(np.zeros(shape))

    @pytest.mark.parametrize("way", ["f4", ">f8", "F order", "strides"])
    def test_layouts(self, fitted_on_images, way):
        images = IMAGES.astype("f4").astype("f8")
        ways = {"F order": np.asfortranarray(images), "strides": np.repeat(images, 2, axis=2)[:, :, ::2]}
        found = fitted_on_images.adversarial_score(ways.get(way, images if way in ways else images.astype(way[-2:])))
        np.testing.assert_array_equal(found, fitted_on_images.adversarial_score(images))

    def test_the_whole_range_of_float32(self):
        """The range of the values is beyond float32, though none of them is."""
        flat = keras.layers.Flatten(), keras.layers.Rescaling(1e-38), keras.layers.Dense(2, "softmax")
        classifier = keras.Sequential([keras.Input((5, 4, 1)), *flat])
        autoencoder = keras.Sequential([keras.Input((5, 4, 1)), keras.layers.Rescaling(0.5)])
        for dtype in ("f4", "f8"):
            images = (np.sign(IMAGES) * 3e38).astype(dtype)
            model = AdversarialAEDetector(classifier, autoencoder=autoencoder, epochs=0).fit(images)
            assert np.isfinite(model.adversarial_score(images)).all()
