import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from skaae._divergence import AdversarialScore, kullback_leibler, log_probabilities


def random_logits(n_classes, scale=3.0, n_samples=50, seed=0):
    generator = np.random.default_rng(seed)
    return generator.normal(scale=scale, size=(2, n_samples, n_classes)).astype(np.float32)


@pytest.mark.parametrize("n_classes", [2, 3, 100])
def test_divergence_equals_the_closed_form(n_classes):
    p, q = random_logits(n_classes)
    found = kullback_leibler(log_probabilities(p), log_probabilities(q)).numpy()
    wanted = entropy(softmax(p.astype(float), axis=1), softmax(q.astype(float), axis=1), axis=1)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 2.0])
def test_temperature_is_a_power_of_the_probabilities(temperature):
    logits, _ = random_logits(4)
    power = softmax(logits.astype(float), axis=1) ** (1 / temperature)
    wanted = power / power.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(np.exp(log_probabilities(logits, temperature)), wanted, rtol=1e-9)


def test_temperature_applies_to_x_only():
    p, q = random_logits(4)
    found = AdversarialScore(temperature=0.5)([p], [q]).numpy()
    wanted = kullback_leibler(log_softmax(p / 0.5, axis=1).astype(float), log_softmax(q.astype(float), axis=1))
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_hidden_terms_are_weighted_and_keep_temperature_one():
    p, q = random_logits(4)
    hidden_p, hidden_q = random_logits(6, seed=1)
    plain = AdversarialScore()
    found = AdversarialScore(0.5, (0.25,))([p, hidden_p], [q, hidden_q])
    wanted = AdversarialScore(0.5)([p], [q]) + 0.25 * plain([hidden_p], [hidden_q])
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


def test_saturated_logits_stay_finite_with_a_gradient():
    p, q = tf.constant([[1e4, 0.0, -1e4]]), tf.Variable([[-1e4, 0.0, 1e4]])
    with tf.GradientTape() as tape:
        score = AdversarialScore()([p], [q])
    assert score.numpy() == pytest.approx(2e4)
    np.testing.assert_allclose(tape.gradient(score, q), [[-1.0, 0.0, 1.0]], atol=1e-6)


def test_no_score_is_negative():
    p, _ = random_logits(10, scale=20.0, n_samples=2000)
    q = p + np.float32(1e-6)
    assert AdversarialScore()([p], [q]).numpy().min() >= 0
