"""Odd and hostile input, by table: the result is right and finite, or an error that says so before training starts.

Every way of writing the same numbers has to give the very same scores; everything else has to be refused by name.
"""

import warnings

import keras
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
import tensorflow as tf
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae._data.samples import as_samples, check_float32_range
from skaae.alibi import AdversarialAE
from skaae.metrics import defense_report, detection_auc
from tests.support.odd_rows import LARGEST, N_FEATURES, NAMES, ROWS, dense, detector

pytestmark = pytest.mark.filterwarnings("ignore:.* rows are too few to promise:UserWarning")

WHOLE = np.abs(np.round(ROWS))
HUGE = np.where(ROWS > 0, 1.0, -1.0)


def scaling(scale, activation="linear"):
    """A classifier whose logits are its features, scaled."""
    layers = keras.layers.Rescaling(scale), keras.layers.Activation(activation)
    return keras.Sequential([keras.Input((N_FEATURES,)), *layers])


def must_not_train(batch):
    pytest.fail("training began")


@pytest.fixture(scope="module")
def fitted():
    return detector().fit(ROWS)


@pytest.fixture(scope="module")
def consumers(fitted):
    """What takes rows, each as a function of X."""
    frozen = FrozenEstimator(LogisticRegression().fit(ROWS, np.arange(30) % 3))
    facade = AdversarialAE(ae=dense(N_FEATURES, N_FEATURES, seed=2), model=fitted.classifier, threshold=0.5)
    facade.score(ROWS)
    return {
        "detector": fitted.adversarial_score,
        "classifier": FrozenKerasModel(fitted.classifier).predict_proba,
        "corrected": CorrectedClassifier(detector(frozen)).fit(ROWS, np.arange(30) % 3).predict_proba,
        "facade": facade.score,
    }


def memory_map(X, path):
    mapped = np.memmap(path, X.dtype, "w+", shape=X.shape)
    mapped[:] = X
    return mapped


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def strided(X):
    """Every second row and third column of a larger array."""
    larger = np.full((2 * len(X), 3 * X.shape[1]), np.nan)
    larger[::2, ::3] = X
    return larger[::2, ::3]


