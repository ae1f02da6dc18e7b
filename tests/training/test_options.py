import keras
import numpy as np
import pytest

from skaae import AdversarialAEDetector
from skaae._training.options import TrainingOptions

ROW, SEQUENCE, IMAGE = (30,), (50, 3), (28, 28, 1)


@pytest.mark.parametrize(
    ("n_rows", "shape", "given", "batch_size", "epochs"),
    [
        (100, ROW, {}, 64, 100),
        (20_000, ROW, {}, 64, 20),
        (10**6, ROW, {}, 64, 2),
        (100, ROW, {"batch_size": 16}, 16, 100),
        (20_000, ROW, {"batch_size": 128}, 128, 39),
        (20_000, ROW, {"batch_size": 1000}, 1000, 100),
        (100, SEQUENCE, {}, 128, 70),
        (100, SEQUENCE, {"batch_size": 32}, 32, 70),
        (2400, IMAGE, {}, 32, 24),
        (33_600, IMAGE, {}, 32, 14),
        (10**6, IMAGE, {}, 32, 2),
        (2400, IMAGE, {"batch_size": 64}, 64, 48),
        (2400, IMAGE, {"batch_size": 1}, 1, 2),
        (2400, IMAGE, {"batch_size": 500}, 500, 70),
        (2400, IMAGE, {"epochs": 3}, 32, 3),
        (2400, IMAGE, {"epochs": 0, "batch_size": 7}, 7, 0),
    ],
)
def test_defaults(n_rows, shape, given, batch_size, epochs):
    X = np.broadcast_to(np.float32(0), (n_rows, *shape))
    options = TrainingOptions(**given, verbose=2).resolved(X, images=shape == IMAGE)
    assert (options.batch_size, options.epochs, options.verbose) == (batch_size, epochs, 2)
    assert options.count_steps(n_rows) == epochs * -(-n_rows // batch_size)


@pytest.mark.parametrize("images", [False, True])
def test_the_detector_trains_so_long(images):
    """Samples of two dimensions are images if the classifier flattens them, and sequences otherwise."""
    head = keras.layers.Flatten() if images else keras.layers.GlobalAveragePooling1D()
    model = keras.Sequential([keras.Input((4, 4)), head, keras.layers.Dense(2, activation="softmax")])
    X = np.random.default_rng(0).normal(size=(40, 4, 4)).astype("float32")
    flat = keras.Sequential([keras.Input((4, 4)), keras.layers.Dense(4)])
    detector = AdversarialAEDetector(model, autoencoder=flat, virtual_adversarial=0, threshold=1.0, random_state=0)
    assert len(detector.fit(X).history_["loss"]) == (24 if images else 70)
