import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.feature_selection import SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    StandardScaler,
    TargetEncoder,
)

from skaae._classifiers.inversion import inverted

X = pd.DataFrame({"a": [1.0, np.nan, 4.0, 7.0], "job": ["cook", "baker", "cook", "clerk"], "b": [0.0, 1.0, 2.0, 5.0]})
Y = [0, 1, 0, 1]


def inverse_of(*transformers):
    """The columns of X, taken from what the transformers make of it."""
    pipeline = make_pipeline(*transformers, GaussianNB()).fit(X, Y)
    rows = pipeline[:-1].transform(X)
    return inverted(pipeline, rows)


def check_inverse(values):
    a, job, b = values
    np.testing.assert_allclose(a[[0, 2, 3]].astype(float), [1, 4, 7])
    assert job.tolist() == X["job"].tolist()
    np.testing.assert_allclose(b.astype(float), X["b"], atol=1e-12)


@pytest.mark.parametrize("encoder", [OneHotEncoder(sparse_output=False), OrdinalEncoder()])
def test_each_column_comes_back_from_where_the_transformers_put_it(encoder):
    numbers = make_pipeline(SimpleImputer(add_indicator=True), "passthrough")
    check_inverse(inverse_of(make_column_transformer((encoder, ["job"]), (numbers, ["a"]), ("passthrough", ["b"]))))


def test_scalers_around_encoders():
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    columns = make_column_transformer((OrdinalEncoder(), ["job"]), (numbers, ["b", "a"]))
    check_inverse(inverse_of(columns, StandardScaler()))


def test_functions_with_an_inverse():
    logarithm = FunctionTransformer(np.log1p, np.expm1, feature_names_out="one-to-one")
    columns = make_column_transformer((logarithm, ["b"]), (OrdinalEncoder(), ["job"]), (SimpleImputer(), ["a"]))
    check_inverse(inverse_of(columns))


def test_columns_of_transformers_without_an_inverse_are_unknown():
    numbers = make_pipeline(SimpleImputer(), PolynomialFeatures())
    columns = make_column_transformer((TargetEncoder(cv=2), ["job"]), (numbers, ["a"]), (StandardScaler(), ["b"]))
    a, job, b = inverse_of(columns)
    assert a is None
    assert job is None
    np.testing.assert_allclose(b, X["b"])


def test_columns_that_were_dropped_are_unknown():
    a, job, b = inverse_of(make_column_transformer((SimpleImputer(), ["a", "b"])), SelectKBest(k=1))
    assert [column is None for column in (a, job, b)].count(True) == 2
