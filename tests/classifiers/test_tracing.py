"""On which columns of X the columns behind transformers depend."""

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    Normalizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    SplineTransformer,
    StandardScaler,
    TargetEncoder,
)

from skaae._classifiers.tracing import sources_of_transformers
from skaae._classifiers.unwrapping import transformed

generator = np.random.default_rng(0)
NUMBERS = generator.normal(size=(60, 3))
LABELS = np.arange(60) % 3
FRAME = pd.DataFrame(NUMBERS, columns=["a", "b", "c"]).assign(kind=np.resize(["x", "y", "z"], 60))


def traced(X, *transformers):
    """The sources, checked: a column changes only where one of its sources does."""
    pipeline = make_pipeline(*transformers, GaussianNB()).fit(X, LABELS)
    encoded = np.asarray(transformed(pipeline, X), dtype=float)
    sources = [sorted(columns) for columns in sources_of_transformers(pipeline, X.shape[1], encoded.shape[1])]
    for column in range(X.shape[1]):
        moved = X.copy()
        values = moved.iloc[:, column] if isinstance(X, pd.DataFrame) else moved[:, column]
        values = np.asarray(values)[::-1].copy()
        if isinstance(X, pd.DataFrame):
            moved[X.columns[column]] = values
        else:
            moved[:, column] = values
        changed = (np.asarray(transformed(pipeline, moved), dtype=float) != encoded).any(axis=0)
        assert all(column in sources[place] for place in np.flatnonzero(changed))
    return sources


@pytest.mark.parametrize(
    ("transformer", "expected"),
    [
        (StandardScaler(), [[0], [1], [2]]),
        (
            KBinsDiscretizer(2, encode="onehot-dense", quantile_method="averaged_inverted_cdf"),
            [[0]] * 2 + [[1]] * 2 + [[2]] * 2,
        ),
        (KBinsDiscretizer(2, encode="ordinal", quantile_method="averaged_inverted_cdf"), [[0], [1], [2]]),
        (PolynomialFeatures(2, interaction_only=True), [[], [0], [1], [2], [0, 1], [0, 2], [1, 2]]),
        (SplineTransformer(2, degree=1), [[0]] * 2 + [[1]] * 2 + [[2]] * 2),
        (TargetEncoder(), [[0]] * 3 + [[1]] * 3 + [[2]] * 3),
        (FunctionTransformer(), [[0], [1], [2]]),
        (FunctionTransformer(np.tanh, feature_names_out="one-to-one"), [[0], [1], [2]]),
        (FunctionTransformer(np.tanh), [[0, 1, 2]] * 3),
        (Normalizer(), [[0, 1, 2]] * 3),
        (PCA(2), [[0, 1, 2]] * 2),
        (FrozenEstimator(make_pipeline(StandardScaler(), PCA(2))), [[0, 1, 2]] * 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_one_transformer(transformer, expected):
    if isinstance(transformer, FrozenEstimator):
        transformer.estimator.fit(NUMBERS)
    assert traced(NUMBERS, transformer) == expected


def test_columns():
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["kind"]),
        ("drop", ["b"]),
        (make_pipeline(SimpleImputer(), StandardScaler()), ["c"]),
        remainder="passthrough",
    )
    assert traced(FRAME, columns) == [[3], [3], [3], [2], [0]]
    assert traced(FRAME, columns, StandardScaler()) == [[3], [3], [3], [2], [0]]
    assert traced(FRAME, columns, PCA(1)) == [[0, 2, 3]]
    outer = make_column_transformer((PCA(1), ["a", "c"]), (OrdinalEncoder(), ["kind"]))
    assert traced(FRAME, outer) == [[0, 2], [3]]


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values")
def test_imputer():
    X = NUMBERS.copy()
    X[:, 1], X[::7, 2] = np.nan, np.nan
    assert traced(X, SimpleImputer(add_indicator=True)) == [[0], [2], [1], [2]]
    assert traced(X, SimpleImputer(keep_empty_features=True)) == [[0], [1], [2]]


def test_selection():
    X = NUMBERS + np.array([[0, 0, 1]]) * LABELS[:, None]
    assert traced(X, SelectKBest(k=1)) == [[2]]
