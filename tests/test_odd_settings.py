"""Odd and hostile parameters, classifiers and arguments, by table; tests/test_odd_input.py has the rows."""

import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skaae import CorrectedClassifier, FrozenKerasModel
from skaae.alibi import AdversarialAE
from tests.support.odd_settings import LABELS, ROWS, dense, detector, must_not_train

pytestmark = pytest.mark.filterwarnings("ignore:.* rows are too few to promise:UserWarning")

LARGEST = float(np.finfo(np.float32).max)
SMALLEST = float(np.finfo(np.float32).tiny)


def of_features(*layers):
    """A classifier whose logits are its four features, or what the layers make of them."""
    return keras.Sequential([keras.Input((4,)), *layers])


FAILS_IN_TRAINING = {"epochs": 1, "callbacks": [keras.callbacks.LambdaCallback(on_train_begin=must_not_train)]}


class TestBorders:
    @pytest.mark.parametrize(
        "parameters",
        [
            {"threshold_percentile": 100},
            {"threshold_percentile": np.nextafter(100, 0)},
            {"threshold_percentile": 1e-300},
            {"threshold": 0},
            {"threshold": float(np.finfo(np.float64).max)},
            {"calibration_fraction": 0},
            {"calibration_fraction": 1e-300},
            {"calibration_fraction": 0.96},
            {"epochs": 1, "temperature": SMALLEST},
            {"epochs": 1, "temperature": LARGEST},
            {"epochs": 1, "divergence_weight": 0},
            {"epochs": 1, "virtual_adversarial_shares": (1, 0)},
            {"epochs": 1, "virtual_adversarial_shares": [0.0, 1.0]},
            {"epochs": 1, "virtual_adversarial_shares": (0.5, np.float32(0.5))},
            {"epochs": 1, "virtual_adversarial_shares": (0, 0)},
            {"epochs": 1, "batch_size": 1},
            {"epochs": 1, "batch_size": 2**31 - 1},
            {"epochs": 1, "random_state": 2**32 - 1},
            {"hidden_layers": {0: 2}, "hidden_weights": [0]},
            {"hidden_layers": {-1: 50}, "hidden_weights": (np.float64(2.0),)},
        ],
        ids=str,
    )
    def test_at(self, parameters):
        model = detector(**parameters).fit(ROWS)
        score = model.adversarial_score(ROWS)
        assert np.isfinite([model.threshold_, *score]).all()
        assert (score >= 0).all()

    @pytest.mark.parametrize(
        ("parameters", "error", "message"),
        [
            ({"threshold": np.inf}, ValueError, "'threshold' parameter.*Got inf"),
            ({"threshold_percentile": np.nextafter(100, 101)}, ValueError, "'threshold_percentile' parameter"),
            ({"temperature": SMALLEST / 2}, ValueError, "'temperature' parameter.*Got 5.8"),
            ({"temperature": np.inf}, ValueError, "'temperature' parameter.*Got inf"),
            ({"noise": LARGEST * 2}, ValueError, "'noise' parameter.*Got 6.8"),
            ({"noise": np.nan}, ValueError, "'noise' parameter.*Got nan"),
            ({"virtual_adversarial": 1e39}, ValueError, "'virtual_adversarial' parameter"),
            ({"divergence_weight": 1e300}, ValueError, "'divergence_weight' parameter"),
            ({"reconstruction_weight": np.inf}, ValueError, "'reconstruction_weight' parameter"),
            ({"learning_rate": 1e300}, ValueError, "'learning_rate' parameter"),
            ({"batch_size": 2**31}, ValueError, "'batch_size' parameter.*Got 2147483648"),
            ({"random_state": 2**32}, ValueError, "'random_state' parameter"),
            pytest.param({"random_state": np.random.default_rng()}, ValueError, "'random_state'", id="generator"),
            ({"virtual_adversarial_shares": (0.5, 0.6)}, ValueError, r"virtual_adversarial_shares .* got \(0.5, 0.6\)"),
            ({"virtual_adversarial_shares": (0.6, np.nan)}, ValueError, "virtual_adversarial_shares must be two"),
            ({"virtual_adversarial_shares": ([1], [2, 3])}, ValueError, "virtual_adversarial_shares must be two"),
            ({"virtual_adversarial_shares": (True, 0.0)}, ValueError, "virtual_adversarial_shares must be two"),
            ({"virtual_adversarial_shares": (0.5,)}, ValueError, "virtual_adversarial_shares must be two"),
            ({"virtual_adversarial_shares": (-0.1, 0.5)}, ValueError, "virtual_adversarial_shares must be two"),
            ({"hidden_layers": {0: 3}, "hidden_weights": [1e39]}, ValueError, "hidden_weights must be 1 numbers"),
            ({"hidden_layers": {0: 3}, "hidden_weights": ["a"]}, ValueError, "hidden_weights must be 1 numbers"),
            ({"hidden_layers": {0: 3}, "hidden_weights": [-1]}, ValueError, "hidden_weights must be 1 numbers"),
            ({"hidden_weights": [1.0]}, ValueError, "hidden_weights must be 0 numbers"),
            ({"callbacks": [3]}, TypeError, r"callbacks\[0\] must be a keras.callbacks.Callback, got 3"),
            ({"callbacks": [keras.callbacks.History]}, TypeError, r"callbacks\[0\] must be .* got <class"),
            ({"metrics": ["categorical_accuracy", "no"]}, ValueError, r"metrics\[1\]='no' is not the name of a Keras"),
            ({"metrics": [3]}, TypeError, r"metrics\[0\] must be a str or a keras.metrics.Metric, got 3"),
        ],
        ids=str,
    )
    def test_beyond(self, parameters, error, message):
        model = detector(**{"epochs": 1, "preprocess": must_not_train, **parameters})
        before = vars(model).copy()
        with pytest.raises(error, match=message):
            model.fit(ROWS)
        assert vars(model) == before

    @pytest.mark.parametrize(
        ("parameters", "error", "message"),
        [
            ({"callbacks": [3]}, TypeError, r"callbacks\[0\] must be"),
            ({"optimizer": "no"}, ValueError, "optimizer='no' is not the name"),
            ({"autoencoder": None, "encoder": dense(2, seed=1)}, ValueError, "encoder was passed without decoder"),
            (
                {"autoencoder": keras.Sequential([keras.Input((3,)), keras.layers.ReLU()])},
                ValueError,
                r"autoencoder expects .* shape \(3,\)",
            ),
        ],
        ids=str,
    )
    def test_the_corrected_classifier_asks_before_it_trains(self, parameters, error, message):
        class MustNotBeTrained(LogisticRegression):
            fit = must_not_train

        with pytest.raises(error, match=message):
            CorrectedClassifier(detector(MustNotBeTrained(), **parameters)).fit(ROWS, LABELS)

    def test_metrics_by_their_short_names(self):
        assert "accuracy" in detector(metrics=["accuracy", "acc"], epochs=1).fit(ROWS).history_

    def test_a_percentile_next_to_nothing_takes_the_smallest_score(self):
        model = detector(calibration_fraction=0).fit(ROWS)
        assert model.infer_threshold(ROWS, 1e-9).threshold_ == model.adversarial_score(ROWS).min()

    def test_a_threshold_of_nothing_flags_all_that_score(self):
        model = detector(threshold=0).fit(ROWS)
        np.testing.assert_array_equal(model.predict(ROWS) == -1, model.adversarial_score(ROWS) > 0)


