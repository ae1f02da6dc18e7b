import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, OrdinalEncoder, PolynomialFeatures, StandardScaler

from skaae._classifiers.encoding import encoded
from skaae._classifiers.readable import readable_features

X = pd.DataFrame({"a": [1.0, 3.0, 5.0], "b": [0.0, 2.0, 7.0], "job": ["cook", "clerk", "cook"]})


def features_of(columns):
    """Features of X where x' is the next row."""
    encoding, _ = encoded(make_pipeline(columns, LogisticRegression()).fit(X, [0, 1, 1]), X)
    rows = encoding.encode(X)
    return {
        feature.name: feature
        for feature in readable_features(encoding, X, rows, np.roll(rows, -1, axis=0), list(X.columns))
    }


def test_features_have_the_units_of_the_table():
    features = features_of(make_column_transformer((OneHotEncoder(), ["job"]), (StandardScaler(), ["b", "a"])))
    assert list(features) == ["a", "b", "job"]
    np.testing.assert_allclose(features["a"].values.astype(float), X["a"])
    np.testing.assert_allclose(features["a"].repaired.astype(float), [3, 5, 1])
    assert features["job"].repaired.tolist() == ["clerk", "cook", "cook"]
    assert [features[name].columns for name in X] == [[3], [2], [0, 1]]


def test_columns_that_cannot_be_turned_back_have_the_names_of_the_transformers():
    polynomial = PolynomialFeatures(interaction_only=True, include_bias=False)
    features = features_of(make_column_transformer((polynomial, ["a", "b"]), (OneHotEncoder(), ["job"])))
    assert set(features) == {"job", "polynomialfeatures__a", "polynomialfeatures__b", "polynomialfeatures__a b"}
    np.testing.assert_allclose(features["polynomialfeatures__a b"].repaired, [6, 35, 0])


def test_distance_is_signed_for_one_column_and_a_norm_for_several():
    features = features_of(make_column_transformer((OneHotEncoder(), ["job"]), ("passthrough", ["a", "b"])))
    difference = np.array([[3.0, -4.0, -2.0, 1.0]])
    assert features["job"].distance(difference).tolist() == [5]
    assert features["a"].distance(difference).tolist() == [-2]


def test_columns_without_names_are_numbered():
    raw = X.assign(job=X["job"].astype("category"))
    columns = make_column_transformer((FunctionTransformer(np.sqrt), ["a", "b"]), (OneHotEncoder(), ["job"]))
    encoding, _ = encoded(make_pipeline(columns, LogisticRegression()).fit(raw, [0, 1, 1]), raw)
    rows = encoding.encode(raw)
    names = [feature.name for feature in readable_features(encoding, raw, rows, rows, list(raw.columns))]
    assert names == ["job", "encoded column 0", "encoded column 1"]


def test_missing_values_that_the_transformers_leave():
    raw = X.assign(a=[1.0, np.nan, 5.0])
    columns = make_column_transformer((OrdinalEncoder(), ["job"]), remainder="passthrough")
    trees = HistGradientBoostingClassifier(max_iter=2, min_samples_leaf=1)
    encoding, _ = encoded(make_pipeline(columns, trees).fit(raw, [0, 1, 1]), raw)
    rows = encoding.encode(raw)
    features = {feature.name: feature for feature in readable_features(encoding, raw, rows, rows, list(raw.columns))}
    assert features["a"].repaired.astype(float).tolist() == pytest.approx([1, np.nan, 5], nan_ok=True)
    assert features["job"].repaired.tolist() == ["cook", "clerk", "cook"]
