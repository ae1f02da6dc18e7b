from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tensorflow.python.framework import config

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._scoring.split import split_by_class, split_rows
from tests.support.models import QUICK, tiny_autoencoder, weights_of


class TestAutoencoders:
    @pytest.mark.parametrize("how", ["default", "model", "callable", "encoder and decoder"])
    def test_every_way_to_give_one(self, iris, flowers, how):
        encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
        decoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4)])
        given = {
            "default": {"autoencoder": None},
            "model": {"autoencoder": tiny_autoencoder((4,))},
            "callable": {"autoencoder": tiny_autoencoder},
            "encoder and decoder": {"autoencoder": None, "encoder": encoder, "decoder": decoder},
        }[how]
        models = [model for model in given.values() if isinstance(model, keras.Model)]
        before = [weight for model in models for weight in weights_of(model)]
        detector = AdversarialAEDetector(flowers, **{**QUICK, **given}).fit(iris[0])
        assert detector.autoencoder_.output_shape == (None, 4)
        assert all(detector.autoencoder_ is not model for model in models)
        for found, wanted in zip([w for model in models for w in weights_of(model)], before, strict=True):
            np.testing.assert_array_equal(found, wanted)

    def test_epochs_zero_takes_the_model_as_it_is(self, iris, flowers):
        model = tiny_autoencoder((4,))
        detector = AdversarialAEDetector(flowers, autoencoder=model, epochs=0, random_state=0).fit(iris[0])
        np.testing.assert_allclose(
            detector.reconstruct(iris[0]), model.predict(iris[0], verbose=0), rtol=1e-5, atol=1e-6
        )
        assert detector.history_ == {}
        assert detector.threshold_ > 0

    def test_training_starts_from_the_weights_that_are_given(self, iris, flowers):
        model = tiny_autoencoder((4,))
        slow = {"optimizer": "adam", "learning_rate": 1e-9}
        start = AdversarialAEDetector(flowers, autoencoder=model, epochs=0).fit(iris[0])
        moved = AdversarialAEDetector(flowers, **{**QUICK, "autoencoder": model, **slow}).fit(iris[0])
        np.testing.assert_allclose(moved.reconstruct(iris[0]), start.reconstruct(iris[0]), atol=1e-6)


class TestThreshold:
    def test_inferred_from_rows_that_were_not_trained_on(self, cancer, cancer_model):
        X = cancer[0]
        settings = {**QUICK, "random_state": 3, "threshold_percentile": 90}
        detector = AdversarialAEDetector(cancer_model, **settings, class_thresholds=False).fit(X)
        scores = np.sort(detector.adversarial_score(X[split_rows(len(X), 0.2, seed=3)[1]]))
        assert detector.threshold_ == scores[int(np.ceil((len(scores) + 1) * 0.9)) - 1]
        assert detector.offset_ == -detector.threshold_

    def test_of_classes_from_rows_that_were_not_trained_on(self, cancer, cancer_model):
        X = cancer[0]
        settings = {**QUICK, "random_state": 3, "threshold_percentile": 90}
        detector = AdversarialAEDetector(cancer_model, **settings).fit(X)
        labels = FrozenKerasModel(cancer_model).predict(X)
        calibration = X[split_by_class(labels, 0.2, seed=3)[1]]
        before = detector.class_thresholds_, detector.class_report_
        detector.infer_threshold(calibration)
        np.testing.assert_array_equal(detector.class_thresholds_, before[0])
        assert detector.class_report_.equals(before[1])
        assert detector.offset_ == pytest.approx(np.log(0.1))

    def test_given(self, iris, flowers):
        detector = AdversarialAEDetector(flowers, **QUICK, threshold=0.25).fit(iris[0])
        assert detector.threshold_ == 0.25

    def test_inferred_later(self, iris, flowers):
        X = np.unique(iris[0], axis=0)  # a row that is there twice has one score
        detector = AdversarialAEDetector(flowers, **QUICK, threshold=0.25, class_thresholds=False).fit(X)
        assert detector.infer_threshold(X, 80) is detector
        assert np.sum(detector.predict(X) == -1) == len(X) - np.ceil((len(X) + 1) * 0.8)
        assert detector.infer_threshold(X).threshold_ > detector.infer_threshold(X, 50).threshold_
        assert detector.threshold_percentile == 95.0

    def test_published_way(self, iris, flowers):
        X = np.unique(iris[0], axis=0)
        detector = AdversarialAEDetector(flowers, **QUICK, calibration_fraction=0).fit(X)
        assert np.sum(detector.predict(X) == -1) == len(X) - np.ceil((len(X) + 1) * 0.95)


