from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from skaae._data.column_constraints import describe_column, expected_values, project_column, violations_of_column


def line(kind="real", lowest=np.nan, highest=np.nan, categories=None):
    return SimpleNamespace(type=kind, min=lowest, max=highest, categories=categories)


@pytest.mark.parametrize(
    ("values", "kind", "bounds"),
    [
        ([1.0, 4.0, np.nan], "int", (1, 4)),
        ([1.5, -2.0], "real", (-2, 1.5)),
        (["a", "b"], "cat", (np.nan, np.nan)),
        ([True, False], "cat", (np.nan, np.nan)),
    ],
)
def test_describe_column(values, kind, bounds):
    described = describe_column(pd.Series(values), "a")
    assert described["type"] == kind
    np.testing.assert_array_equal([described["min"], described["max"]], bounds)


def test_violations_of_column():
    values = pd.Series([0.0, 1.0, 1.5, 4.0, np.nan])
    assert violations_of_column(values, line("int", 1, 3)).tolist() == [True, False, True, True, False]
    assert violations_of_column(pd.Series(["a", "x", None]), line(categories=["a"])).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("constraint", "expected"),
    [
        (line("int", 1, 3), "a whole number from 1 to 3"),
        (line("real", 0.5), "a number of at least 0.5"),
        (line("real", np.nan, 2), "a number of at most 2"),
        (line("int"), "a whole number"),
        (line(categories=["a", "b"]), "one of 'a', 'b'"),
    ],
)
def test_expected_values(constraint, expected):
    assert expected_values(constraint) == expected


@pytest.mark.parametrize("dtype", ["float32", "Float32", "float16", "int8", "Int16", "object"])
def test_columns_of_less_precision_are_projected(dtype):
    """A bound such as 0.0297 is no number of float32."""
    kind = "int" if "nt" in dtype else "real"
    projected = project_column(pd.Series([-5, 2, 7]).astype(dtype), line(kind, 0.0297, 3.0))
    assert projected.dtype == dtype
    np.testing.assert_allclose(projected.astype(float), [1 if kind == "int" else 0.0297, 2, 3], rtol=1e-3)