scale, activation = keras.layers.Rescaling, keras.layers.Activation
CLASSIFIERS = {
    "probabilities of exactly 0 and 1": lambda: of_features(scale(1e4), activation("softmax")),
    "logits of 1e4": lambda: FrozenKerasModel(of_features(scale(1e4)), from_logits=True),
    "logits of 1e30": lambda: FrozenKerasModel(of_features(scale(1e30)), from_logits=True),
    "one certain unit": lambda: of_features(keras.layers.Dense(1), scale(1e30), activation("sigmoid")),
    "one unit": lambda: dense(1, seed=1, activation="sigmoid"),
    "one logit": lambda: FrozenKerasModel(dense(1, seed=1), classes=[False, True], from_logits=True),
    "no preference": lambda: of_features(scale(0.0), activation("softmax")),
    "always the first class": lambda: of_features(scale(0.0, offset=[9, 0, 0, 0]), activation("softmax")),
    "1,000 classes": lambda: dense(1000, seed=1, activation="softmax"),
    "names": lambda: FrozenKerasModel(dense(3, 1, "softmax"), classes=["cat", "dog", "ox"]),
    "names of a Categorical": lambda: FrozenKerasModel(dense(2, 1, "softmax"), classes=pd.Categorical(["b", "a"])),
    "negative labels": lambda: FrozenKerasModel(dense(3, 1, "softmax"), classes=[-1, -7, 2**60]),
    "dates as labels": lambda: FrozenKerasModel(dense(2, 1, "softmax"), classes=np.array([1, 2], "M8[D]")),
    "float16": lambda: FrozenKerasModel(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, dtype="mixed_float16")]), from_logits=True
    ),
}


LABELS_ALONE = {"names", "names of a Categorical", "negative labels", "dates as labels"}


