"""Which columns are inputs of the graph, of which type and under which name."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skaae._classifiers.frames import FrameColumns
from skaae.onnx._assembly import Assembly
from skaae.onnx._inputs import Inputs, chains
from skaae.onnx._tables import MISSING_TEXT

TABLE = pd.DataFrame({"score": [1.0, 2.0], "text": ["a", None], "kind": [1, 2], "other": ["x", "y"]}, dtype=object)


def test_columns_of_a_table():
    columns = make_column_transformer(
        (make_pipeline(StandardScaler()), ["score"]), (OneHotEncoder(), ["text", "kind"]), remainder="drop"
    ).fit(TABLE)
    inputs = Inputs.of([columns], 4, list(TABLE))
    assert (inputs.text, inputs.used) == ([1], [0, 1, 2])
    assert inputs.tensor_names() == {0: "column score", 1: "text", 2: "kind"}  # "score" is an output
    assert inputs.signature() == {
        "column score": (np.float64, (1,)),
        "text": (np.object_, (1,)),
        "kind": (np.float64, (1,)),
    }
    assert inputs.feed(TABLE)["text"].tolist() == [["a"], [MISSING_TEXT]]
    assert inputs.as_values(None)["columns"] == [[0, "column score", False], [1, "text", True], [2, "kind", False]]
    rows = inputs.rows(Assembly("some", inputs.signature()))
    assert rows.tensors == ("column score", "text", "kind", "")
    drawn = inputs.random_rows(400, may_miss=True)
    assert {"a"} < set(drawn["text"].dropna())
    assert drawn[:300].notna().all(axis=None)
    assert drawn[300:].isna().any().tolist() == [True, True, True, True]


def test_numbers_are_one_input():
    scaler = StandardScaler().fit(np.eye(3))
    inputs = Inputs.of([scaler], 3, None)
    assert inputs.signature() == {"x": (np.float64, (3,))}
    assert inputs.as_values(None)["columns"] is None
    assert inputs.random_rows(5, may_miss=False).shape == (5, 3)


def test_columns_without_names():
    encoder = OneHotEncoder().fit(np.array([["a", 1]], dtype=object))
    assert Inputs.of([encoder], 2, None).tensor_names() == {0: "x0", 1: "x1"}


def test_categories_of_the_classifier():
    frame = pd.DataFrame({"a": [1.0, 2.0], "b": ["x", None]})
    inputs = Inputs.of([], 2, list(frame)).with_categories(FrameColumns.of(frame))
    assert (inputs.text, inputs.has_text) == ([1], True)
    assert set(inputs.random_rows(50, may_miss=True)["b"]) == {"x"}


@pytest.mark.parametrize("wrap", [lambda step: step, lambda step: FeatureUnion([("a", step), ("b", "drop")])])
def test_chains(wrap):
    scaler, encoder = StandardScaler(), OneHotEncoder()
    columns = make_column_transformer((make_pipeline(scaler), ["score"]), (encoder, ["text"])).fit(TABLE)
    found = list(chains([wrap(columns)], [10, 11, 12, 13]))
    assert [(type(steps[0]).__name__, places) for steps, places in found] == [
        ("StandardScaler", [10]),
        ("OneHotEncoder", [11]),
    ]
