"""Rows in a graph: columns are taken from a matrix or from a list of tensors in the same way."""

import numpy as np
import pytest

from skaae.onnx._assembly import Assembly
from skaae.onnx._tensors import Columns, Matrix, column, side_by_side


def test_matrix():
    assembly = Assembly("some", {"x": (np.float64, (3,))})
    rows = Matrix(assembly, "x", 3)
    assert rows.take(range(3)) is rows
    assert rows.take([1, 0]).n_columns == 2
    assert column(rows, 2)[1] is False


def test_columns():
    assembly = Assembly("some", {"a": (np.float64, (1,)), "b": (np.object_, (1,)), "c": (np.float64, (1,))})
    rows = Columns(assembly, ("a", "b", "c"), (False, True, False))
    assert column(rows, 1) == ("b", True)
    assert rows.take([0]).matrix() == "a"
    assert rows.take([2, 0]).matrix().endswith("Concat")
    with pytest.raises(TypeError, match="it takes text"):
        rows.matrix()


def test_no_columns():
    with pytest.raises(TypeError, match="it returns no columns"):
        side_by_side(Assembly("some", {}), [])
