"""What holds for any rows, labels and parameters, by Hypothesis; test_properties_of_functions.py has the functions.

The examples are the same in every run. To look for others, 2,500 for each property::

    pytest --hypothesis-profile=thorough tests/test_properties*.py

The profiles are in tests/conftest.py. One detector of each kind scores all examples; where fitting itself is the
subject, the examples are a hundredth as many, of which few train.

A property of "either this or that" would hold if one of them never came: such tests note what came, and ask for both.
"""

import math
import warnings
from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.ensemble import RandomForestClassifier

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae._parameters import check_parameters
from skaae._scoring.threshold import conformal_threshold
from skaae.alibi import AdversarialAE
from skaae.metrics import corrected_accuracy, defense_report

pytestmark = pytest.mark.filterwarnings("ignore:.* rows are too few to promise:UserWarning")

N_FEATURES = 4
N_CLASSES = 3
ROWS = np.random.default_rng(0).normal(size=(60, N_FEATURES))
LABELS = np.argmax(ROWS[:, :N_CLASSES], axis=1)
METHODS = ["adversarial_score", "decision_function", "predict", "transform", "correct", "reconstruct"]


def hundredth():
    """For properties that fit: each example takes half a second."""
    return settings(max_examples=max(4, settings.default.max_examples // 100))


def dense(n_features, n_units, seed, activation="linear"):
    layer = keras.layers.Dense(n_units, activation, kernel_initializer=keras.initializers.GlorotNormal(seed))
    return keras.Sequential([keras.Input((n_features,)), layer])


def make_detector(classifier=None, n_features=N_FEATURES, **parameters):
    classifier = dense(n_features, N_CLASSES, 1, "softmax") if classifier is None else classifier
    quick = {"autoencoder": dense(n_features, n_features, 2), "virtual_adversarial_steps": 1, "random_state": 0}
    return AdversarialAEDetector(classifier, **{**quick, "epochs": 1, **parameters})


def keras_detector():
    return make_detector(FrozenKerasModel(dense(N_FEATURES, N_CLASSES, 1, "softmax"), classes=["a", "b", "c"])).fit(
        ROWS
    )


def forest_detector():
    forest = RandomForestClassifier(3, random_state=0).fit(ROWS, LABELS)
    surrogate = FrozenKerasModel(
        keras.Sequential([keras.Input((N_FEATURES,)), keras.layers.Dense(N_CLASSES, "softmax")])
    )
    with warnings.catch_warnings(action="ignore", category=UserWarning):
        return make_detector(forest, surrogate=surrogate, epochs=0, threshold_percentile=50).fit(ROWS)


def hidden_detector():
    parameters = {"hidden_layers": {0: 3}, "temperature": 0.3, "label_change_first": False}
    return make_detector(threshold_percentile=50, **parameters).fit(ROWS)


@pytest.fixture(
    scope="module", params=[keras_detector, forest_detector, hidden_detector], ids=lambda make: make.__name__
)
def detector(request):
    return request.param()


@pytest.fixture(scope="module")
def corrected():
    return CorrectedClassifier(make_detector(FrozenKerasModel(dense(N_FEATURES, N_CLASSES, 1, "softmax")))).fit(
        ROWS, LABELS
    )


# Single precision, so that the number is the same in every float dtype; no network overflows below 1e30.
numbers = st.one_of(
    st.floats(-4, 4, width=16),
    st.floats(-(2.0**99), 2.0**99, width=32),
    st.sampled_from([0.0, -0.0, 1e-45, -1.1754943508222875e-38, 2.0**-149, 2.0**99]),
)


def rows_of(n_features, elements=numbers, min_rows=1, max_rows=12):
    shape = st.tuples(st.integers(min_rows, max_rows), st.just(n_features))
    return arrays.arrays(np.float64, shape, elements=elements, fill=st.nothing())


rows = rows_of(N_FEATURES)
percentiles = st.floats(0, 100, exclude_min=True)


class TestScores:
    @given(X=rows)
    def test_are_finite_and_not_negative(self, detector, X):
        score = detector.adversarial_score(X)
        assert score.shape == (len(X),)
        assert score.dtype == np.float64
        assert np.isfinite(score).all()
        assert (score >= 0).all()

    @given(X=rows)
    def test_all_decisions_are_the_same(self, detector, X):
        score, decision = detector.adversarial_score(X), detector.decision_function(X)
        labels = np.searchsorted(detector.classes_, detector.correct(X).no_defense)
        adversarial = score > detector.class_thresholds_[labels]
        np.testing.assert_array_equal(decision < 0, adversarial)
        np.testing.assert_array_equal(detector.predict(X), np.where(adversarial, -1, 1))

    def test_transform_changes_the_flagged_rows_alone(self, detector):
        seen = set()

        @given(X=rows)
        def holds(X):
            given_rows = X.copy()
            transformed = detector.transform(X)
            flagged = detector.predict(X) == -1
            assert X.tobytes() == given_rows.tobytes()
            assert transformed[~flagged].tobytes() == X[~flagged].tobytes()
            np.testing.assert_array_equal(transformed[flagged], detector.reconstruct(X)[flagged])
            seen.update(flagged.tolist())

        holds()
        assert seen == {True, False}

    @given(X=rows)
    def test_correct_says_the_same_as_all_others(self, detector, X):
        found, classifier = detector.correct(X), detector.classifier_
        np.testing.assert_array_equal(found.is_adversarial, detector.predict(X) == -1)
        np.testing.assert_array_equal(found.instance_score, detector.adversarial_score(X))
        wanted = classifier.classes_[classifier.predict_logits(X).argmax(axis=1)]
        np.testing.assert_array_equal(found.no_defense, wanted)
        repaired = detector.reconstruct(X).astype(np.float64)
        np.testing.assert_array_equal(
            found.defense, classifier.classes_[classifier.predict_logits(repaired).argmax(axis=1)]
        )
        repaired = detector.transform(X)
        np.testing.assert_array_equal(
            found.corrected, classifier.classes_[classifier.predict_logits(repaired).argmax(axis=1)]
        )

    @given(X=rows, data=st.data())
    def test_do_not_depend_on_the_other_rows(self, detector, X, data):
        """Any rows, in any order and number, score as they do among all."""
        chosen = np.array(data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=120)))
        np.testing.assert_array_equal(detector.adversarial_score(X[chosen]), detector.adversarial_score(X)[chosen])

    @given(X=rows, data=st.data())
    def test_do_not_depend_on_layout_and_dtype(self, detector, X, data):
        larger = np.repeat(np.repeat(X, 2, axis=0), 3, axis=1)
        ways = {
            "F order": np.asfortranarray(X),
            "strides": larger[::2, ::3],
            "negative strides": np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
            **{dtype: X.astype(dtype) for dtype in ("f4", ">f4", ">f8", "g", object)},
            "lists": X.tolist(),
            "tensor": tf.constant(X, tf.float32),
            "masked": np.ma.masked_array(X),
        }
        way = data.draw(st.sampled_from(sorted(ways, key=str)))
        np.testing.assert_array_equal(detector.adversarial_score(ways[way]), detector.adversarial_score(X))

    @given(
        data=st.data(),
        dtype=st.one_of(arrays.integer_dtypes(), arrays.unsigned_integer_dtypes(), st.just(np.dtype(bool))),
    )
    def test_of_integers_are_those_of_the_nearest_floats(self, detector, data, dtype):
        X = data.draw(arrays.arrays(dtype, st.tuples(st.integers(1, 5), st.just(N_FEATURES))))
        np.testing.assert_array_equal(detector.adversarial_score(X), detector.adversarial_score(X.astype(np.float64)))

    @given(X=rows, first=percentiles, second=percentiles)
    def test_threshold_rises_with_the_percentage(self, detector, X, first, second):
        before, scores = detector._thresholds, detector.adversarial_score(X)
        try:
            detector.class_thresholds = False
            low, high = (detector.infer_threshold(X, p).threshold_ for p in sorted([first, second]))
            assert detector.offset_ == -high
        finally:
            detector.class_thresholds, detector._thresholds = True, before
        assert low <= high
        assert {low, high} <= set(scores)

    @pytest.mark.parametrize("detector", [keras_detector, forest_detector], indirect=True)
    def test_label_changes_come_first(self, detector):
        seen = set()

        @given(X=rows)
        def holds(X):
            found = detector.correct(X)
            changed = found.no_defense != found.defense
            assert (found.instance_score[changed] >= 1000).all()
            assert (found.instance_score[~changed] <= 1000).all()
            seen.update(changed.tolist())

        holds()
        assert seen == {True, False}


