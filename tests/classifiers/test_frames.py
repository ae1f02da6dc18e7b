import numpy as np
import pandas as pd
import polars as pl
import pytest

from skaae._classifiers.frames import FrameColumns, MissingValues, is_raw


@pytest.mark.parametrize(
    ("X", "raw"),
    [
        ([[1.0, 2.0]], False),
        ([[1.0, None]], True),
        ([[1.0], [1.0, 2.0]], False),
        (np.ones((2, 2), int), False),
        (np.ones((2, 3, 1)), False),
        (np.array([[1, 2.5]], dtype=object), False),
        (pd.DataFrame({"a": [1, 2], "b": [True, False]}), False),
        (pd.DataFrame({"a": pd.Categorical([1, 2])}), False),
        (pd.DataFrame({"a": ["x", "y"]}), True),
        (pd.DataFrame({"a": pd.array([1, None], "Int64")}), True),
        (np.array([[np.nan]]), True),
        (np.array([["x"]], dtype=object), True),
        (pl.LazyFrame({"a": ["x"]}), False),  # each of these three raises an error of its own later
        (pd.DataFrame([["x", "y"]], columns=["a", "a"]), False),
        (pd.DataFrame({"a": [1j]}), False),
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
    for group in columns.rules()["groups"]:
        assert rows[:, group].sum(axis=1).tolist() == [1, 1, 1]


def test_nothing_is_missing_in_a_repaired_row_that_was_not_in_the_row():
    """Where fit has seen no missing category, x' has none: CatBoost would refuse it."""
    frame = pd.DataFrame({"full": ["x", "y", "x"], "gaps": ["x", None, "y"]})
    columns = FrameColumns.of(frame)
    rules = columns.rules()
    assert [len(group) for group in rules["groups"]] == [2, 3]
    assert rules["kept"] == [2], "the column that tells of missing and unknown ones"
    strange = pd.DataFrame({"full": ["z", "x"], "gaps": ["z", "x"]})
    assert {name: rows.tolist() for name, rows in columns.unknown_categories(strange).items()} == {
        "full": [True, False],
        "gaps": [True, False],
    }
    decoded = columns.decode(columns.encode(strange))
    assert decoded["full"].tolist() == ["unknown category", "x"]
    assert decoded["gaps"].isna().tolist() == [True, False]
    columns.decode(columns.encode(pd.DataFrame({"full": [None], "gaps": [None]})))


def test_whole_numbers_stay_within_their_type():
    frame = pd.DataFrame(
        {
            "small": np.array([1, 2], np.int8),
            "nullable": pd.array([1, None], "UInt8"),
            "large": np.array([1, 2**62]),
            "flag": pd.array([True, None], "boolean"),
        }
    )
    columns = FrameColumns.of(frame)
    rows = columns.encode(frame)
    rows[:, :4] = [[999, -5, 1e30, 7], [-999, 0, -1e30, 0]]
    decoded = columns.decode(rows)
    assert decoded.dtypes.equals(frame.dtypes)
    assert decoded["small"].tolist() == [127, -128]
    assert decoded["nullable"][0] == 0
    assert decoded["large"].min() == -(2**63)
    assert decoded["flag"].tolist() == [True, pd.NA]


def test_what_fit_has_not_seen():
    frame = pd.DataFrame({"a": pd.Categorical(["x", "y"]), "n": [1.0, 2.0]})
    columns = FrameColumns.of(frame)
    new = pd.DataFrame({"n": [np.nan], "a": pd.Categorical(["z"])})
    decoded = columns.decode(columns.encode(new))
    assert decoded.isna().all().all()
    assert decoded.dtypes.equals(frame.dtypes)
    with pytest.raises(ValueError, match=r"X lacks the columns \['n'\]"):
        columns.encode(frame[["a"]])


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA], ids=repr)
def test_missing_text_is_what_it_was(gap):
    frame = pd.DataFrame({"a": ["x", gap, "y"]}, dtype=object)
    columns = FrameColumns.of(frame)
    decoded = columns.decode(columns.encode(frame))["a"].tolist()
    assert decoded[::2] == ["x", "y"]
    assert decoded[1] is gap or (np.isnan(decoded[1]) and gap is np.nan)


def test_columns_without_any_value():
    X = np.array([[np.nan, 1.0], [np.nan, 3.0]])
    assert MissingValues.of(X).fill.tolist() == [0, 2]


@pytest.mark.parametrize("dates", [pd.to_datetime(["2024-01-31", "2024-02-29"]), pd.to_timedelta([1, 2], "h")])
def test_dates_are_refused(dates):
    """New rows would have dates that fit has not seen; in a column of numbers they were read as nanoseconds."""
    frame = pd.DataFrame({"a": ["x", "y"], "n": [1.0, 2.0]})
    columns, dated = FrameColumns.of(frame), frame.assign(n=dates)
    for call in (columns.encode, FrameColumns.of):
        with pytest.raises(TypeError, match=r"X has dates in the columns \['n'\]"):
            call(dated)


def test_text_in_a_column_of_numbers():
    frame = pd.DataFrame({"a": ["x", "y"], "n": [1.0, 2.0]})
    with pytest.raises(ValueError, match=r"X must have numbers in the column 'n', as in fit.*'many'"):
        FrameColumns.of(frame).encode(frame.assign(n="many"))


def test_identifiers_do_not_fill_the_memory():
    """A column for each of 20,000 identifiers would take 3 GB, and as much again on the way."""
    frame = pd.DataFrame({"id": [f"id {place}" for place in range(20_000)], "n": 1.0})
    with pytest.raises(ValueError, match=r"X has 20000 categories, in the columns \['id'\] above all, and 20000 rows"):
        FrameColumns.of(frame)


def test_a_single_category_is_no_group():
    """A softmax over one column is always 1, of which Keras warns."""
    frame = pd.DataFrame({"same": ["x", "x"], "missing": pd.array([None, None], "string"), "two": ["x", "y"]})
    rules = FrameColumns.of(frame).rules()
    assert [len(group) for group in rules["groups"]] == [2]
    assert sorted([*rules["kept"], *rules["groups"][0]]) == list(range(FrameColumns.of(frame).n_encoded))