@pytest.fixture
def detector(strict_detector):
    return strict_detector


class TestDecisions:
    def test_signs_and_types(self, iris, detector):
        X = iris[0]
        score = detector.adversarial_score(X)
        assert score.dtype == detector.score_samples(X).dtype == detector.decision_function(X).dtype == np.float64
        assert score.min() >= 0
        labels = np.searchsorted(detector.classes_, detector.correct(X).no_defense)
        np.testing.assert_array_equal(detector.decision_function(X), detector.score_samples(X) - detector.offset_)
        np.testing.assert_array_equal(detector.predict(X) == -1, score > detector.class_thresholds_[labels])
        np.testing.assert_array_equal(detector.predict(X) == 1, detector.decision_function(X) >= 0)
        assert set(detector.predict(X)) == {-1, 1}

    def test_a_row_at_the_threshold_is_normal(self, iris, flowers, detector):
        score = detector.adversarial_score(iris[0])
        copy = clone(detector).set_params(threshold=score[7], epochs=0).fit(iris[0])
        copy.threshold_ = copy.adversarial_score(iris[0])[7]
        assert copy.predict(iris[0])[7] == 1
        assert copy.decision_function(iris[0])[7] == 0

    def test_transform_repairs_flagged_rows_only(self, iris, detector):
        for dtype in (np.float64, np.float32):
            X = iris[0].astype(dtype)
            given, flagged = X.copy(), detector.predict(X) == -1
            repaired = detector.transform(X)
            assert repaired.dtype == dtype
            assert not np.shares_memory(repaired, X)
            np.testing.assert_array_equal(repaired[~flagged], X[~flagged])
            np.testing.assert_array_equal(repaired[flagged], detector.reconstruct(X)[flagged])
            np.testing.assert_array_equal(X, given)

    def test_correct(self, iris, flowers, detector):
        X = iris[0]
        found = detector.correct(X)
        assert set(found) == {"is_adversarial", "instance_score", "corrected", "no_defense", "defense"}
        np.testing.assert_array_equal(found.no_defense, flowers.predict(X))
        np.testing.assert_array_equal(found.defense, flowers.predict(detector.reconstruct(X)))
        np.testing.assert_array_equal(found.instance_score, detector.adversarial_score(X))
        np.testing.assert_array_equal(found.is_adversarial, detector.predict(X) == -1)
        np.testing.assert_array_equal(found.corrected, flowers.predict(detector.transform(X)))
        assert found.corrected.dtype.kind == "U"

    def test_scores_do_not_depend_on_the_batch(self, iris, detector):
        X = iris[0]
        alone = np.concatenate([detector.score_samples(X[row : row + 1]) for row in range(len(X))])
        np.testing.assert_array_equal(alone, detector.score_samples(X))

    def test_eight_threads_score_as_one_does(self, iris, flowers):
        detector, alone = (AdversarialAEDetector(flowers, **QUICK).fit(iris[0]) for _ in range(2))
        wanted = alone.adversarial_score(iris[0])
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(detector.adversarial_score, [iris[0], *iris[0][:, None]]))
        np.testing.assert_array_equal(found[0], wanted)
        np.testing.assert_array_equal(np.concatenate(found[1:]), wanted)


