"""Small Keras models, the settings with which skaae is the method as published, and those of a quick fit."""

import keras
import numpy as np

# The method as published: S(x) is the divergence alone, and training the minimization of its mean.
PUBLISHED = {"noise": 0, "virtual_adversarial": 0, "label_change_first": False}


def tiny_autoencoder(sample_shape):
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input(sample_shape), dense(8, activation="relu"), dense(sample_shape[-1])])


def tiny_surrogate(sample_shape, n_classes):
    dense = keras.layers.Dense
    return keras.Sequential([keras.Input(sample_shape), dense(64, activation="relu"), dense(n_classes, "softmax")])


# Where the defense itself is not what a test is about. Most of a short fit is the time in which TensorFlow makes
# its graph, and most of that graph are the perturbations and Adam: a quick fit takes a quarter of the time of one by
# default.
QUICK = {
    "autoencoder": tiny_autoencoder,
    "optimizer": keras.optimizers.SGD(1e-2),
    "epochs": 1,
    "random_state": 0,
    "noise": 0,
    "virtual_adversarial": 0,
}


def train_classifier(X, y, *layers, loss="sparse_categorical_crossentropy", epochs=30):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(X.shape[1:]), *layers])
    model.compile(keras.optimizers.Adam(1e-2), loss)
    model.fit(X, y, epochs=epochs, batch_size=32, verbose=0)
    return model


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]
