"""A network trained adversarially with labels: what there is to be had under attacks of its size."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from benchmarks.common.data import Split
from benchmarks.defense import attacks

layers = keras.layers
# An image costs more, and after these steps nearly every training image is right under attack.
STEPS = {"table": 7000, "image": 2400}
BATCH_SIZE = 128
LEARNING_RATE = 1e-3
ASCENT_STEPS = 5
# Each step of the ascent, in sizes of the attack: five reach every corner of the box from anywhere in it.
ASCENT_STEP = 0.4


def train(split: Split, seed: int, beta: float = 0.0, steps: int | None = None) -> keras.Model:
    """Train a network under attacks of the whole size, from the rows that M and skaae get, and their labels.

    Parameters
    ----------
    beta : float, default=0.0
        Weight of TRADES' term (Zhang et al. 2019, arXiv:1901.08573), the divergence between the predictions on
        x and on attacked x. 0: the cross-entropy of attacked rows (Madry et al. 2018, arXiv:1706.06083).
    steps : int or None, default=None
        Training steps. None: as `STEPS` says.
    """
    keras.utils.set_random_seed(seed)
    net = network(split)
    step = training_step(net, split, beta, n_steps := steps or STEPS[attacks.kind(split)])
    for rows in batches(len(split.X_train), n_steps, np.random.default_rng(seed)):
        step(tf.constant(split.X_train[rows]), tf.constant(split.y_train[rows].astype(np.int64)))
    return net


def network(split: Split) -> keras.Model:
    """An untrained network: 3 x 512 for tables; M's convolutions and a wider dense layer for images."""
    hidden = [layers.Dense(512, activation="relu") for _ in range(3)]
    if split.is_image:
        blocks = [[layers.Conv2D(n, 3, padding="same", activation="relu"), layers.MaxPool2D()] for n in (32, 64)]
        hidden = [*blocks[0], *blocks[1], layers.Flatten(), layers.Dense(256, activation="relu")]
    n_classes = int(split.y_train.max()) + 1
    return keras.Sequential([keras.Input(split.X_train.shape[1:]), *hidden, layers.Dense(n_classes)])


def batches(n_rows: int, n_steps: int, random: np.random.Generator):
    """The rows of each step, in a new order every epoch; the incomplete batch at the end is left out."""
    per_epoch = max(1, n_rows // BATCH_SIZE)
    for step in range(n_steps):
        if step % per_epoch == 0:
            order = random.permutation(n_rows)
        start = step % per_epoch * BATCH_SIZE
        yield order[start : start + BATCH_SIZE]


def training_step(net: keras.Model, split: Split, beta: float, n_steps: int) -> tf.types.experimental.GenericFunction:
    """The compiled step: an ascent from a random start in the box, then a step of Adam."""
    size, variables = attacks.SIZE[attacks.kind(split)], net.trainable_variables
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, n_steps))
    optimizer.build(variables)

    def moved(x: tf.Tensor, r: tf.Tensor) -> tf.Tensor:
        return net(tf.clip_by_value(x + r, *split.bounds))

    def attacked(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        r, clean = tf.random.uniform(tf.shape(x), -size, size), net(x)
        for _ in range(ASCENT_STEPS):
            with tf.GradientTape() as tape:
                tape.watch(r)
                logits = moved(x, r)
                loss = tf.reduce_sum(divergence(clean, logits) if beta else cross_entropy(y, logits))
            r = tf.clip_by_value(r + ASCENT_STEP * size * tf.sign(tape.gradient(loss, r)), -size, size)
        return r

    @tf.function(reduce_retracing=True)
    def step(x: tf.Tensor, y: tf.Tensor) -> None:
        r = attacked(x, y)
        with tf.GradientTape() as tape:
            logits = moved(x, r)
            if beta:
                clean = net(x)
                losses = cross_entropy(y, clean) + beta * divergence(clean, logits)
            else:
                losses = cross_entropy(y, logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply(tape.gradient(loss, variables), variables)

    return step


def cross_entropy(y: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The loss of each row."""
    return tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits)


def divergence(clean: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """KL between the predictions on each row and on that row under attack."""
    log_p, log_q = tf.nn.log_softmax(clean), tf.nn.log_softmax(logits)
    return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=1)
