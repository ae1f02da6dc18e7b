"""Rows that steps do not turn into finite numbers raise an error that says where."""

import numpy as np
import pytest

from skaae.onnx._refusals import check_rows


def test_finite_rows():
    check_rows(np.ones((2, 2)), None)


def test_place_and_columns():
    rows = np.array([[1.0, 2.0, 3.0], [np.inf, 2.0, np.nan]])
    with pytest.raises(ValueError, match=r"the first at index 11 in the columns \['a', 'c'\]: categories or missing"):
        check_rows(rows, [["a"], ["b"], ["a", "c"]], start=10)
    with pytest.raises(ValueError, match="the first at index 1: categories or missing values that were not there"):
        check_rows(rows, None)


def test_beyond_float32():
    with pytest.raises(ValueError, match="the largest float32"):
        check_rows(np.array([[1e39]]), None)