class TestClassifiers:
    @pytest.mark.parametrize("kind", CLASSIFIERS)
    def test_odd_ones(self, kind):
        model = detector(CLASSIFIERS[kind](), epochs=int(kind not in LABELS_ALONE)).fit(ROWS)
        found = model.correct(ROWS)
        assert np.isfinite(found.instance_score).all()
        assert (found.instance_score >= 0).all()
        np.testing.assert_array_equal(found.is_adversarial, found.instance_score > model.threshold_)
        np.testing.assert_array_equal(found.corrected, np.where(found.is_adversarial, found.defense, found.no_defense))
        assert np.isin(found.corrected, model.classes_).all()
        probabilities = model.classifier_.predict_proba(ROWS)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        np.testing.assert_array_equal(model.classes_[probabilities.argmax(axis=1)], found.no_defense)
        changed = found.defense != found.no_defense
        assert (found.instance_score[changed] >= 1000).all()
        assert (found.instance_score[~changed] <= 1000).all()

    def test_one_without_a_gradient_that_knows_one_answer_only(self):
        classifier = DummyClassifier(strategy="constant", constant=1).fit(ROWS, LABELS)
        answer = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3), scale(0.0, offset=[0.0, 9.0, 0.0])])
        surrogate = FrozenKerasModel(answer, from_logits=True)
        model = detector(classifier, surrogate=surrogate, calibration_fraction=0).fit(ROWS)
        assert model.surrogate_agreement_ == 1
        assert (model.adversarial_score(ROWS) == 0).all()
        assert (model.predict(ROWS) == 1).all()

    @pytest.mark.parametrize("classifier", [DummyClassifier(), RandomForestClassifier(2)], ids=str)
    def test_of_a_single_class(self, classifier):
        name = type(classifier).__name__
        with pytest.raises(ValueError, match=rf"at least two classes, but {name} has a single class, \[.*0.*\]"):
            detector(classifier.fit(ROWS, LABELS * 0), preprocess=must_not_train).fit(ROWS)

    @pytest.mark.parametrize(
        "classes",
        [[1, 2], [1, 1, 2], [1, 2, 3, 4], [["a", "b", "c"]], [1.0, 2.0, np.nan], [None, "a", "b"], "abc", 3, {"a": 1}],
        ids=str,
    )
    def test_labels_that_are_none(self, classes):
        with pytest.raises(
            ValueError, match="classes must be 3 different labels, one for each output of the model, got"
        ):
            detector(FrozenKerasModel(dense(3, seed=1, activation="softmax"), classes=classes)).fit(ROWS)

    def test_weights_that_are_nan(self):
        model = of_features(scale(np.nan), activation("softmax"))
        with pytest.raises(ValueError, match="classifier must return finite predictions"):
            detector(model, **FAILS_IN_TRAINING).fit(ROWS)

    def test_infinite_logits_behind_finite_probabilities(self):
        model = of_features(scale([-1e38, 1, 1, 1]), scale([1e3, 1, 1, 1]), activation("softmax"))
        X = np.abs(ROWS)
        assert np.isfinite(FrozenKerasModel(model).predict_proba(X)).all()
        with pytest.raises(ValueError, match="classifier must return finite predictions"):
            detector(model, **FAILS_IN_TRAINING).fit(X)


@pytest.fixture(scope="module")
def ad():
    """Each test leaves it with a threshold, whichever."""
    ad = AdversarialAE(ae=dense(4, seed=2), model=dense(3, seed=1, activation="softmax"))
    ad.infer_threshold(ROWS, threshold_perc=50)
    return ad


class TestFacade:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"margin": np.nan}, "margin must be a finite number, got nan"),
            ({"margin": np.inf}, "margin must be a finite number, got inf"),
            ({"margin": None}, "margin must be a finite number, got None"),
            ({"margin": -1e9}, r"margin=-1000000000.0 makes it -1e\+09"),
            ({"threshold_perc": 0}, "threshold_perc must be"),
            ({"threshold_perc": np.nan}, "threshold_perc must be"),
            ({"threshold_perc": 100.1}, "threshold_perc must be"),
            ({"batch_size": 0}, "batch_size must be"),
        ],
    )
    def test_the_threshold_is_left_as_it_was(self, ad, arguments, message):
        before = ad.threshold, ad.detector_.threshold_
        with pytest.raises(ValueError, match=message):
            ad.infer_threshold(ROWS * 3, **arguments)
        assert (ad.threshold, ad.detector_.threshold_) == before

    def test_borders(self, ad):
        scores = ad.score(ROWS)
        ad.infer_threshold(ROWS, threshold_perc=1e-9, margin=0.25)
        assert ad.threshold == ad.detector_.threshold_ == scores.min() + 0.25
        ad.infer_threshold(ROWS, threshold_perc=100)
        assert ad.threshold == scores.max()

    @pytest.mark.parametrize("threshold", [np.inf, np.nan, -1e-9, "1", True])
    def test_thresholds(self, ad, threshold):
        before = ad.threshold
        with pytest.raises(ValueError, match="threshold must be a finite number of at least 0, or None, got"):
            ad.threshold = threshold
        assert ad.threshold == ad.detector_.threshold_ == before

    @pytest.mark.parametrize("log_metric", ["accuracy", ("accuracy", 3), 3, (3, keras.metrics.MeanSquaredError())])
    def test_log_metric(self, ad, log_metric):
        behind = ad.detector_
        with pytest.raises(TypeError, match=r"log_metric must be a tuple \(name, keras.metrics.Metric\) or None, got"):
            ad.fit(ROWS, log_metric=log_metric)
        assert ad.detector_ is behind