class TestData:
    def test_lists_and_dtypes(self, iris, flowers):
        X = iris[0].round(1)
        detector = AdversarialAEDetector(flowers, **QUICK)
        wanted = detector.fit(X).score_samples(X)
        np.testing.assert_array_equal(detector.fit(X.tolist()).score_samples(X.tolist()), wanted)
        np.testing.assert_array_equal(detector.score_samples(np.asfortranarray(X)), wanted)
        np.testing.assert_array_equal(detector.score_samples(X.astype(object)), wanted)
        integers = (10 * X).astype(int)
        np.testing.assert_array_equal(detector.score_samples(integers), detector.score_samples(integers.astype(float)))

    def test_data_frames(self, iris, flowers):
        frame = pd.DataFrame(iris[0], columns=["sl", "sw", "pl", "pw"], index=np.arange(150) + 1000)
        detector = AdversarialAEDetector(flowers, **QUICK).set_output(transform="pandas").fit(frame)
        assert detector.feature_names_in_.tolist() == list(frame.columns)
        assert detector.get_feature_names_out().tolist() == list(frame.columns)
        repaired = detector.transform(frame)
        assert isinstance(repaired, pd.DataFrame)
        assert repaired.columns.equals(frame.columns)
        assert repaired.index.equals(frame.index)
        with pytest.raises(ValueError, match="feature names should match"):
            detector.predict(frame[["sw", "sl", "pl", "pw"]])

    @pytest.mark.slow
    def test_read_only_memory_map(self, iris, flowers, tmp_path):
        np.save(tmp_path / "X.npy", iris[0])
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
        detector = AdversarialAEDetector(flowers, **QUICK)
        wanted = detector.fit(iris[0]).transform(iris[0])
        np.testing.assert_array_equal(detector.fit(X).transform(X), wanted)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_memory_map_that_is_not_finite(self, iris, flowers, tmp_path, bad):
        """The same words as for an array in memory, which scikit-learn looks at all at once."""
        detector, X = AdversarialAEDetector(flowers, **{**QUICK, "epochs": 0}).fit(iris[0]), iris[0].copy()
        X[-1, 2] = bad
        np.save(tmp_path / "X.npy", X)
        mapped, messages = np.load(tmp_path / "X.npy", mmap_mode="r"), []
        for rows in (X, mapped):
            for method in (detector.fit, detector.predict):
                with pytest.raises(ValueError, match="Input X contains") as found:
                    method(rows)
                messages.append(str(found.value))
        assert messages[:2] == messages[2:]

    def test_images(self, digit_images, images_detector):
        X, detector = digit_images[0][:400], images_detector
        assert detector.reconstruct(X).shape == detector.transform(X).shape == X.shape
        assert detector.reconstruct(X).min() >= 0
        assert detector.correct(X).corrected.shape == (400,)
        alone = np.concatenate([detector.score_samples(X[row : row + 1]) for row in range(5)])
        np.testing.assert_array_equal(alone, detector.score_samples(X)[:5])

    def test_sequences(self):
        generator = np.random.default_rng(0)
        X = generator.normal(size=(200, 12, 3)).cumsum(axis=1)
        keras.utils.set_random_seed(0)
        layers = keras.layers.GlobalAveragePooling1D(), keras.layers.Dense(2, activation="softmax")
        model = keras.Sequential([keras.Input((None, 3)), *layers])
        detector = AdversarialAEDetector(model, **{**QUICK, "autoencoder": None}).fit(X)
        assert detector.transform(X).shape == X.shape
        assert set(detector.predict(X)) == {-1, 1}


class TestPipeline:
    def test_detector_at_the_end(self, iris, flowers):
        X = iris[0] * [1, 10, 100, 1000]
        detector = AdversarialAEDetector(flowers, **QUICK)
        pipeline = make_pipeline(StandardScaler(), detector).fit(X)
        scaled = StandardScaler().fit_transform(X)
        alone = clone(detector).fit(scaled)
        for method in ("predict", "score_samples", "decision_function", "transform"):
            np.testing.assert_array_equal(getattr(pipeline, method)(X), getattr(alone, method)(scaled))

    def test_classifier_at_the_end_predicts_the_corrected_labels(self, iris, flowers):
        X, y = iris
        detector = AdversarialAEDetector(flowers, **QUICK, threshold_percentile=50)
        pipeline = make_pipeline(StandardScaler(), detector, flowers).fit(X, y)
        scaled = pipeline[0].transform(X)
        np.testing.assert_array_equal(pipeline.predict(X), pipeline[1].correct(scaled).corrected)
        assert not np.array_equal(pipeline.predict(X), flowers.predict(scaled))


