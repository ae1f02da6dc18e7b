import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, OneHotEncoder, OrdinalEncoder, StandardScaler

from skaae._classifiers.encoded_columns import rules_of_transformers

X = np.column_stack([np.arange(60) % 3, np.arange(60) % 2, np.linspace(0, 1, 60)])
y = np.arange(60) % 2


def rules(*steps):
    pipeline = make_pipeline(*steps, LogisticRegression()).fit(X, y)
    return rules_of_transformers(pipeline, pipeline[:-1].transform(X).shape[1])


def in_columns(encoder, *rest):
    return ColumnTransformer([("numbers", "passthrough", [2]), ("encoded", encoder, [0, 1]), *rest], sparse_threshold=0)


@pytest.mark.parametrize(
    ("encoder", "groups", "may_be_zero"),
    [
        (OneHotEncoder(), [[1, 2, 3], [4, 5]], [False, False]),
        (OneHotEncoder(drop="first"), [[1, 2], [3]], [True, True]),
        (OneHotEncoder(drop="if_binary"), [[1, 2, 3], [4]], [False, True]),
        (OneHotEncoder(min_frequency=25), [[2, 3]], [False]),
        (make_pipeline(FunctionTransformer(), OneHotEncoder()), [[1, 2, 3], [4, 5]], [False, False]),
        (
            KBinsDiscretizer([3, 2], encode="onehot", strategy="uniform"),
            [[1, 2, 3], [4, 5]],
            [False, False],
        ),
    ],
)
def test_groups(encoder, groups, may_be_zero):
    found = rules(in_columns(encoder))
    assert (found["groups"], found["may_be_zero"], found["codes"]) == (groups, may_be_zero, [])


def test_codes():
    assert rules(in_columns(OrdinalEncoder()))["codes"] == [(1, 0, 2), (2, 0, 1)]
    bins = KBinsDiscretizer(2, encode="ordinal", quantile_method="averaged_inverted_cdf")
    assert rules(StandardScaler(), bins)["codes"] == [(0, 0, 1), (1, 0, 1), (2, 0, 1)]
    unknown = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    assert rules(in_columns(unknown))["codes"] == [(1, 0, 2), (2, 0, 1)]


@pytest.mark.parametrize("step", [StandardScaler(), PCA(2)])
def test_columns_that_a_later_step_changes_are_free(step):
    assert not any(rules(in_columns(OneHotEncoder()), step).values())
