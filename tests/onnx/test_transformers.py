"""Transformers in a graph: the same numbers as from scikit-learn, and an error that names a step without conversion."""

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from skaae._classifiers.frames import MissingValues
from skaae.onnx._inputs import Inputs
from skaae.onnx._transformers import transformer_model

random = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "amount": random.lognormal(size=60),
        "hour": random.integers(0, 24, 60),
        "country": random.choice(["DE", "FR", "US"], 60),
        "score": random.integers(1, 4, 60),
    }
)
STEPS = {
    "columns": [make_column_transformer((OneHotEncoder(), ["country"]), (StandardScaler(), ["hour", "amount"]))],
    "rest passes": [make_column_transformer((OrdinalEncoder(), ["country", "score"]), remainder="passthrough")],
    "rest is dropped": [make_column_transformer((OneHotEncoder(), ["country"]), ("drop", ["hour"]))],
    "steps behind": [
        make_column_transformer((OneHotEncoder(sparse_output=False), ["country"]), remainder=StandardScaler()),
        PCA(3),
    ],
    "several steps for some columns": [
        make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(drop="first")), ["country"]),
            (make_pipeline(SimpleImputer(), StandardScaler()), ["amount"]),
        )
    ],
    "columns in columns": [
        make_column_transformer(
            (
                make_column_transformer((OneHotEncoder(sparse_output=False), ["country"]), remainder="passthrough"),
                ["score", "country"],
            ),
            remainder=StandardScaler(),
        )
    ],
    "union": [
        make_column_transformer((OrdinalEncoder(), ["country"]), remainder="passthrough"),
        FeatureUnion(
            [("a", StandardScaler()), ("b", "passthrough"), ("c", "drop"), ("d", PCA(2))], transformer_weights={"d": 3}
        ),
    ],
}


def run(model, inputs, X):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs.feed(X))[0]


@pytest.mark.parametrize("kind", STEPS)
def test_tables(kind):
    pipeline = make_pipeline(*STEPS[kind]).fit(TABLE)
    steps = [step for _, step in pipeline.steps]
    inputs = Inputs.of(steps, 4, pipeline.feature_names_in_)
    wanted = pipeline.transform(TABLE)
    wanted = wanted.toarray() if hasattr(wanted, "toarray") else wanted
    np.testing.assert_allclose(run(transformer_model(steps, inputs), inputs, TABLE), wanted, rtol=0, atol=1e-12)


def test_what_is_refused_is_not_finite():
    """Comparisons and lookups would make numbers of missing values and unknown categories."""
    steps = [
        make_column_transformer(
            (OneHotEncoder(), ["country"]),
            (KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf"), ["amount"]),
            (make_pipeline(StandardScaler(), Binarizer()), ["hour"]),
        ).fit(TABLE)
    ]
    inputs = Inputs.of(steps, 4, list(TABLE))
    model = transformer_model(steps, inputs, may_miss=True)
    rows = TABLE[:5].astype({"hour": float})
    rows.loc[1, "country"] = "XX"
    rows.loc[2, "amount"] = np.nan
    rows.loc[3, "hour"] = np.nan
    assert np.isfinite(run(model, inputs, rows)).all(axis=1).tolist() == [True, False, False, False, True]


def test_unknown_categories_are_not_missing_values():
    steps = [make_column_transformer((OneHotEncoder(), ["country"]), remainder="passthrough").fit(TABLE)]
    columns = MissingValues(np.zeros(6))
    inputs = Inputs.of(steps, 4, list(TABLE))
    rows = TABLE[:3].copy()
    rows.loc[1, "country"] = "XX"
    rows.loc[2, "amount"] = np.nan
    found = run(transformer_model(steps, inputs, columns, may_miss=True), inputs, rows)
    assert np.isfinite(found).all(axis=1).tolist() == [True, False, True]
    assert found[2, 6:].tolist() == [0, 0, 0, 1, 0, 0]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        pytest.param(FunctionTransformer(np.sinh), "FunctionTransformer: func=sinh is not one of the", id="function"),
        pytest.param(FunctionTransformer(lambda X: X), "FunctionTransformer: func=<lambda> is not", id="lambda"),
        pytest.param(FunctionTransformer(np.log1p, kw_args={"dtype": np.float32}), "func=log1p is not", id="arguments"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_unknown_transformer(step, message):
    X = TABLE[["amount", "hour"]].to_numpy(dtype=float)
    steps = [StandardScaler().fit(X), step.fit(X)]
    start = r"steps before the detector, \['StandardScaler', 'FunctionTransformer'\], cannot be exported to ONNX: "
    with pytest.raises(TypeError, match=start + f".*{message}"):
        transformer_model(steps, Inputs.of(steps, 2, None))


def test_text_that_no_encoder_reads():
    steps = [make_column_transformer((OneHotEncoder(), ["country"]), remainder="passthrough").fit(TABLE)]
    steps += [FeatureUnion([("a", VarianceThreshold())]).fit(steps[0].transform(TABLE))]
    transformer_model(steps, Inputs.of(steps, 4, list(TABLE)))
    both = make_column_transformer((OneHotEncoder(), ["country"]), ("passthrough", ["country"])).fit(TABLE)
    with pytest.raises(TypeError, match="the columns 'passthrough' of ColumnTransformer: it takes text"):
        transformer_model([both], Inputs.of([both], 4, list(TABLE)))
