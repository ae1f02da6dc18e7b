"""Boosting that reads categories of pandas: the same branches, also for missing categories."""

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from lightgbm import LGBMClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.naive_bayes import GaussianNB
from xgboost import XGBClassifier

from skaae._classifiers.adapters import PredictProbaClassifier
from skaae._classifiers.encoding import DecodingClassifier
from skaae._classifiers.frames import FrameColumns
from skaae.onnx._boosting import own_encoder
from skaae.onnx._classifiers import classifier_model
from skaae.onnx._unknown_categories import unknown_categories

random = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {
        "text": pd.Categorical(random.choice([*"pqrstuvw", None], 500)),
        "amount": np.where(random.random(500) < 0.1, np.nan, random.normal(size=500)),
        "number": pd.Categorical(random.choice([5, 7, 9], 500)),
    }
)
LABELS = (TABLE["text"].isin([*"psv"]) ^ (TABLE["amount"] > 0) ^ (TABLE["number"] == 7)).astype(int)
KINDS = {
    "histogram": HistGradientBoostingClassifier(max_iter=10, random_state=0, categorical_features="from_dtype"),
    "LightGBM": LGBMClassifier(n_estimators=10, n_jobs=1, min_data_per_group=5, cat_smooth=1, verbose=-1),
}


def run(classifier, rows):
    model = classifier_model(PredictProbaClassifier(classifier), rows.shape[1])
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": rows})[0]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_categories_of_pandas(kind, n_classes):
    classifier = KINDS[kind].fit(TABLE, LABELS + (n_classes - 2) * (TABLE["text"] == "p"))
    columns = FrameColumns.of(TABLE)
    found = run(DecodingClassifier(classifier, columns), columns.encode(TABLE))
    np.testing.assert_allclose(found, classifier.predict_proba(TABLE), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", KINDS)
def test_categories_by_number(kind):
    X = np.c_[TABLE["amount"], random.integers(0, 9, 500)]
    y = np.isin(X[:, 1], [1, 2, 6, 8]) ^ (X[:, 0] > 0)
    if kind == "histogram":
        classifier = HistGradientBoostingClassifier(max_iter=10, categorical_features=[1]).fit(X, y)
    else:
        classifier = KINDS[kind].fit(X, y, categorical_feature=[1])
    rows = np.vstack([X, [[0.0, np.nan], [0.0, 12.0], [np.nan, -1.0]]])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(run(classifier, rows), classifier.predict_proba(rows), rtol=1e-6, atol=1e-7)


def test_what_is_encoded():
    columns = FrameColumns.of(TABLE)
    for kind, booster in KINDS.items():
        encoder, places = own_encoder(booster.fit(TABLE, LABELS), columns)
        assert places == [0, 2], kind
        assert [*encoder.categories_[0]][:8] == [*"pqrstuvw"]
    assert own_encoder(GaussianNB().fit([[0], [1]], [0, 1])) is None
    with pytest.raises(TypeError, match="fitted on 2 columns of categories, got 1"):
        own_encoder(KINDS["LightGBM"], FrameColumns.of(TABLE[["text", "amount"]]))


@pytest.mark.parametrize("kind", KINDS)
def test_categories_that_the_detector_has_not_seen(kind):
    classifier = KINDS[kind].fit(TABLE, LABELS)
    fewer = TABLE.assign(text=TABLE["text"].where(TABLE["text"] != "p").cat.remove_categories("p"))
    found = unknown_categories(classifier, FrameColumns.of(fewer))
    assert (found[0].known, found[0].others) == (["p"], False)


def test_xgboost_is_refused():
    classifier = XGBClassifier(n_estimators=2, enable_categorical=True, n_jobs=1).fit(TABLE, LABELS)
    columns = FrameColumns.of(TABLE)
    message = (
        "classifier=XGBClassifier cannot be exported to ONNX: XGBClassifier: it takes text. Encode this with a One"
    )
    with pytest.raises(TypeError, match=message):
        classifier_model(PredictProbaClassifier(DecodingClassifier(classifier, columns)), columns.n_encoded)
