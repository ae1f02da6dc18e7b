"""Constraints of the features of a table: inferred, read, checked, and obeyed."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest

from skaae import FeatureConstraints

METADATA = pd.DataFrame(
    {
        "feature": ["age", "amount", "country", "rate"],
        "type": ["int", "real", "cat", "real"],
        "mutable": ["FALSE", "TRUE", "TRUE", "TRUE"],
        "min": [18, 0, 0, "dynamic"],
        "max": [100, "dynamic", 3, "dynamic"],
    }
)


def small(X):
    return X["amount"] <= 10 * X["age"]


@pytest.fixture
def constraints():
    """As a metadata file of TabularBench has them."""
    return FeatureConstraints(METADATA, [small])


@pytest.fixture(name="X")
def rows():
    return pd.DataFrame(
        {
            "age": [20, 17, 30, 40],
            "amount": [1.5, -2.0, 301.0, np.nan],
            "country": [0.0, 4.0, 1.5, np.nan],
            "rate": [1e9, -1e9, 0.0, np.nan],
        },
        index=["a", "b", "c", "d"],
    )


def test_names_what_each_row_violates(constraints, X):
    found = constraints.check(X)
    assert found.columns.tolist() == ["row", "violated", "value", "expected"]
    assert found.iloc[:4].values.tolist() == [
        ["b", "age", 17, "a whole number from 18 to 100"],
        ["b", "amount", -2.0, "a number of at least 0"],
        ["b", "country", 4.0, "a whole number from 0 to 3"],
        ["c", "country", 1.5, "a whole number from 0 to 3"],
    ]
    assert found.iloc[4:, :2].values.tolist() == [["c", "small"], ["d", "small"]], "nothing is known about d's amount"


def test_projection_is_valid_and_keeps_types(constraints, X):
    before = X.copy()
    valid = constraints.project(X)
    pd.testing.assert_frame_equal(X, before)
    assert valid.dtypes.equals(X.dtypes)
    assert valid.isna().equals(X.isna())
    assert valid.loc["b"].tolist() == [18, 0, 3, -1e9]
    assert set(constraints.check(valid)["violated"]) == {"small"}, "relations are not repaired"
    pd.testing.assert_frame_equal(constraints.project(valid), valid)


def test_containers(constraints, X):
    valid = constraints.project(X)
    np.testing.assert_array_equal(constraints.project(X.to_numpy()), valid.to_numpy())
    polars = constraints.project(pl.from_pandas(X))
    assert isinstance(polars, pl.DataFrame)
    pd.testing.assert_frame_equal(polars.to_pandas(), valid.reset_index(drop=True))
    assert constraints.check(X.to_numpy())["row"].tolist() == [1, 1, 1, 2, 2, 3]
    assert len(constraints.check(X.assign(more=0))) == 6, "other columns have no constraint"
    whole = constraints.project(np.array([[17, 5, 9, 9]]))
    assert (whole.dtype, whole.tolist()) == (np.dtype(int), [[18, 5, 3, 9]])


def test_numbers_of_every_type_of_pandas():
    features = pd.DataFrame({"feature": ["n"], "type": ["int"], "min": [0.5], "max": [2.5]})
    constraints = FeatureConstraints(features)
    for values in (
        [5, -1],
        pd.array([5, None], "Int64"),
        pd.array([5.2, None], "Float64"),
        np.array([5, None], object),
    ):
        column = pd.DataFrame({"n": values})
        valid = constraints.project(column)
        assert valid.dtypes.equals(column.dtypes)
        assert valid["n"][0] == 2
        assert len(constraints.check(column)) > len(constraints.check(valid)) == 0
    text = pd.DataFrame({"n": ["many"]})
    assert constraints.check(text)["value"].tolist() == ["many"]
    assert constraints.project(text).equals(text)


def test_a_bound_of_float64_holds_for_float32():
    constraints = FeatureConstraints.from_data(pd.DataFrame({"a": [0.1, 0.7]}))
    assert constraints.check(pd.DataFrame({"a": np.array([0.1, 0.7], np.float32)})).empty


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        (np.array([-100, 5], np.int8), np.int8),
        (pd.array([-100, 5], "Int16"), pd.Int16Dtype()),
        (np.array([-0.5, 5], np.float32), np.float32),
        (pd.Categorical([-100, 5]), float),
        (pd.arrays.SparseArray([-100, 5]), float),
        (np.array([-100, 5], object), object),
    ],
    ids=lambda value: str(getattr(value, "dtype", "")),
)
def test_projection_of_types_that_cannot_take_every_number(values, dtype):
    """pandas refuses int64 in a column of int8, new categories, and any number in a sparse column."""
    constraints = FeatureConstraints(pd.DataFrame({"feature": ["n"], "type": ["int"], "min": [0], "max": [300]}))
    projected = constraints.project(pd.DataFrame({"n": values}))["n"]
    assert projected.tolist() == [0, 5]
    assert projected.dtype == dtype


def test_projection_beyond_the_range_of_the_type():
    constraints = FeatureConstraints(pd.DataFrame({"feature": ["n"], "type": ["int"], "min": [200], "max": [300]}))
    assert constraints.project(pd.DataFrame({"n": np.array([-100, 5], np.int8)}))["n"].tolist() == [200, 200]


@pytest.mark.parametrize(
    ("make", "kind", "message"),
    [
        (lambda X: pl.from_pandas(X).lazy(), TypeError, r"X is a LazyFrame.* Pass X.collect\(\)"),
        (lambda X: X[["age", *X]], ValueError, r"unique column names, got several columns named \['age'\]"),
    ],
    ids=["lazy", "doubled column"],
)
def test_no_table(constraints, X, make, kind, message):
    for call in (constraints.check, constraints.project, FeatureConstraints.from_data):
        with pytest.raises(kind, match=message):
            call(make(X))


def test_relations_of_the_same_name(X):
    """All lambdas have the same name: only the last one was checked."""
    constraints = FeatureConstraints(METADATA, [lambda X: X["age"] > 0, lambda X: X["age"] < 0])
    assert list(constraints.relations) == ["<lambda> 1", "<lambda> 2"]
    assert set(constraints.check(X[:1])["violated"]) == {"<lambda> 2"}


def test_a_relation_that_is_missing_does_not_hold(X):
    """As with NaN, which is not less than anything."""
    for dtype in ("Float64", "float64"):
        constraints = FeatureConstraints(METADATA, {"known": lambda X: X["amount"] < 1e9})
        found = constraints.check(X.astype({"amount": dtype}))
        assert found["row"][found["violated"] == "known"].tolist() == ["d"]


@pytest.mark.parametrize("kind", ["int", "real"])
def test_infinity_violates_a_bound(kind):
    """The tolerance was relative to the value, and so infinite too."""
    constraints = FeatureConstraints(pd.DataFrame({"feature": ["n"], "type": [kind], "min": [0], "max": [9]}))
    X = pd.DataFrame({"n": [np.inf, -np.inf, 9.0]})
    assert constraints.check(X)["row"].tolist() == [0, 1]
    assert constraints.project(X)["n"].tolist() == [9, 0, 9]


class TestFromData:
    X = pd.DataFrame(
        {
            "count": [1, 2, 9],
            "gaps": [1.0, np.nan, 4.0],
            "amount": [0.5, 2.0, 1.0],
            "job": ["cook", None, "baker"],
            "paid": [True, False, True],
            "size": pd.Categorical(["s", "m", "m"], categories=["s", "m", "l"]),
            "empty": [np.nan] * 3,
        }
    )

    def test_types_and_ranges(self):
        constraints = FeatureConstraints.from_data(self.X, mutable_features=["amount", "job"])
        assert constraints.features["type"].tolist() == ["int", "int", "real", "cat", "cat", "cat", "real"]
        assert constraints.features["max"][:3].tolist() == [9, 4, 2]
        assert constraints.mutable_features == ["amount", "job"]
        assert constraints.check(self.X).empty
        assert constraints.check(pl.from_pandas(self.X)).empty
        strange = self.X.assign(job="king", paid=None)
        assert constraints.check(strange)["expected"].unique().tolist() == ["one of 'baker', 'cook'"]
        assert constraints.project(strange).equals(strange), "what category would be right?"

    def test_array(self):
        constraints = FeatureConstraints.from_data(np.array([[1.5, 2.0], [0.5, 3.0]]), mutable_features=[1])
        assert constraints.mutable_features == ["x1"]
        assert constraints.project(np.array([[9.0, 2.4]])).tolist() == [[1.5, 2.0]]
        assert repr(constraints) == "FeatureConstraints(2 features, 1 immutable, relations=[])"

    @pytest.mark.parametrize(
        ("X", "message"),
        [
            (pd.DataFrame({"n": [1.0, np.inf]}), "X has infinity in the column 'n'"),
            (pd.DataFrame({"n": [1.0], "t": ["a"]})[:0], r"at least 1 row, got a table of shape \(0, 2\)"),
        ],
        ids=["infinity", "no rows"],
    )
    def test_nothing_to_infer(self, X, message):
        with pytest.raises(ValueError, match=message):
            FeatureConstraints.from_data(X)

    def test_dates(self):
        with pytest.raises(TypeError, match="dates in the column 'day'"):
            FeatureConstraints.from_data(pd.DataFrame({"day": pd.to_datetime(["2026-01-01"])}))

    def test_unknown_mutable_feature(self):
        with pytest.raises(ValueError, match=r"no features of X: \['weight'\]"):
            FeatureConstraints.from_data(self.X, mutable_features=["weight"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feature": ["age", "age"]}, "name each feature once"),
        ({"type": ["int", "float"]}, r"types that are one of .*got \['float'\]"),
        ({"min": [0, "low"]}, r"numbers as min, or 'dynamic', got \['low'\]"),
        ({"max": [-1, 1]}, r"min that is at most max, unlike \['age'\]"),
        ({"mutable": ["yes", True]}, "True or False as mutable"),
    ],
)
def test_bad_metadata(changes, message):
    features = pd.DataFrame({"feature": ["age", "debt"], "type": "int", "min": 0, "max": 1}).assign(**changes)
    with pytest.raises(ValueError, match=message):
        FeatureConstraints(features)


def test_bad_arguments(constraints, X):
    with pytest.raises(ValueError, match=r"lacks \['type'\]"):
        FeatureConstraints(pd.DataFrame({"feature": ["age"]}))
    with pytest.raises(TypeError, match="must be a DataFrame"):
        FeatureConstraints({"feature": ["age"]})
    with pytest.raises(TypeError, match="callables"):
        FeatureConstraints(METADATA, {"small": "amount < age"})
    with pytest.raises(ValueError, match=r"these are missing: \['age'\]"):
        constraints.check(X.drop(columns="age"))
    with pytest.raises(ValueError, match=r"shape \(n_samples, 4\)"):
        constraints.project(np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"relation 'one' must return a boolean for each of the 4 rows"):
        FeatureConstraints(METADATA, {"one": lambda X: True}).check(X)


def test_pickle(constraints, X):
    loaded = pickle.loads(pickle.dumps(constraints))
    pd.testing.assert_frame_equal(loaded.check(X), constraints.check(X))
