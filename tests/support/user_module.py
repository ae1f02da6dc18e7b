"""What users define in modules of their own, to be imported by a new process."""

import os
import signal
from pathlib import Path

import keras


@keras.saving.register_keras_serializable("tests")
class Shift(keras.layers.Layer):
    """Adds a constant, which is configuration, and a weight for each feature."""

    def __init__(self, amount, **options):
        super().__init__(**options)
        self.amount = amount

    def build(self, shape):
        self.bias = self.add_weight(shape=(shape[-1],), initializer="random_normal")

    def call(self, x):
        return x + self.amount + self.bias

    def get_config(self):
        return {**super().get_config(), "amount": self.amount}


class Unregistered(keras.layers.Layer):
    def call(self, x):
        return x + 1


@keras.saving.register_keras_serializable("tests")
class WithoutConfiguration(keras.layers.Layer):
    def __init__(self, amount):
        super().__init__()
        self.amount = amount

    def call(self, x):
        return x + self.amount


def restore(weights):
    model = PicklesItself()
    model.build((None, 4))
    model.set_weights(weights)
    return model


class PicklesItself(keras.Model):
    """Not registered, but with its own way into a pickle and out of it."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3, "softmax")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        return self.dense(x)

    def __reduce__(self):
        return restore, (self.get_weights(),)


def build_autoencoder(sample_shape):
    return keras.Sequential([keras.Input(sample_shape), Shift(0.1), keras.layers.Dense(*sample_shape)])


def absolute_error(x, x_reconstructed):
    return keras.ops.mean(keras.ops.abs(x - x_reconstructed), axis=1)


def double(batch):
    return 2 * batch


class KillOnce(keras.callbacks.Callback):
    """Kills the process in its second epoch, unless it has done so before."""

    def __init__(self, path):
        super().__init__()
        self.path = os.fspath(path)

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1 and not Path(self.path).exists():
            Path(self.path).touch()
            os.kill(os.getpid(), signal.SIGKILL)
