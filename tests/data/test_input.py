import numpy as np
import pandas as pd
import polars as pl
import pytest

from skaae._data.input import check_labels, explain_conversion_errors, read_samples
from skaae._data.samples import check_readable


class TestReadSamples:
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_an_array_that_fits_is_not_copied(self, dtype):
        X = np.ones((2, 3), dtype)
        assert read_samples(X) is X

    def test_anything_else_becomes_float64(self):
        assert read_samples([[1, 2], [3, 4]]).dtype == np.float64
        assert read_samples(pd.DataFrame({"a": [True, False]})).tolist() == [[1.0], [0.0]]

    def test_largest_float32(self):
        limit = float(np.finfo(np.float32).max)
        assert read_samples([[limit, -limit]]).tolist() == [[limit, -limit]]
        with pytest.raises(ValueError, match=r"beyond 3.4e"):
            read_samples([[np.nextafter(limit, np.inf)]])


class TestClearErrors:
    def test_errors_that_are_not_about_numbers_are_left_alone(self):
        error = ValueError("something else")
        with pytest.raises(ValueError, match="something else") as caught, explain_conversion_errors(np.ones(3)):
            raise error
        assert caught.value is error

    def test_the_error_of_numpy_is_the_cause(self):
        with pytest.raises(ValueError, match=r"^X cannot be read .* inhomogeneous") as caught:
            read_samples([[1.0], [2.0, 3.0]])
        assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("X", "columns"),
    [
        (pd.DataFrame({"a": [1], "b": ["x"], "c": ["2"]}), ["b"]),
        (pd.DataFrame({"a": [1], "b": pd.to_timedelta([1])}), ["b"]),
        (pl.DataFrame({"a": [1], "b": ["x"], "c": ["2"], "d": [True]}), ["b"]),
        (pl.DataFrame({"a": [1], "b": pl.Series([1]).cast(pl.Duration)}), ["b"]),
        (pl.DataFrame({"a": [1], "b": [[1, 2]]}), ["b"]),
    ],
    ids=str,
)
def test_columns_without_numbers_are_named(X, columns):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        check_readable(X)
    assert str(caught.value).startswith(f"X has columns that hold no numbers: {columns}.")


class TestLabels:
    @pytest.mark.parametrize("y", [None, [], [1, 2], ["a", "b"], [True, False], [1.0, np.inf], pd.array([1, 2])])
    def test_accepted(self, y):
        check_labels(y)

    @pytest.mark.parametrize(
        "y",
        [
            [1.0, np.nan],
            ["a", None],
            np.array([1, pd.NA], object),
            np.array(["a", np.nan], object),
            pd.array([1, pd.NA]),
            [np.datetime64("NaT")],
        ],
    )
    def test_missing(self, y):
        with pytest.raises(ValueError, match=r"y must have a label .*, but 1 are missing, the first at index [01] "):
            check_labels(y)

    def test_of_several_types(self):
        with pytest.raises(TypeError, match=r"y must have labels of one type, got .* \['int', 'str'\]"):
            check_labels(np.array([1, "a"], object))
