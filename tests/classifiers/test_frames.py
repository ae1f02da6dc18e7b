import numpy as np
import pandas as pd
import pytest

from skaae._classifiers.frames import FrameColumns, MissingValues, is_raw


@pytest.mark.parametrize(
    ("X", "raw"),
    [
        ([[1.0, 2.0]], False),
        (np.ones((2, 2), int), False),
        (np.ones((2, 3, 1)), False),
        (np.array([[1, 2.5]], dtype=object), False),
        (pd.DataFrame({"a": [1, 2], "b": [True, False]}), False),
        (pd.DataFrame({"a": pd.Categorical([1, 2])}), False),
        (pd.DataFrame({"a": ["x", "y"]}), True),
        (pd.DataFrame({"a": pd.array([1, None], "Int64")}), True),
        (np.array([[np.nan]]), True),
        (np.array([["x"]], dtype=object), True),
    ],
)
def test_raw_rows(X, raw):
    assert is_raw(X) == raw


def test_frames_survive_the_way_there_and_back():
    frame = pd.DataFrame(
        {
            "whole": [1, -2, 3],
            "small": np.array([1, 2, 3], np.int8),
            "number": [0.1, np.nan, 1e300],
            "nullable": pd.array([1, None, 3], "Int64"),
            "flag": [True, False, True],
            "nullable flag": pd.array([True, None, False], "boolean"),
            "category": pd.Categorical(["a", None, "b"], categories=["b", "a", "unused"], ordered=True),
            "numbers as categories": pd.Categorical([3, 1, 3]),
            "text": ["x", None, "y"],
        }
    )
    columns = FrameColumns.of(frame)
    rows = columns.encode(frame)
    assert rows.shape == (3, columns.n_encoded)
    assert np.isfinite(rows).all()
    pd.testing.assert_frame_equal(columns.decode(rows), frame)
    for group in columns.rules({})["groups"]:
        assert rows[:, group].sum(axis=1).tolist() == [1, 1, 1]


def test_what_fit_has_not_seen():
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"]), "n": [1.0, 2.0]})
    columns = FrameColumns.of(frame)
    new = pd.DataFrame({"n": [np.nan], "a": pd.Categorical(["z"])})
    decoded = columns.decode(columns.encode(new))
    assert decoded.isna().all().all()
    assert decoded.dtypes.equals(frame.dtypes)
    with pytest.raises(ValueError, match=r"X lacks the columns \['n'\]"):
        columns.encode(frame[["a"]])


def test_columns_without_any_value():
    X = np.array([[np.nan, 1.0], [np.nan, 3.0]])
    assert MissingValues.of(X).fill.tolist() == [0, 2]
