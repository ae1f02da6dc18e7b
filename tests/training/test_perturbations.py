import keras
import numpy as np
import pytest
import tensorflow as tf

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._divergence import AdversarialScore
from skaae._training.perturbations import (
    LEAST_NOISE,
    Perturbation,
    bounds_of_perturbation,
    unit_of_perturbation,
)
from tests.support.models import PUBLISHED, QUICK

SEED = tf.constant([0, 0])
GENERATOR = np.random.default_rng(0)
ROWS = GENERATOR.normal(size=(40, 6)).astype("float32")
PROJECTION = tf.constant(GENERATOR.normal(size=(6, 3)), tf.float32)


def classify(x):
    return tf.reshape(x, (-1, 6)) @ PROJECTION


def divergence(x, targets):
    return AdversarialScore()(targets, [classify(x)])


def perturb(X=ROWS, seed=SEED, against_classifier=divergence, against_defense=divergence, **options):
    perturbation = Perturbation(**{"scale": np.float32(1), "bounds": None, "steps": 1, **options})
    x = tf.constant(X)
    return perturbation(x, [classify(x)], against_classifier, against_defense, seed).numpy()


def root_mean_square(values):
    return np.sqrt(np.mean(np.square(values.reshape(len(values), -1)), axis=1))


class TestPerturbation:
    def test_nothing_is_moved_at_0(self):
        assert not Perturbation(scale=np.float32(1), bounds=None)
        np.testing.assert_array_equal(perturb(), ROWS)

    def test_noise_has_the_unit_of_each_feature(self):
        X = np.zeros((4000, 2), np.float32)
        moved = Perturbation(np.float32([1, 10]), None, noise=0.5)(tf.constant(X), [], None, None, SEED)
        np.testing.assert_allclose(moved.numpy().std(axis=0), [0.5, 5], rtol=0.05)

    def test_sizes_against_the_classifier_are_drawn(self):
        found = np.concatenate(
            [
                root_mean_square(perturb(virtual_adversarial=0.3, shares=(1.0, 0.0), seed=[0, i]) - ROWS)
                for i in range(20)
            ]
        )
        assert 0.42 < found.max() <= 0.45 + 3 * LEAST_NOISE
        assert found.mean() == pytest.approx(0.225, abs=0.02)

    def test_several_steps_go_no_further_than_one(self):
        options = {"virtual_adversarial": 0.3, "shares": (1.0, 0.0)}
        one, three = (root_mean_square(perturb(**options, steps=steps) - ROWS) for steps in (1, 3))
        assert (three <= one + 6 * LEAST_NOISE).all()
        assert three.mean() > 0.5 * one.mean()

    def test_moves_further_than_chance(self):
        before = [classify(tf.constant(ROWS))]
        moved = perturb(virtual_adversarial=0.3, shares=(1.0, 0.0), steps=3)
        size = root_mean_square(moved - ROWS)[:, None]
        by_chance = ROWS + size * GENERATOR.choice([-1, 1], ROWS.shape)
        assert np.mean(divergence(moved, before)) > 4 * np.mean(divergence(by_chance.astype("float32"), before))

    def test_shares_of_the_batch(self):
        """A tenth is in neither share and has the least noise alone."""
        asked = {}

        def counted(name):
            def call(x, targets):
                asked[name] = len(x)
                return divergence(x, targets)

            return call

        moved = perturb(
            virtual_adversarial=0.3,
            shares=(0.6, 0.3),
            against_classifier=counted("classifier"),
            against_defense=counted("defense"),
        )
        assert asked == {"classifier": 24, "defense": 12}
        assert root_mean_square(moved - ROWS)[36:].max() < 3 * LEAST_NOISE
        assert np.median(root_mean_square(moved - ROWS)[:36]) > 0.05

    def test_full_size_against_the_defense(self):
        """Up to the size from the noisy row, and not beyond."""
        moved = perturb(virtual_adversarial=0.3, shares=(0.0, 1.0), scale=np.float32(2), steps=3)
        sizes, noise = np.abs(moved - ROWS), 2 * 5 * LEAST_NOISE
        assert sizes.max() <= 0.6 + noise
        assert np.mean(sizes > 0.6 - noise) > 0.8

    @pytest.mark.parametrize("n_rows", [1, 3, 5])
    def test_shares_of_a_small_batch(self, n_rows):
        """Half of 3 rows is rounded to 2, twice; and no row at all may be left over, or moved."""
        for shares in ((0.5, 0.5), (0.55, 0.2), (0.0, 0.2)):
            assert perturb(ROWS[:n_rows], virtual_adversarial=0.3, shares=shares).shape == (n_rows, 6)
        noise_alone = perturb(ROWS[:n_rows], virtual_adversarial=0.3, shares=(0, 0))
        assert np.abs(noise_alone - ROWS[:n_rows]).max() < 6 * LEAST_NOISE

    @pytest.mark.parametrize("shape", [(12, 3, 2), (12, 6, 1, 1), (12, 1, 2, 3)])
    def test_sequences_and_images(self, shape):
        X = GENERATOR.random(shape, dtype=np.float32)
        moved = perturb(X, virtual_adversarial=0.3, noise=0.1, bounds=(0.0, 1.0))
        assert moved.shape == shape
        assert moved.min() >= 0
        assert moved.max() <= 1
        assert np.abs(moved - X).max() > 0.05

    def test_the_seed_decides(self):
        first, again, other = (perturb(virtual_adversarial=0.3, noise=0.1, seed=[0, i]) for i in (0, 0, 1))
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 0.01

    def test_a_batch_of_one_row(self):
        assert perturb(ROWS[:1], virtual_adversarial=0.3, noise=0.1).shape == (1, 6)


