"""Encoding and decoding in the graph is that of the estimator."""

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from skaae._classifiers.frames import FrameColumns, MissingValues
from skaae.onnx._assembly import Assembly
from skaae.onnx._inputs import Inputs
from skaae.onnx._missing_values import add_decoding, add_encoding
from skaae.onnx._unknown_categories import Unknown

FRAME = pd.DataFrame(
    {
        "amount": [1.5, np.nan, 3.0, 2.5],
        "short": np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        "n": [1, 2, 3, 300],
        "small": np.array([1, 2, 3, 4], np.int8),
        "vip": [True, False, True, True],
        "country": ["DE", "FR", None, "DE"],
        "size": pd.Categorical(["S", "M", "S", "M"], ["S", "M", "L"]),
        "level": pd.Categorical([1, 2, 1, 2]),
    }
)


def run(assembly, outputs, feed):
    model = assembly.model(outputs)
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, feed)


def encoded(columns, X, unknown=None):
    inputs = Inputs(len(X.columns), list(X), {}, list(range(len(X.columns)))).with_categories(columns)
    assembly = Assembly("some", inputs.signature())
    rows = add_encoding(columns, assembly, inputs.rows(assembly), unknown or {})
    return run(assembly, {"rows": (rows, np.float64, (None,))}, inputs.feed(X))[0]


def decoded(columns, rows):
    assembly = Assembly("some", {"x": (np.float64, (rows.shape[1],))})
    found = add_decoding(columns, assembly, "x")
    outputs = {
        f"out{place}": (tensor, np.object_ if is_text else np.float64, (1,))
        for place, (tensor, is_text) in enumerate(zip(found.tensors, found.is_text, strict=True))
    }
    return [values[:, 0].tolist() for values in run(assembly, outputs, {"x": rows})]


def test_table():
    columns = FrameColumns.of(FRAME)
    np.testing.assert_array_equal(encoded(columns, FRAME), columns.encode(FRAME))
    random = np.random.default_rng(0)
    rows = random.normal(size=(100, columns.n_encoded)) * 300
    wanted = columns.decode(rows)
    for values, name in zip(decoded(columns, rows), FRAME, strict=True):
        expected = wanted[name].astype(object).where(wanted[name].notna(), None).tolist()
        missing = "\ue000missing"
        found = [None if value == missing or value != value else value for value in values]
        assert found == expected, name


def test_unknown_categories():
    columns = FrameColumns.of(FRAME)
    other = FRAME.assign(country=["XX", "YY", None, "DE"], size=pd.Categorical(["L", "S", "XL", None]))
    np.testing.assert_array_equal(encoded(columns, other), columns.encode(other))
    refused = encoded(columns, other, {5: Unknown(["YY"], False), 6: Unknown([None], True)})
    assert np.isfinite(refused).all(axis=1).tolist() == [True, False, False, False]


@pytest.mark.parametrize("columns", [MissingValues(np.array([1.0, 2.0])), None])
def test_numbers(columns):
    X = np.array([[1.0, np.nan], [np.nan, 5.0]]) if columns else np.ones((2, 2))
    assembly = Assembly("some", {"x": (np.float64, (2,))})
    inputs = Inputs(2)
    rows = add_encoding(columns, assembly, inputs.rows(assembly))
    (found,) = run(assembly, {"rows": (rows, np.float64, (None,))}, {"x": X})
    np.testing.assert_array_equal(found, X if columns is None else columns.encode(X))
    if columns:
        assembly = Assembly("some", {"x": (np.float64, (4,))})
        back = add_decoding(columns, assembly, "x").matrix()
        np.testing.assert_array_equal(run(assembly, {"rows": (back, np.float64, (None,))}, {"x": found})[0], X)
