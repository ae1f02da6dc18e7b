"""Encoders as lookup tables: rare, missing and unknown categories get exactly what the encoder returns."""

import warnings

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, TargetEncoder

from skaae.onnx._assembly import Assembly
from skaae.onnx._inputs import Inputs
from skaae.onnx._tables import look_up, n_before_encoder, values_of_column

CHAINS = {
    "one-hot": [OneHotEncoder()],
    "one-hot, first dropped": [OneHotEncoder(drop="first", handle_unknown="ignore")],
    "one-hot, binary ones dropped": [OneHotEncoder(drop="if_binary", sparse_output=False)],
    "one-hot, rare ones together": [OneHotEncoder(min_frequency=20, handle_unknown="infrequent_if_exist")],
    "one-hot, most frequent ones": [OneHotEncoder(max_categories=2, handle_unknown="ignore")],
    "codes": [OrdinalEncoder()],
    "codes of unknown ones": [OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)],
    "codes of missing ones": [OrdinalEncoder(encoded_missing_value=-2)],
    "codes, rare ones together": [OrdinalEncoder(min_frequency=20)],
    "targets": [TargetEncoder(random_state=0)],
    "imputed": [SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore")],
    "imputed by a constant": [SimpleImputer(strategy="constant", fill_value="none"), OneHotEncoder()],
}
random = np.random.default_rng(0)
TEXT = pd.DataFrame(
    {"a": random.choice(["x", "y", "rare"], 90, p=[0.5, 0.4, 0.1]), "b": random.choice(["u", "v"], 90)}, dtype=object
)
TEXT.loc[::9, "b"] = np.nan
NUMBERS = np.c_[random.choice([1.5, 2.5, 7.0], 90, p=[0.5, 0.4, 0.1]), random.choice([0, 1], 90)]


def run(steps, X):
    names = getattr(steps[0], "feature_names_in_", None)
    inputs = Inputs.of(steps, 2, names)
    assembly = Assembly("table", inputs.signature())
    model = assembly.model({"rows": (look_up(steps, assembly, inputs.rows(assembly)), np.float64, (None,))})
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs.feed(X))[0]


def assert_same(pipeline, X):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Found unknown categories", UserWarning)
        wanted = pipeline.transform(X)
    wanted = wanted.toarray() if hasattr(wanted, "toarray") else wanted
    np.testing.assert_array_equal(run([step for _, step in pipeline.steps], X), wanted)


def refuses_unknown(pipeline):
    return getattr(pipeline[-1], "handle_unknown", "ignore") == "error"


@pytest.mark.parametrize("kind", CHAINS)
@pytest.mark.parametrize("n_classes", [2, 3])
def test_text(kind, n_classes):
    pipeline = make_pipeline(*CHAINS[kind]).fit(TEXT, np.arange(90) % n_classes)
    assert_same(pipeline, TEXT)
    unknown = TEXT[:2].assign(a=["other", "x"])
    if refuses_unknown(pipeline):
        assert np.isfinite(run([step for _, step in pipeline.steps], unknown)).all(axis=1)[0] == np.False_
    else:
        assert_same(pipeline, unknown)


@pytest.mark.parametrize("kind", [kind for kind in CHAINS if "constant" not in kind])
def test_numbers(kind):
    pipeline = make_pipeline(*CHAINS[kind]).fit(NUMBERS, np.arange(90) % 2)
    assert_same(pipeline, NUMBERS)
    unknown = np.array([[1.4, 0.0], [7.0, 1.0]])
    if refuses_unknown(pipeline):
        assert np.isinf(run([step for _, step in pipeline.steps], unknown)[0]).any()
    else:
        assert_same(pipeline, unknown)


def test_many_categories_make_no_large_file():
    names = np.array([f"name {number}" for number in range(2_000)], dtype=object)[:, None]
    encoder = OneHotEncoder().fit(names)
    inputs = Inputs.of([encoder], 1, None)
    assembly = Assembly("table", inputs.signature())
    rows = look_up([encoder], assembly, inputs.rows(assembly))
    model = assembly.model({"rows": (rows, np.float64, (None,))}).SerializeToString()
    assert len(model) < 200_000
    found = onnxruntime.InferenceSession(model).run(None, inputs.feed(names))[0]
    np.testing.assert_array_equal(found, np.eye(2_000)[np.argsort(np.argsort(names[:, 0]))])


def test_values():
    encoder = OneHotEncoder().fit(np.array([["b"], ["a"], [None]], dtype=object))
    *values, unknown = values_of_column([encoder], 0)
    assert values == ["a", "b", None]
    assert isinstance(unknown, str)
    marked = SimpleImputer(missing_values="?", strategy="most_frequent").fit(np.array([["a"], ["?"]], dtype=object))
    encoder = OneHotEncoder().fit(np.array([["a"]], dtype=object))
    assert values_of_column([marked, encoder], 0)[:2] == ["a", "?"]
    assert n_before_encoder([SimpleImputer(add_indicator=True), OneHotEncoder()]) is None
