"""Columns selected by name: the file takes DataFrames as the Pipeline does, and arrays by position."""

import keras
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae.onnx import OnnxDetector, to_onnx
from skaae.onnx._columns import by_position, selected_by_name
from tests.support.models import QUICK

pandas = pytest.importorskip("pandas")

BY_NAME = {
    "lists": ([("a", StandardScaler(), ["amount"]), ("b", MinMaxScaler(), ["age", "score"])], "drop"),
    "other order": ([("a", StandardScaler(), ["score", "amount"])], "passthrough"),
    "remainder scaled": ([("a", MinMaxScaler(), ["age"])], RobustScaler()),
    "slice": ([("a", StandardScaler(), slice("amount", "age"))], "drop"),
    "mask": ([("a", StandardScaler(), [True, False, True, False])], MinMaxScaler()),
    "selector": ([("a", StandardScaler(), make_column_selector("a"))], "drop"),
    "dropped and empty": ([("a", "drop", ["age"]), ("b", MinMaxScaler(), [])], StandardScaler()),
    "Pipeline inside": ([("a", make_pipeline(StandardScaler(), MinMaxScaler()), ["age", "amount"])], "passthrough"),
    "positions": ([("a", StandardScaler(), [0]), ("b", MinMaxScaler(), [-1])], "drop"),
}


def frame(n=300):
    random = np.random.RandomState(0)
    columns = {"amount": random.lognormal(size=n), "age": random.randint(18, 90, n).astype(float)}
    return pandas.DataFrame(columns | {"score": random.normal(size=n), "share": random.uniform(size=n)})


def labels(X):
    return (X["amount"] > 1).to_numpy()


def quick(classifier):
    surrogate = FrozenKerasModel(keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")]))
    return AdversarialAEDetector(classifier, surrogate=surrogate, **{**QUICK, "epochs": 0})


def corrected(*steps):
    X = frame()
    return make_pipeline(*steps, CorrectedClassifier(quick(LogisticRegression()))).fit(X, labels(X))


def assert_same(pipeline, path, X):
    """For a DataFrame, one with its columns in another order and one more, and the array."""
    to_onnx(pipeline, path)
    loaded = OnnxDetector(path)
    wanted = pipeline.predict(X)
    np.testing.assert_array_equal(loaded.correct(X).corrected, wanted)
    np.testing.assert_array_equal(loaded.correct(X.to_numpy()).corrected, wanted)
    assert loaded.feature_names_in_.tolist() == list(X)
    return loaded


@pytest.mark.parametrize("kind", BY_NAME)
def test_first_step(kind, tmp_path):
    parts, remainder = BY_NAME[kind]
    pipeline = corrected(ColumnTransformer(parts, remainder=remainder))
    loaded = assert_same(pipeline, tmp_path / "file.onnx", X := frame())
    other = X[list(X)[::-1]].assign(note="text", more=1.0)
    np.testing.assert_array_equal(loaded.correct(other).corrected, pipeline.predict(other))
    np.testing.assert_allclose(loaded.adversarial_score(other), loaded.adversarial_score(X), rtol=0, atol=1e-12)
    without = X[selected_by_name(pipeline[0])]
    np.testing.assert_array_equal(loaded.predict(without), loaded.predict(X))
    for estimator in (loaded, pipeline):
        with pytest.raises(ValueError, match=rf"columns are missing: .'{without.columns[-1]}'"):
            estimator.predict(X.drop(columns=without.columns[-1]))


@pytest.mark.filterwarnings("ignore:The surrogate predicts:UserWarning")
@pytest.mark.parametrize("kind", ["nested", "union", "pandas inside", "frozen", "after a scaler"])
def test_deeper_inside(kind, tmp_path):
    columns = ColumnTransformer([("a", StandardScaler(), ["amount", "age"])], remainder=MinMaxScaler())
    outer = ColumnTransformer([("o", columns, ["age", "amount", "share"])], remainder="passthrough")
    scaler = StandardScaler().set_output(transform="pandas")
    steps = {
        "nested": [outer],
        "union": [FeatureUnion([("a", columns), ("b", StandardScaler())])],
        "pandas inside": [outer.set_output(transform="pandas"), StandardScaler()],
        "frozen": [FrozenEstimator(columns.fit(frame()))],
        "after a scaler": [scaler, columns],
    }[kind]
    assert_same(corrected(*steps), tmp_path / "file.onnx", frame())


@pytest.mark.filterwarnings("ignore:The surrogate predicts:UserWarning")
@pytest.mark.parametrize("calibrated", [True, False])
def test_inside_the_classifier(calibrated, tmp_path):
    columns = ColumnTransformer([("a", StandardScaler(), ["amount"])], remainder="passthrough")
    classifier = make_pipeline(columns, GaussianNB())
    classifier = CalibratedClassifierCV(classifier, cv=2) if calibrated else classifier
    X = frame()
    detector = quick(FrozenEstimator(classifier.fit(X, labels(X)))).fit(X)
    to_onnx(detector, tmp_path / "file.onnx")
    loaded = OnnxDetector(tmp_path / "file.onnx")
    np.testing.assert_allclose(loaded.adversarial_score(X), detector.adversarial_score(X), rtol=0, atol=1e-5)
    for estimator in (loaded, detector):
        with pytest.raises(ValueError, match="Feature names must be in the same order as they were in fit"):
            estimator.predict(X[list(X)[::-1]])


@pytest.mark.slow
def test_columns_of_text_that_are_dropped(tmp_path):
    X = frame().assign(customer="C 17")
    columns = ColumnTransformer([("a", StandardScaler(), ["amount"])], remainder="drop")
    detector = CorrectedClassifier(quick(LogisticRegression()))
    pipeline = make_pipeline(columns, detector).fit(X, labels(X))
    to_onnx(pipeline, tmp_path / "file.onnx")
    np.testing.assert_array_equal(OnnxDetector(tmp_path / "file.onnx").correct(X).corrected, pipeline.predict(X))


def test_polars(tmp_path):
    polars = pytest.importorskip("polars")
    X = frame()
    columns = ColumnTransformer([("a", StandardScaler(), ["amount"]), ("b", MinMaxScaler(), ["age"])])
    pipeline = make_pipeline(columns, CorrectedClassifier(quick(LogisticRegression())))
    pipeline.fit(polars.from_pandas(X), labels(X))
    loaded = assert_same(pipeline, tmp_path / "file.onnx", X)
    other = polars.from_pandas(X).select(["share", "age", "amount"])
    np.testing.assert_array_equal(loaded.correct(other).corrected, pipeline.predict(other))


@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_nothing_is_changed():
    X = frame()
    columns = ColumnTransformer([("a", make_pipeline(StandardScaler()), ["amount"])]).fit(X)
    changed = by_position(FrozenEstimator(columns))
    assert [selected for _, _, selected in changed.transformers_] == [[0], [1, 2, 3]]
    assert columns.transformers_[0][2] == ["amount"]
    np.testing.assert_array_equal(changed.transform(X.to_numpy()), columns.transform(X))
    assert selected_by_name(StandardScaler().fit(X)) is None
    assert selected_by_name(ColumnTransformer([("a", "passthrough", [0])]).fit(X.to_numpy())) is None
    assert selected_by_name(make_pipeline(columns, StandardScaler())) == ["amount"]