anything = st.one_of(
    arrays.arrays(
        st.one_of(arrays.scalar_dtypes(), arrays.array_dtypes(), st.just(np.dtype(object))),
        arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5),
    ),
    arrays.arrays(arrays.floating_dtypes(), st.tuples(st.integers(0, 5), st.just(N_FEATURES))),
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=3), st.binary(max_size=3)),
        lambda inner: (
            st.lists(inner, max_size=5) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner)
        ),
    ),
    st.lists(st.lists(st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=2)), min_size=4, max_size=4)),
)


class TestAnything:
    """Whatever comes as X: finite scores, or a ValueError or TypeError, and nothing is changed."""

    def test_is_scored_or_refused(self, detector):
        before = {name: value for name, value in vars(detector).items() if name not in ("_thresholds", "_calibration")}
        thresholds, seen = detector._thresholds, set()

        @given(X=anything, method=st.sampled_from([*METHODS, "infer_threshold", "score_samples"]))
        def holds(X, method):
            try:
                found = getattr(detector, method)(X)
            except (ValueError, TypeError) as error:
                assert str(error)  # noqa: PT017
                assert detector._thresholds is thresholds
                seen.add("refused")
            else:
                self.check(detector, found, np.asarray(X), method)
                seen.add("scored")
            detector._thresholds = thresholds
            assert {name: vars(detector)[name] for name in before} == before

        holds()
        assert seen == {"scored", "refused"}

    def check(self, detector, found, X, method):
        assert X.shape[1:] == (N_FEATURES,), "only rows of four numbers are accepted"
        if method == "infer_threshold":
            assert found is detector
            assert np.isfinite(detector.threshold_)
        elif method == "correct":
            assert np.isfinite(found.instance_score).all()
        else:
            assert len(found) == len(X)
            assert np.isfinite(found).all()

    def test_is_classified_or_refused(self):
        seen = set()

        @given(X=anything)
        def holds(X):
            model = FrozenKerasModel(CLASSIFIER)
            try:
                probabilities = model.predict_proba(X)
            except (ValueError, TypeError) as error:
                assert str(error)  # noqa: PT017
                seen.add("refused")
            else:
                assert probabilities.shape == (len(np.asarray(X)), N_CLASSES)
                np.testing.assert_allclose(probabilities.sum(axis=1), 1)
                seen.add("classified")

        holds()
        assert seen == {"classified", "refused"}

    @pytest.mark.slow
    def test_fit_takes_it_or_leaves_the_estimator_as_it_was(self):
        seen = set()

        def fit_or_leave(estimator, X, *y):
            before, name = vars(estimator).copy(), type(estimator).__name__
            try:
                with warnings.catch_warnings(action="ignore", category=UserWarning):
                    estimator.fit(X, *y)
            except (ValueError, TypeError):
                assert vars(estimator) == before
                seen.add((name, "left as it was"))
            else:
                assert np.asarray(X).shape[1:] == (N_FEATURES,)
                assert len(np.asarray(X)) >= 2
                seen.add((name, "fitted"))

        @given(X=anything, y=anything)
        @example(X=ROWS, y=LABELS)
        @settings(suppress_health_check=list(HealthCheck))
        def holds(X, y):
            fit_or_leave(make_detector(CLASSIFIER, epochs=0, autoencoder=AUTOENCODER), X)
            fit_or_leave(CorrectedClassifier(make_detector(CLASSIFIER, epochs=0, autoencoder=AUTOENCODER)), X, y)

        holds()
        names, ends = ("AdversarialAEDetector", "CorrectedClassifier"), ("fitted", "left as it was")
        assert seen == set(product(names, ends))


