"""Small Keras models, and the settings with which skaae is the method as published."""

import keras
import numpy as np

# The method as published: S(x) is the divergence alone, and training the minimization of its mean.
PUBLISHED = {"noise": 0, "virtual_adversarial": 0, "label_change_first": False}


def train_classifier(X, y, *layers, loss="sparse_categorical_crossentropy", epochs=30):
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input(X.shape[1:]), *layers])
    model.compile(keras.optimizers.Adam(1e-2), loss)
    model.fit(X, y, epochs=epochs, batch_size=32, verbose=0)
    return model


def weights_of(model):
    return [np.array(weight) for weight in model.get_weights()]