@pytest.mark.parametrize(
    ("shape", "size", "shares", "steps"),
    [((5,), 0.3, (0.4, 0.3), 5), ((9, 5), 0.3, (0.4, 0.3), 5), ((4, 4, 1), 0.2, (0.7, 0.2), 3)],
)
def test_defaults_for_the_kind_of_samples(shape, size, shares, steps):
    found = Perturbation.of_rows(np.ones((2, *shape)), 0.1, None, None, None)
    assert (found.virtual_adversarial, found.shares, found.steps) == (size, shares, steps)
    assert Perturbation.of_rows(np.ones((2, *shape)), 0.1, 0.5, [0, 1], 7).steps == 7


@pytest.mark.parametrize("n_rows", [2, 33, 34])
def test_a_last_batch_without_a_share_of_images(n_rows):
    """A convolution of a CPU fails on no images."""
    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(32, 3), keras.layers.Flatten()])
    model.add(keras.layers.Dense(3, activation="softmax"))
    X = GENERATOR.random((n_rows, 8, 8, 1), dtype=np.float32)
    detector = AdversarialAEDetector(FrozenKerasModel(model), epochs=1, threshold=1.0, random_state=0).fit(X)
    assert np.isfinite(detector.history_["loss"]).all()


def test_an_autoencoder_without_a_gradient(iris, iris_model):
    inputs = keras.Input((4,))
    whole = keras.ops.cast(keras.ops.cast(inputs, "int32"), "float32")
    rounding = keras.Model(inputs, keras.layers.Dense(4)(whole))
    with pytest.raises(ValueError, match=r"no gradient with respect to its input.*virtual_adversarial=0"):
        AdversarialAEDetector(iris_model, autoencoder=rounding, epochs=1).fit(iris[0])


class TestUnit:
    def test_rows(self):
        X = np.array([[0.0, 1.0, 7.0], [4.0, 3.0, 7.0]])
        np.testing.assert_array_equal(unit_of_perturbation(X), np.float32([2, 1, 1.5]))
        np.testing.assert_array_equal(unit_of_perturbation(np.ones((3, 2))), [1, 1])

    def test_sequences_have_one_a_channel(self):
        X = GENERATOR.normal(size=(500, 20, 2)) * [1, 5]
        np.testing.assert_allclose(unit_of_perturbation(X), [1, 5], rtol=0.05)

    def test_images_have_the_range(self):
        X = np.array([0.0, 255.0]).reshape(2, 1, 1, 1)
        assert unit_of_perturbation(X) == 255
        assert bounds_of_perturbation(X) == (0, 255)
        assert unit_of_perturbation(np.ones((2, 1, 1, 1))) == 1

    def test_images_without_channels(self):
        X = np.zeros((4, 3, 2))
        X[0, 0, 0] = 255
        assert unit_of_perturbation(X, images=True) == 255
        assert bounds_of_perturbation(X, images=True) == (0, 255)
        assert bounds_of_perturbation(X) is None

    def test_bounds_of_rows(self):
        assert bounds_of_perturbation(np.array([[0.0, 0.5]])) == (0, 1)
        assert bounds_of_perturbation(np.array([[0.0, 1.5]])) is None


class TestInTheDetector:
    @pytest.mark.parametrize(
        "shares", [(0.5,), (0.7, 0.6), (-0.1, 0.5), ("a", "b"), (np.nan, 0.1), [0.1, 0.2, 0.3]], ids=str
    )
    def test_bad_shares(self, iris, flowers, shares):
        with pytest.raises(ValueError, match="virtual_adversarial_shares must be two numbers"):
            AdversarialAEDetector(flowers, virtual_adversarial_shares=shares).fit(iris[0])

    def test_published_method_does_not_depend_on_what_is_switched_off(self, iris, flowers):
        published = {**QUICK, **PUBLISHED}
        first = AdversarialAEDetector(flowers, **published).fit(iris[0])
        other = AdversarialAEDetector(
            flowers, virtual_adversarial_steps=5, virtual_adversarial_shares=(1, 0), **published
        ).fit(iris[0])
        np.testing.assert_array_equal(first.adversarial_score(iris[0]), other.adversarial_score(iris[0]))
        assert first.adversarial_score(iris[0]).max() < 1000

    @pytest.mark.slow
    def test_every_part_changes_the_training(self, iris, flowers):
        options = [{}, {"noise": 0.5}, {"virtual_adversarial": 0.5}, {"virtual_adversarial_steps": 2}]
        options += [{"virtual_adversarial_shares": (0.7, 0.0)}]
        perturbed = {**QUICK, "epochs": 2, "noise": 0.1, "virtual_adversarial": 0.3, "virtual_adversarial_steps": 1}
        fits = [AdversarialAEDetector(flowers, **{**perturbed, **kept}).fit(iris[0]) for kept in options]
        scores = [fit.adversarial_score(iris[0]) for fit in fits]
        assert all(np.abs(score - scores[0]).max() > 1e-6 for score in scores[1:])

    def test_label_changes_come_first(self, iris, flowers):
        X = iris[0]
        plain = AdversarialAEDetector(flowers, **QUICK, label_change_first=False).fit(X)
        ranked = AdversarialAEDetector(flowers, **QUICK, label_change_first=True).fit(X)
        found = ranked.correct(X)
        changed = found.no_defense != found.defense
        assert 0 < changed.sum() < len(X)
        np.testing.assert_array_equal(found.instance_score[~changed], plain.adversarial_score(X)[~changed])
        again = ranked.classifier.predict_proba(ranked.reconstruct(X)[changed])
        given = np.searchsorted(ranked.classes_, found.no_defense[changed])
        odds = again.max(axis=1) / again[np.arange(len(again)), given]
        np.testing.assert_allclose(found.instance_score[changed], 1000 + np.log(odds), atol=1e-5)