CLASSIFIER = dense(N_FEATURES, N_CLASSES, 1, "softmax")
AUTOENCODER = dense(N_FEATURES, N_FEATURES, 2)


class TestCorrectedClassifier:
    @given(X=rows)
    def test_predicts_the_corrected_labels_and_probabilities(self, corrected, X):
        found, probabilities = corrected.detector_.correct(X), corrected.predict_proba(X)
        np.testing.assert_array_equal(corrected.predict(X), found.corrected)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)
        assert (probabilities >= 0).all()
        best = probabilities[np.arange(len(X)), np.searchsorted(corrected.classes_, found.corrected)]
        np.testing.assert_allclose(best, probabilities.max(axis=1))

    @given(X=rows, y=st.data())
    def test_accuracy_is_that_of_the_predictions(self, corrected, X, y):
        y = np.array(y.draw(st.lists(st.integers(0, N_CLASSES - 1), min_size=len(X), max_size=len(X))))
        accuracy = corrected_accuracy(corrected, X, y)
        assert accuracy == corrected.score(X, y) == np.mean(corrected.predict(X) == y)
        report = defense_report(corrected, X, y, {"moved": X[::-1]})
        assert report.loc["clean", "accuracy"] == accuracy
        shares = report.to_numpy()
        assert ((shares >= 0) & (shares <= 1) | np.isnan(shares)).all()
        assert not report.drop(columns=["detection_auc", "detection_rate"]).isna().any(axis=None)