class TestTheClassifierIsLeftAlone:
    def state(self, model):
        return {
            "weights": [np.array(variable) for variable in model.variables],
            "trainable": [layer.trainable for layer in model._flatten_layers()],
            "optimizer": [np.array(variable) for variable in model.optimizer.variables],
            "compiled": model.get_compile_config(),
            "layers": [id(layer) for layer in model.layers],
        }

    @pytest.mark.slow
    def test_nothing_of_it_changes(self, iris):
        X, y = iris
        keras.utils.set_random_seed(0)
        model = keras.Sequential(
            [
                keras.Input((4,)),
                keras.layers.Dense(8, activation="relu", activity_regularizer="l2"),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(3, activation="softmax", name="output"),
            ]
        )
        model.layers[1].trainable = False
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(X, y, epochs=2, verbose=0)
        before, evaluation = self.state(model), model.evaluate(X, y, verbose=0)
        perturbed = {**QUICK, "epochs": 3, "noise": 0.1, "virtual_adversarial": 0.3, "virtual_adversarial_steps": 1}
        detector = AdversarialAEDetector(FrozenKerasModel(model), hidden_layers={0: 3}, **perturbed)
        detector.fit(X).correct(X)
        after = self.state(model)
        for name in ("weights", "optimizer"):
            for found, wanted in zip(after.pop(name), before.pop(name), strict=True):
                np.testing.assert_array_equal(found, wanted)
        assert after == before
        assert model.evaluate(X, y, verbose=0) == evaluation

    def test_it_can_be_trained_further(self, iris, iris_model):
        model = keras.models.clone_model(iris_model)
        model.set_weights(iris_model.get_weights())
        AdversarialAEDetector(model, **QUICK).fit(iris[0])
        model.compile("sgd", "sparse_categorical_crossentropy")
        before = weights_of(model)[0]
        model.fit(*iris, epochs=1, verbose=0)
        assert not np.array_equal(weights_of(model)[0], before)


class TestRandomState:
    @pytest.mark.slow
    def test_an_int_gives_the_same_detector_and_leaves_the_global_states(self, iris, flowers):
        def draws():
            return np.random.rand(), float(tf.random.normal(())), float(keras.random.normal(()))

        def build(shape):
            return keras.Sequential(
                [keras.Input(shape), keras.layers.Dense(8), keras.layers.Dropout(0.2), keras.layers.Dense(*shape)]
            )

        detector = AdversarialAEDetector(flowers, autoencoder=build, epochs=2, random_state=5)
        keras.utils.set_random_seed(1)
        first = clone(detector).fit(iris[0]).score_samples(iris[0])
        after_fit = draws()
        keras.utils.set_random_seed(1)
        assert draws() == after_fit
        np.testing.assert_array_equal(clone(detector).fit(iris[0]).score_samples(iris[0]), first)
        other = clone(detector).set_params(random_state=6).fit(iris[0])
        assert not np.array_equal(other.score_samples(iris[0]), first)

    def test_none_differs(self, iris, flowers):
        unseeded = AdversarialAEDetector(flowers, **{**QUICK, "random_state": None})
        first, second = (clone(unseeded).fit(iris[0]) for _ in range(2))
        assert not np.array_equal(first.score_samples(iris[0]), second.score_samples(iris[0]))

    def test_scikeras_op_determinism_does_not_stop_it(self, iris, flowers):
        config.enable_op_determinism()
        try:
            perturbed = {**QUICK, "noise": 0.1, "virtual_adversarial": 0.3}
            AdversarialAEDetector(flowers, **perturbed, hidden_layers={0: 3}).fit(iris[0]).correct(iris[0])
        finally:
            config.disable_op_determinism()


def test_parameters_are_only_assigned(iris, flowers):
    detector = AdversarialAEDetector(flowers, **QUICK)
    before = detector.get_params()
    detector.fit(iris[0])
    assert detector.get_params() == before


def test_detects_and_repairs_an_attack(cancer, cancer_model):
    """The purpose of it all: a step along the sign of M's gradient, which the detector never saw."""
    X, y = cancer
    rows, labels = tf.constant(X, tf.float32), tf.constant(y[:, None], tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(rows)
        loss = keras.losses.binary_crossentropy(labels, cancer_model(rows))
    attacked = X + 0.5 * np.sign(tape.gradient(loss, rows))
    detector = AdversarialAEDetector(cancer_model, epochs=60, random_state=0).fit(X)
    found = detector.correct(attacked)
    undefended, corrected = np.mean(found.no_defense == y), np.mean(found.corrected == y)
    assert undefended < 0.5
    assert corrected > undefended + 0.2
    assert np.mean(detector.correct(X).corrected == y) > 0.9
