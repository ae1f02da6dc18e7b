"""Tables of several kinds become the same inputs, and wrong ones raise an error that says what is wrong."""

import numpy as np
import pandas as pd
import polars
import pytest

from skaae.onnx._reading import Table, as_numbers, as_text, chunks_of

COLUMNS = [(0, "age", False), (1, "country", True), (2, "vip", False)]
TABLE = Table(3, ["age", "country", "vip"], None, COLUMNS, "missing")
NUMBERS = Table(2, ["a", "b"], None, None, "missing")
AGE, COUNTRY, VIP = [30.0, None, 50.0], ["DE", "FR", None], [True, False, True]
FRAME = pd.DataFrame({"age": AGE, "country": COUNTRY, "vip": VIP})
KINDS = {
    "pandas": FRAME,
    "objects": FRAME.astype(object),
    "nullable": FRAME.convert_dtypes(),
    "categories": FRAME.astype({"country": "category"}),
    "polars": polars.DataFrame({"age": AGE, "country": COUNTRY, "vip": VIP}),
    "dict of lists": {"vip": VIP, "country": COUNTRY, "age": AGE},
    "dict of arrays": {name: FRAME[name].to_numpy() for name in FRAME},
    "array": FRAME.to_numpy(dtype=object),
    "list": [[30.0, "DE", True], [None, "FR", False], [50.0, None, True]],
}


@pytest.mark.parametrize("kind", KINDS)
def test_same_inputs(kind):
    found = TABLE.read(KINDS[kind], "Detector")
    assert list(found) == ["age", "country", "vip"]
    np.testing.assert_array_equal(found["age"], [[30.0], [np.nan], [50.0]])
    assert found["country"].tolist() == [["DE"], ["FR"], ["missing"]]
    np.testing.assert_array_equal(found["vip"], [[1.0], [0.0], [1.0]])


@pytest.mark.parametrize(
    "X",
    [
        pd.DataFrame({"a": [1, 2], "b": [0.5, None]}),
        pd.DataFrame({"a": [1, 2], "b": [0.5, None]}).convert_dtypes(),
        polars.DataFrame({"a": [1, 2], "b": [0.5, None]}),
        {"b": [0.5, None], "a": [1, 2]},
        [[1, 0.5], [2, None]],
        np.array([[1, 0.5], [2, np.nan]], np.float32),
    ],
)
def test_numbers_are_one_matrix(X):
    found = NUMBERS.read(X, "Detector")
    np.testing.assert_array_equal(found["x"], [[1.0, 0.5], [2.0, np.nan]])
    assert found["x"].dtype == np.float64


def test_selected_columns_come_in_any_order():
    table = Table(3, ["a", "b", "c"], ["b", "a"], None, "missing")
    X = pd.DataFrame({"more": ["text"], "a": [1.0], "b": [2.0]})
    assert table.read(X, "Detector")["x"].tolist() == [[1.0, 2.0, 0.0]]
    assert table.read({"a": [1.0], "b": [2.0]}, "Detector")["x"].tolist() == [[1.0, 2.0, 0.0]]
    for wrong in (X.drop(columns="a"), {"b": [2.0]}):
        with pytest.raises(ValueError, match=r"columns are missing: \['a'\]\. The first step of the Pipeline selects"):
            table.read(wrong, "Detector")


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (FRAME[["country", "age", "vip"]], "must be in the same order as they were in fit"),
        (FRAME.rename(columns={"age": "years"}), r"unseen at fit time: \['years'\]\. .* now missing: \['age'\]"),
        ({"age": np.array(["2026"], "M8[D]"), "country": ["DE"], "vip": [1]}, "got the dtype datetime64"),
        ({"age": [1], "country": ["DE"]}, r"now missing: \['vip'\]"),
        ({"age": [1], "country": ["DE"], "vip": [1, 0]}, "columns of the same length"),
        (FRAME.assign(age="old"), "must have numbers in the column 'age': could not convert string to float: 'old'"),
        (FRAME.assign(age=np.inf), "infinity in the column 'age'"),
        (
            FRAME.assign(age=pd.Timestamp("2026-01-01")),
            "must have numbers in the column 'age': float.. argument must be",
        ),
        (FRAME.assign(country=7), r"must have text in the column 'country', got values of type \['int'\]"),
        (FRAME[:0], "at least 1 sample"),
        ([[1, "DE"]], "X has 2 features, but Detector is expecting 3 features as input"),
        ([1, "DE", 0], "Expected 2D array, got 1D array"),
    ],
)
def test_wrong_tables(X, message):
    with pytest.raises(ValueError, match=message):
        TABLE.read(X, "Detector")


def test_kinds_that_are_none():
    with pytest.raises(TypeError, match="LazyFrame"):
        TABLE.read(polars.LazyFrame({"age": AGE, "country": COUNTRY, "vip": VIP}), "Detector")
    with pytest.raises(TypeError, match="X is a dict, but Detector was fitted on rows without names"):
        Table(2, None, None, None, "missing").read({"a": [1], "b": [2]}, "Detector")


def test_columns():
    assert as_numbers(polars.Series([1, None]), "'a'").tolist()[0] == 1.0
    assert as_numbers(np.array(["1.5", "2"]), "'a'").tolist() == [1.5, 2.0]
    assert as_text(polars.Series(["x", None]), "'a'", "none").tolist() == ["x", "none"]


def test_many_rows():
    """More than are read row by row."""
    many = pd.concat([FRAME] * 10, ignore_index=True)
    for X in (many, many.convert_dtypes(), polars.from_pandas(many), many.astype({"country": "category"})):
        found = TABLE.read(X, "Detector")
        np.testing.assert_array_equal(found["age"][:3], [[30.0], [np.nan], [50.0]])
        assert found["country"][-3:].tolist() == [["DE"], ["FR"], ["missing"]]


def test_chunks():
    inputs = {"a": np.arange(10.0)[:, None], "b": np.array([["x"]] * 10, dtype=object)}
    parts = list(chunks_of(inputs, 64))
    assert [start for start, _ in parts] == [0, 4, 8]
    np.testing.assert_array_equal(np.concatenate([rows["a"] for _, rows in parts]), inputs["a"])
    assert [len(rows["b"]) for _, rows in parts] == [4, 4, 2]
    assert len(list(chunks_of(inputs, 1))) == 10