class TestFrozenKerasModel:
    @given(X=rows, temperature=st.floats(-(2.0**20), 2.0**20, width=32), from_logits=st.booleans())
    @hundredth()
    def test_probabilities_whatever_the_logits(self, X, temperature, from_logits):
        activation = keras.layers.Activation("linear" if from_logits else "softmax")
        model = keras.Sequential([keras.Input((N_FEATURES,)), keras.layers.Rescaling(temperature), activation])
        probabilities = FrozenKerasModel(model, from_logits=from_logits).predict_proba(X)
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@pytest.fixture(scope="module")
def facade():
    ad = AdversarialAE(ae=dense(N_FEATURES, N_FEATURES, 2), model=dense(N_FEATURES, N_CLASSES, 1, "softmax"))
    ad.infer_threshold(ROWS)
    return ad


class TestFacade:
    def test_threshold_is_the_percentile_with_its_margin_or_as_before(self, facade):
        seen = set()

        @given(X=rows, percentage=percentiles, margin=st.one_of(st.floats(), st.integers(-(2**70), 2**70)))
        @example(X=ROWS, percentage=95.0, margin=-(2**70))
        @example(X=ROWS, percentage=95.0, margin=np.nan)
        def holds(X, percentage, margin):
            before, inferred = facade.threshold, conformal_threshold(facade.score(X), percentage)
            try:
                facade.infer_threshold(X, percentage, margin)
            except ValueError as error:
                assert "margin" in str(error)  # noqa: PT017
                assert not (math.isfinite(margin) and inferred + margin >= 0)
                assert facade.threshold == facade.detector_.threshold_ == before
                seen.add("as before")
            else:
                assert facade.threshold == facade.detector_.threshold_ == inferred + margin
                data = facade.predict(X)["data"]
                np.testing.assert_array_equal(data["is_adversarial"], data["instance_score"] > facade.threshold)
                seen.add("inferred")

        holds()
        assert seen == {"inferred", "as before"}


PARAMETERS = sorted(set(AdversarialAEDetector._parameter_constraints) - {"classifier"})
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=5),
    st.lists(st.one_of(st.integers(), st.floats(), st.text(max_size=2), st.none()), max_size=3),
    st.tuples(st.floats(), st.floats()),
    st.dictionaries(st.integers(0, 3), st.integers(), max_size=2),
    st.builds(object),
    st.sampled_from([np.float32(0.5), np.int64(3), np.bool_(True), np.array([1.0]), int, np.nan, -0.0]),
)


class TestParameters:
    def test_all_are_checked(self):
        assert {"classifier", *PARAMETERS} == set(AdversarialAEDetector().get_params())

    @pytest.mark.parametrize("name", PARAMETERS)
    @pytest.mark.parametrize("value", [object(), 1j, b"no"], ids=lambda value: type(value).__name__)
    def test_what_none_of_them_takes_is_refused_by_name(self, name, value):
        model = AdversarialAEDetector(CLASSIFIER, **{name: value})
        with pytest.raises((ValueError, TypeError), match=name):
            check_parameters(model)

    def test_are_taken_or_refused_by_name(self):
        seen = set()

        @given(name=st.sampled_from(PARAMETERS), value=values)
        def holds(name, value):
            model = AdversarialAEDetector(CLASSIFIER, **{name: value})
            try:
                check_parameters(model)
            except (ValueError, TypeError) as error:
                assert name in str(error)  # noqa: PT017
                seen.add("refused")
            else:
                seen.add("taken")

        holds()
        assert seen == {"taken", "refused"}

    @given(
        X=st.integers(1, 6).flatmap(lambda n: rows_of(n, min_rows=2, max_rows=20)),
        fraction=st.floats(0, 0.99),
        percentile=percentiles,
        temperature=st.floats(2.0**-60, 2.0**60),
        epochs=st.integers(0, 1),
        seed=st.integers(0, 2**32 - 1),
        batch_size=st.integers(1, 2**31 - 1),
    )
    @hundredth()
    def test_any_fit_ends_in_a_finite_threshold_or_as_it_was(
        self, X, fraction, percentile, temperature, epochs, seed, batch_size
    ):
        model = make_detector(
            n_features=X.shape[1],
            calibration_fraction=fraction,
            threshold_percentile=percentile,
            temperature=temperature,
            epochs=epochs,
            random_state=seed,
            batch_size=batch_size,
        )
        before = vars(model).copy()
        try:
            model.fit(X)
        except ValueError as error:
            assert "calibration_fraction" in str(error) or "diverged" in str(error)  # noqa: PT017
            assert vars(model) == before
        else:
            score = model.adversarial_score(X)
            assert np.isfinite([model.threshold_, *score]).all()
            labels = np.searchsorted(model.classes_, model.correct(X).no_defense)
            np.testing.assert_array_equal(model.predict(X) == -1, score > model.class_thresholds_[labels])