SAME_NUMBERS = {
    **{dtype: lambda X, dtype=dtype: X.astype(dtype) for dtype in ("f2", "f4", "f8", "g", ">f2", ">f4", ">f8", "<f8")},
    **{f"text {dtype}": lambda X, dtype=dtype: X.astype(dtype) for dtype in ("U", "S", object)},
    "objects of text": lambda X: X.astype(str).astype(object),
    "objects of NumPy": lambda X: np.array([[np.float32(v) for v in row] for row in X], dtype=object),
    "F order": np.asfortranarray,
    "strides": strided,
    "negative strides": lambda X: np.ascontiguousarray(X[::-1, ::-1])[::-1, ::-1],
    "read only": read_only,
    "nothing masked": lambda X: np.ma.masked_array(X, mask=np.zeros(X.shape, bool)),
    "tensor": tf.constant,
    "lists": lambda X: X.tolist(),
    "tuples": lambda X: tuple(map(tuple, X.tolist())),
    "list of arrays": list,
    "frame": pd.DataFrame,
    "frame of objects": lambda X: pd.DataFrame(X).astype(object),
    "frame of text": lambda X: pd.DataFrame(X.astype(str)).astype("string"),
    "frame of categories": lambda X: pd.DataFrame(X).astype("category"),
    "Float32": lambda X: pd.DataFrame(X).astype("Float32"),
    "Float64": lambda X: pd.DataFrame(X).astype("Float64"),
    "Arrow": lambda X: pd.DataFrame(X).astype("double[pyarrow]"),
    "Arrow text": lambda X: pd.DataFrame(X.astype(str)).astype("string[pyarrow]"),
    "mixed frame": lambda X: pd.DataFrame(X).astype({0: "float32", 1: "Float64", 2: object}),
    "unsorted, doubled index": lambda X: pd.DataFrame(X, index=np.arange(len(X))[::-1] // 2),
    "levels of columns": lambda X: pd.DataFrame(X, columns=pd.MultiIndex.from_product([["a", "b"], ["c", "d"]])),
}
SAME_WHOLE_NUMBERS = {
    **{dtype: lambda X, dtype=dtype: X.astype(dtype) for dtype in ("i1", "i2", "i4", "i8", "u1", "u2", "u8", ">i4")},
    "objects": lambda X: X.astype(int).astype(object),
    "Int64": lambda X: pd.DataFrame(X).astype("Int64"),
    "UInt8": lambda X: pd.DataFrame(X).astype("UInt8"),
    "Arrow": lambda X: pd.DataFrame(X).astype("int64[pyarrow]"),
}
BOOLEANS = {
    "bool": lambda X: X,
    "objects": lambda X: X.astype(object),
    "frame": pd.DataFrame,
    "boolean": lambda X: pd.DataFrame(X).astype("boolean"),
}


def assert_the_same(consumers, X, wanted_for):
    """Whoever takes X gives the very results of the plain floats."""
    assert len(consumers) == 4
    for who, consumer in consumers.items():
        found = consumer(X)
        np.testing.assert_array_equal(found, consumer(wanted_for)[: len(found)], err_msg=who)
        assert np.isfinite(found).all(), who


class TestTheSameNumbers:
    @pytest.mark.parametrize("way", SAME_NUMBERS)
    def test_floats(self, consumers, way):
        assert_the_same(consumers, SAME_NUMBERS[way](ROWS), ROWS)

    @pytest.mark.parametrize("way", SAME_WHOLE_NUMBERS)
    def test_integers(self, consumers, way):
        assert_the_same(consumers, SAME_WHOLE_NUMBERS[way](WHOLE), WHOLE)

    @pytest.mark.parametrize("way", BOOLEANS)
    def test_booleans(self, consumers, way):
        assert_the_same(consumers, BOOLEANS[way](ROWS > 0), (ROWS > 0) * 1.0)

    def test_memory_map(self, consumers, tmp_path):
        assert_the_same(consumers, memory_map(ROWS, tmp_path / "rows"), ROWS)

    @pytest.mark.parametrize("value", [2**53 + 1, 2**63 - 1, 2**64 - 1, 10**30])
    def test_integers_that_no_float_holds(self, consumers, value):
        """Beyond 2**53 they are rounded, as by NumPy."""
        assert_the_same(consumers, np.full((2, N_FEATURES), value), np.full((2, N_FEATURES), float(value)))

    @pytest.mark.parametrize("value", [0.0, -0.0, 1e-45, 1e-320, 1e30, -1e30])
    def test_small_and_huge(self, consumers, value):
        X = np.full((2, N_FEATURES), value)
        assert_the_same(consumers, X, X)

    @pytest.mark.parametrize("n_rows", [1, 2, 3])
    def test_few_rows(self, consumers, n_rows):
        assert all(len(consumer(ROWS[:n_rows])) == n_rows for consumer in consumers.values())
        assert_the_same(consumers, ROWS[:n_rows], ROWS)


def with_value(value):
    X = ROWS.copy()
    X[3, 1] = value
    return X


def matrix(X):
    with warnings.catch_warnings(action="ignore", category=PendingDeprecationWarning):
        return np.asmatrix(X)


def times(kind):
    return pd.DataFrame({name: kind(np.arange(1, 4)) for name in NAMES})


REFUSED = {
    "NaN": (with_value(np.nan), ValueError, "Input X contains NaN"),
    "infinity": (with_value(np.inf), ValueError, "Input X contains infinity"),
    "both infinities": (HUGE * np.inf, ValueError, "Input X contains infinity"),
    "float32 infinity": (with_value(-np.inf).astype("f4"), ValueError, "Input X contains infinity"),
    "beyond float32": (with_value(1e39), ValueError, "X contains values beyond 3.4e.38"),
    "just beyond float32": (with_value(-LARGEST * 1.0000001), ValueError, "X contains values beyond 3.4e.38"),
    "beyond float64": (with_value(0) + np.longdouble("1e400"), ValueError, "Input X contains infinity"),
    "an int beyond float64": ([[10**400] * N_FEATURES] * 2, ValueError, "X cannot be read .* int too large"),
    "complex": (
        ROWS + 0j,
        ValueError,
        "Complex data not supported: .* got the dtype complex128",
    ),
    "objects, complex": ((ROWS + 1j).astype(object), TypeError, "X cannot be read as an array of numbers: .*'complex'"),
    "dates": (ROWS.astype("M8[D]"), TypeError, r"X must have numbers, got the dtype datetime64\[D\]"),
    "durations": (ROWS.astype("m8[s]"), TypeError, r"X must have numbers, got the dtype timedelta64\[s\]"),
    "records": (np.zeros(3, [("a", "f8"), ("b", "f8")]), TypeError, "X must have numbers, got the dtype"),
    "masked": (np.ma.masked_greater(ROWS, 2.5), ValueError, r"X is a masked array with \d+ masked values"),
    "matrix": (matrix(ROWS), TypeError, "np.matrix is not supported"),
    "sparse": (scipy.sparse.csr_array(ROWS), TypeError, "Sparse data was passed"),
    "sparse matrix": (scipy.sparse.coo_matrix(ROWS), TypeError, "Sparse data was passed"),
    "text": (np.full(ROWS.shape, "x"), ValueError, "X cannot be read .* could not convert string to float: .*'x'"),
    "objects, some text": ([[1, 2.0, "x", 4]] * 2, ValueError, "X cannot be read .* could not convert string"),
    "None inside": ([[1, 2.0, None, 4]] * 2, ValueError, "Input X contains NaN"),
    "None": (None, ValueError, "Expected 2D array, got scalar array"),
    "a number": (3, ValueError, "Expected 2D array, got scalar array"),
    "a string": ("rows", ValueError, "X cannot be read as an array of numbers"),
    "a dict": ({"a": [1.0]}, TypeError, "X cannot be read as an array of numbers: .*'dict'"),
    "a generator": ((row for row in ROWS), TypeError, "X cannot be read as an array of numbers: .*'generator'"),
    "ragged": ([[1.0, 2.0, 3.0, 4.0], [1.0]], ValueError, "X cannot be read .* inhomogeneous shape"),
    "deeper in places": ([[1, 2, 3, 4], [1, 2, [3], 4]], ValueError, "X cannot be read .* inhomogeneous shape"),
    "no rows": (ROWS[:0], ValueError, r"0 sample\(s\)"),
    "no columns": (ROWS[:, :0], ValueError, r"0 feature\(s\)"),
    "one dimension": (ROWS[0], ValueError, "Expected 2D array, got 1D array"),
    "too few columns": (ROWS[:, :3], ValueError, r"3 features|samples of shape \(3,\)|shape \(3,\)"),
    "too many dimensions": (ROWS[:, :, None], ValueError, r"shape \(4, 1\)"),
    "Series": (pd.Series(ROWS[0]), ValueError, "Expected a 2-dimensional container"),
    "Int64 with NA": (pd.DataFrame([[1, 2, 3, None]] * 2).astype("Int64"), ValueError, "Input X contains NaN"),
    "boolean with NA": (pd.DataFrame([[True, False, True, None]] * 2, dtype="boolean"), ValueError, "X contains NaN"),
    "Arrow with null": (pd.DataFrame([[1, 2, 3, None]] * 2).astype("double[pyarrow]"), ValueError, "X contains NaN"),
    "columns of text": (pd.DataFrame([NAMES] * 2), ValueError, r"columns that hold no numbers: \[0, 1, 2, 3\]"),
    "categories": (pd.DataFrame([NAMES] * 2).astype("category"), ValueError, "columns that hold no numbers"),
    "Arrow text": (pd.DataFrame([NAMES] * 2).astype("string[pyarrow]"), ValueError, "columns that hold no numbers"),
    "columns of dates": (times(pd.to_datetime), ValueError, "columns that hold no numbers: .*'a', 'b', 'c', 'd'"),
    "columns of durations": (times(pd.to_timedelta), ValueError, "columns that hold no numbers"),
    "periods": (times(lambda n: pd.period_range("2020", periods=3)), ValueError, "columns that hold no numbers"),
    "complex frame": (pd.DataFrame(ROWS + 1j), ValueError, "Complex data not supported"),
    "sparse frame": (pd.DataFrame(ROWS).astype(pd.SparseDtype(float)), TypeError, "X is a sparse DataFrame"),
    "columns of one name": (
        pd.DataFrame(ROWS, columns=list("aabb")),
        ValueError,
        r"columns named \['a', 'b'\]",
    ),
    "polars text": (pl.DataFrame({name: ["x"] for name in NAMES}), ValueError, "columns that hold no numbers"),
    "polars dates": (pl.DataFrame({n: pl.Series([1]).cast(pl.Date) for n in NAMES}), ValueError, "hold no numbers"),
    "polars lists": (pl.DataFrame({name: [[1.0, 2.0]] for name in NAMES}), ValueError, "columns that hold no numbers"),
    "polars, not collected": (pl.DataFrame(ROWS).lazy(), TypeError, "X is a LazyFrame"),
}


class TestRefused:
    @pytest.mark.parametrize("what", REFUSED)
    def test_after_fit(self, consumers, what):
        X, error, message = REFUSED[what]
        for consumer in consumers.values():
            with pytest.raises(error, match=message):
                consumer(X)

    @pytest.mark.parametrize("what", REFUSED)
    def test_in_fit(self, what):
        X, error, message = REFUSED[what]
        estimator = detector(preprocess=must_not_train)
        before = vars(estimator).copy()
        with pytest.raises(error, match=message):
            estimator.fit(X)
        assert vars(estimator) == before

    @pytest.mark.parametrize("what", REFUSED)
    def test_in_fit_of_the_corrected_classifier(self, what):
        class MustNotBeTrained(LogisticRegression):
            def fit(self, X, y):
                pytest.fail("training began")

        X, error, message = REFUSED[what]
        estimator = CorrectedClassifier(detector(MustNotBeTrained()))
        with pytest.raises(error, match=message):
            estimator.fit(X, np.arange(np.shape(X)[0] if scipy.sparse.issparse(X) else 30) % 2)
        assert set(vars(estimator)) == {"detector"}


class TestWithoutScikitLearn:
    """`OnnxDetector` reads X with NumPy alone: the same numbers, and what is refused is refused."""

    @pytest.mark.parametrize("way", SAME_NUMBERS)
    def test_the_same_numbers(self, way):
        np.testing.assert_array_equal(as_samples(SAME_NUMBERS[way](ROWS), (N_FEATURES,), "OnnxDetector"), ROWS)

    @pytest.mark.parametrize("way", SAME_WHOLE_NUMBERS)
    def test_the_same_integers(self, way):
        np.testing.assert_array_equal(as_samples(SAME_WHOLE_NUMBERS[way](WHOLE), (N_FEATURES,), "OnnxDetector"), WHOLE)

    @pytest.mark.parametrize("what", REFUSED)
    def test_refused(self, what):
        X, _, _ = REFUSED[what]
        with pytest.raises((ValueError, TypeError)):
            check_float32_range(as_samples(X, (N_FEATURES,), "OnnxDetector"))


class TestOverflow:
    """Rows that float32 holds, but for which the networks do not stay finite: flagged always, corrected never."""

    X = np.concatenate([ROWS, HUGE * LARGEST])

    def test_is_flagged(self, fitted):
        score = fitted.adversarial_score(self.X)
        np.testing.assert_array_equal(score, np.append(fitted.adversarial_score(ROWS), np.full(30, np.inf)))
        np.testing.assert_array_equal(fitted.predict(self.X)[30:], -1)
        np.testing.assert_array_equal(fitted.decision_function(self.X)[30:], -np.inf)

    @pytest.mark.parametrize("method", ["transform", "correct", "_corrected_probabilities"])
    def test_is_not_corrected(self, fitted, method):
        with pytest.raises(ValueError, match=r"X has 30 sample\(s\) for which .*, the first at index 30"):
            getattr(fitted, method)(self.X)

    def test_is_not_reconstructed_where_that_is_infinite(self):
        start = keras.Sequential([keras.Input((N_FEATURES,)), keras.layers.Rescaling(1.5)])
        model = detector(autoencoder=start, epochs=0).fit(ROWS)
        with pytest.raises(ValueError, match=r"X has 30 sample\(s\) for which .*, the first at index 30"):
            model.reconstruct(self.X)

    def test_the_facade_does_the_same(self, fitted):
        facade = AdversarialAE(ae=fitted.autoencoder_, model=fitted.classifier, threshold=0.5)
        np.testing.assert_array_equal(facade.predict(self.X)["data"]["is_adversarial"][30:], 1)
        with pytest.raises(ValueError, match="the first at index 30"):
            facade.correct(self.X)

    def test_threshold_is_left_as_it_was(self, fitted):
        threshold = fitted.threshold_
        with pytest.raises(ValueError, match="not finite"):
            fitted.infer_threshold(HUGE * LARGEST)
        assert fitted.threshold_ == threshold

    def test_a_forest_takes_anything_but_what_the_autoencoder_makes_of_it(self):
        forest = RandomForestClassifier(2, random_state=0).fit(ROWS, np.arange(30) % 3)
        surrogate = FrozenKerasModel(dense(N_FEATURES, 3, seed=1, activation="softmax"))
        start = keras.Sequential([keras.Input((N_FEATURES,)), keras.layers.Rescaling(1.5)])
        model = detector(forest, surrogate=surrogate, autoencoder=start, epochs=0, threshold=1.0)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The surrogate predicts")
            model.fit(ROWS)
        X = np.concatenate([ROWS, np.abs(HUGE) * LARGEST])
        np.testing.assert_array_equal(model.predict(X)[30:], -1)
        np.testing.assert_array_equal(model.adversarial_score(X)[:30], model.adversarial_score(ROWS))
        with pytest.raises(ValueError, match="the first at index 30"):
            model.correct(X)
        assert np.isfinite(model.adversarial_score(HUGE * 1e30)).all()

    def test_a_classifier_that_saturates_does_not_hide_it(self):
        saturating = keras.Sequential([keras.Input((2,)), keras.layers.Activation("tanh"), keras.layers.Softmax()])
        start = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling(10.0)])
        model = AdversarialAEDetector(saturating, autoencoder=start, epochs=0, threshold=9999.0)
        model.fit(np.random.default_rng(0).normal(size=(9, 2)))
        assert model.adversarial_score([[1e38, 1e38]]).tolist() == [np.inf]

    def test_nan_that_the_change_of_label_would_hide(self):
        """Of NaN and a number the label is whichever comes first, and the odds of the others are finite."""
        holes = keras.Sequential([keras.Input((2,)), keras.layers.Rescaling([1e38, 1.0])])
        model = AdversarialAEDetector(FrozenKerasModel(holes, from_logits=True), autoencoder=dense(2, 2, 3), epochs=0)
        model.set_params(threshold=2000.0).fit(np.random.default_rng(0).normal(size=(9, 2)))
        assert model.predict([[100.0, 1.0]]).tolist() == [-1]

    def test_in_fit_the_classifier_is_found_before_training(self):
        callback = keras.callbacks.LambdaCallback(on_train_begin=must_not_train)
        with pytest.raises(ValueError, match="classifier must return finite predictions"):
            detector(callbacks=[callback]).fit(HUGE * LARGEST)

    def test_metrics(self, fitted):
        assert 0.5 < detection_auc(fitted, self.X, np.repeat([1, -1], 30)) <= 1
        with pytest.raises(ValueError, match="the first at index 0"):
            defense_report(fitted, ROWS, np.arange(30) % 3, {"huge": HUGE * LARGEST})


