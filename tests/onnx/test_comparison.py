"""The comparison of a converted model with its original, on rows of which some are refused."""

import numpy as np
import pytest

from skaae.onnx._assembly import Assembly
from skaae.onnx._comparison import largest_difference

X = np.array([[1.0], [2.0], [-1.0], [4.0]])


def model(*operations):
    assembly = Assembly("some", {"x": (np.float64, (1,))})
    result = "x"
    for operation in operations:
        result = assembly.node(operation, result)
    return assembly.model({"result": (result, np.float64, (1,))})


def roots(rows):
    if (rows < 0).any():
        raise ValueError("negative")
    return np.sqrt(rows)


def test_equal():
    assert largest_difference(model("Sqrt"), {"x": X}, X, roots) == 0
    found = largest_difference(model("Identity"), {"x": X}, X, lambda rows: rows * [[1], [1], [1], [1.5]])
    assert found == pytest.approx(1 / 3)


def test_refused_rows_must_not_be_finite():
    assert largest_difference(model("Abs", "Sqrt"), {"x": X}, X, roots) == np.inf


def test_missing_results_are_a_difference():
    assert largest_difference(model("Sqrt"), {"x": X}, X, np.abs) == np.inf
    assert largest_difference(model("Sqrt"), {"x": X}, X, np.sqrt) == 0