ODD_ROWS = {
    "a constant column": np.where(np.arange(N_FEATURES) == 1, 5.0, ROWS),
    "constant": np.full((20, N_FEATURES), 3.0),
    "zeros": np.zeros((20, N_FEATURES)),
    "negative zeros": -np.zeros((20, N_FEATURES)),
    "doubled rows": np.repeat(ROWS[:1], 20, axis=0),
    "two rows": ROWS[:2],
    "huge": ROWS * 1e30,
    "subnormal": ROWS * 1e-44,
    "subnormal in float64": ROWS * 1e-320,
    "columns of all sizes": ROWS * [1e-30, 1.0, 1e10, 1e30],
    "bytes": np.arange(80, dtype="u1").reshape(20, N_FEATURES),
    "bool": ROWS > 0,
    "F order, big endian": np.asfortranarray(ROWS.astype(">f4")),
    "frame of integers": pd.DataFrame(WHOLE).astype("Int64"),
}


CONTAINERS = {"bytes", "bool", "F order, big endian", "frame of integers"}


class TestFit:
    @pytest.mark.parametrize("what", ODD_ROWS)
    def test_odd_rows(self, what):
        X = ODD_ROWS[what]
        model = detector(epochs=int(what not in CONTAINERS)).fit(X)
        score = model.adversarial_score(X)
        assert np.isfinite(model.threshold_)
        assert np.isfinite(score).all()
        assert (score >= 0).all()
        assert (score > model.threshold_).sum() == (model.predict(X) == -1).sum()
        assert np.isfinite(model.transform(X)).all()

    @pytest.mark.parametrize("n_features", [1, 2, 3, 17, 499, 500])
    def test_any_number_of_features(self, n_features):
        X = np.random.default_rng(0).normal(size=(20, n_features))
        model = detector(n_features=n_features, epochs=int(n_features in (1, 500))).fit(X)
        assert model.transform(X).shape == X.shape
        assert np.isfinite(model.adversarial_score(X)).all()
