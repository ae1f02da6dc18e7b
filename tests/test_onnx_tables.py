"""Detectors of raw tables as files: the same flags, labels and scores, and the same rows are refused."""

import json
import warnings

import numpy as np
import pandas as pd
import polars
import pytest
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import FixedThresholdClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from skaae import AdversarialAEDetector, CorrectedClassifier
from skaae.onnx import OnnxDetector, to_onnx
from tests.support.models import QUICK, tiny_surrogate
from tests.support.new_process import run_python

random = np.random.default_rng(0)
N = 600
TABLE = pd.DataFrame(
    {
        "amount": random.lognormal(3, 1, N).round(2),
        "hour": random.integers(0, 24, N),
        "income": np.where(random.random(N) < 0.2, np.nan, random.lognormal(7, 0.5, N)),
        "country": random.choice(["DE", "FR", "US"], N, p=[0.6, 0.3, 0.1]),
        "channel": np.where(random.random(N) < 0.2, None, random.choice(["app", "phone", "web"], N)),
        "vip": random.random(N) < 0.3,
    }
)
LABELS = (TABLE.amount / 100 + (TABLE.hour < 6) + 1.5 * (TABLE.country == "US") > 0.7).astype(int).to_numpy()
NUMBERS = TABLE[["amount", "hour"]].astype(float)
CATEGORIES = TABLE[["amount", "country", "channel"]].astype({"country": "category", "channel": "category"})
GAPS = TABLE[["amount", "hour", "income"]]


def encoder(transformer=None):
    return make_column_transformer(
        (transformer or OneHotEncoder(), ["country", "channel"]), (SimpleImputer(), ["income"]), remainder="passthrough"
    )


def with_all_kinds():
    text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", drop="first"))
    number = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
    bins = KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf")
    return make_column_transformer(
        (text, ["country", "channel"]), (number, ["income", "amount"]), (bins, ["hour"]), (OrdinalEncoder(), ["vip"])
    )


def members():
    first = make_pipeline(encoder(), StandardScaler(), LogisticRegression())
    return [("a", first), ("b", make_pipeline(encoder(), DecisionTreeClassifier(max_depth=3, random_state=0)))]


boosting = {"n_estimators": 5, "n_jobs": 1}
histogram = HistGradientBoostingClassifier(max_iter=5, random_state=0)
unknown = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
KINDS = {
    "linear": (TABLE, make_pipeline(encoder(), StandardScaler(), LogisticRegression())),
    "all kinds of steps": (TABLE, make_pipeline(with_all_kinds(), RandomForestClassifier(10, random_state=0))),
    "codes": (TABLE, make_pipeline(encoder(OrdinalEncoder(**unknown)), XGBClassifier(**boosting))),
    "targets": (TABLE, make_pipeline(encoder(TargetEncoder()), LGBMClassifier(**boosting, verbose=-1))),
    "missing values behind": (
        TABLE,
        make_pipeline(
            make_column_transformer((OneHotEncoder(), ["country"]), ("drop", ["channel"]), remainder="passthrough"),
            histogram,
        ),
    ),
    "threshold": (TABLE, FixedThresholdClassifier(make_pipeline(encoder(), GaussianNB()), threshold=0.3)),
    "voting": (TABLE, VotingClassifier(members(), voting="soft")),
    "calibrated": (TABLE, CalibratedClassifierCV(make_pipeline(encoder(), GaussianNB()), cv=2)),
    "products and powers": (
        NUMBERS,
        make_pipeline(
            make_column_transformer((PolynomialFeatures(2), ["amount", "hour"]), (PowerTransformer(), ["amount"])),
            StandardScaler(),
            LogisticRegression(),
        ),
    ),
    "function": (
        NUMBERS,
        make_pipeline(FunctionTransformer(np.log1p, feature_names_out="one-to-one"), StandardScaler(), GaussianNB()),
    ),
    "XGBoost of a DataFrame": (NUMBERS, XGBClassifier(**boosting)),
    "LightGBM of a DataFrame": (NUMBERS, LGBMClassifier(**boosting, verbose=-1)),
    "missing values": (GAPS, histogram),
    "categories": (CATEGORIES, HistGradientBoostingClassifier(max_iter=5, categorical_features="from_dtype")),
    "categories, LightGBM": (CATEGORIES, LGBMClassifier(**boosting, verbose=-1)),
    "missing values, XGBoost": (GAPS, XGBClassifier(**boosting)),
    "missing values, array": (GAPS.to_numpy(), RandomForestClassifier(5, random_state=0)),
}
QUICK_KINDS = ("linear",)


def detector_of(X, classifier):
    half = N // 2
    classifier.fit(X[:half], LABELS[:half])
    settings = {**QUICK, "epochs": 0, "surrogate": tiny_surrogate}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of the surrogate, and of names of columns
        return AdversarialAEDetector(FrozenEstimator(classifier), **settings).fit(X[half:])


def exported(estimator, path):
    to_onnx(estimator, path)
    return OnnxDetector(path)


def assert_same(loaded, detector, X):
    found, wanted = loaded.correct(X), detector.correct(X)
    for name in ("is_adversarial", "corrected", "no_defense", "defense"):
        np.testing.assert_array_equal(found[name], wanted[name])
    np.testing.assert_allclose(found.instance_score, wanted.instance_score, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in QUICK_KINDS else pytest.mark.slow) for kind in KINDS]
)
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_same_results(kind, tmp_path):
    X, classifier = KINDS[kind]
    detector = detector_of(X, classifier)
    loaded = exported(detector, tmp_path / "file.onnx")
    assert_same(loaded, detector, X)
    row = X[7:8]
    np.testing.assert_allclose(loaded.adversarial_score(row), detector.adversarial_score(X)[7], rtol=0, atol=1e-5)


@pytest.fixture(scope="module")
def detector():
    return detector_of(*KINDS["linear"])


@pytest.fixture(scope="module")
def path(detector, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / "detector.onnx"
    to_onnx(detector, path)
    return path


def test_kinds_of_tables(detector, path):
    loaded = OnnxDetector(path)
    scores = detector.adversarial_score(TABLE)
    for X in (
        polars.from_pandas(TABLE),
        {name: TABLE[name].tolist() for name in TABLE},
        TABLE.to_numpy(),
        TABLE.convert_dtypes(),
    ):
        np.testing.assert_allclose(loaded.adversarial_score(X), scores, rtol=0, atol=1e-5)
    assert loaded.n_features_in_ == 6
    assert loaded.feature_names_in_.tolist() == list(TABLE)
    assert [item.name for item in loaded._session.get_inputs()] == list(TABLE)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (TABLE[:3].assign(country="XX"), r"index 0 in the columns \['country'\]"),
        (TABLE[:3].assign(country=None), r"index 0 in the columns \['country'\]"),
        (TABLE[:3].assign(amount=[1, 2, np.nan]), r"index 2 in the columns \['amount'\]"),
        (TABLE[:3].assign(amount=np.inf), "infinity"),
        (TABLE[:3].assign(amount="many"), "could not convert string to float"),
        (TABLE[list(TABLE)[::-1]], "must be in the same order"),
        (TABLE.drop(columns="vip"), "vip"),
    ],
)
def test_wrong_rows(detector, path, rows, message):
    loaded = OnnxDetector(path)
    for method in (loaded.predict, loaded.score_samples, loaded.correct):
        with pytest.raises(ValueError, match=message):
            method(rows)
    with pytest.raises(ValueError):  # noqa: PT011
        detector.predict(rows)


def test_no_way_back(path):
    loaded = OnnxDetector(path)
    for method in (loaded.transform, loaded.reconstruct):
        with pytest.raises(ValueError, match="cannot return rows like those of X: the classifier encodes X"):
            method(TABLE)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:X does not have valid feature names:UserWarning")
def test_rows_with_missing_values_come_back(tmp_path):
    X = GAPS.to_numpy()
    detector = detector_of(X, KINDS["missing values, array"][1])
    detector.threshold_ = 0.01
    loaded = exported(detector, tmp_path / "file.onnx")
    np.testing.assert_allclose(loaded.transform(X), detector.transform(X), rtol=1e-5)
    np.testing.assert_allclose(loaded.reconstruct(X), detector.reconstruct(X), rtol=1e-5)
    np.testing.assert_array_equal(np.isnan(loaded.transform(X)), np.isnan(X))
    unflagged = loaded.predict(X) == 1
    assert 0 < unflagged.sum() < len(X)
    np.testing.assert_array_equal(loaded.transform(X)[unflagged], X[unflagged])


NEW_PROCESS = """
    import sys
    for name in ("tensorflow", "keras", "sklearn", "scipy", "pandas", "polars", "joblib", "onnx"):
        sys.modules[name] = None  # as if it were not installed
    import json
    from skaae.onnx import OnnxDetector
    with open(sys.argv[2]) as file:
        columns = json.load(file)
    print(json.dumps(OnnxDetector(sys.argv[1]).adversarial_score(columns).tolist()))
"""


def test_new_process(detector, path):
    """A dict of columns, as a server reads it from JSON, needs no package but NumPy and ONNX Runtime."""
    columns = {name: TABLE[name].astype(object).where(TABLE[name].notna(), None).tolist() for name in TABLE}
    file = path.with_name("columns.json")
    file.write_text(json.dumps(columns))
    found = json.loads(run_python(NEW_PROCESS, path, file))
    np.testing.assert_allclose(found, detector.adversarial_score(TABLE), rtol=0, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("inner", [False, True])
def test_steps_before_the_detector(inner, tmp_path):
    """The Pipeline encodes the table, and the detector takes numbers, or encodes what the first step leaves."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression())
    steps = [encoder()]
    if inner:
        steps = [
            make_column_transformer(
                (OneHotEncoder(sparse_output=False), ["country"]),
                (OrdinalEncoder(), ["channel"]),
                remainder="passthrough",
            )
        ]
        classifier = make_pipeline(
            make_column_transformer((SimpleImputer(), [3, 6]), remainder="passthrough"), histogram
        )
    corrected = CorrectedClassifier(
        AdversarialAEDetector(classifier, **{**QUICK, "epochs": 0, "surrogate": tiny_surrogate})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        pipeline = make_pipeline(*steps, corrected).fit(TABLE, LABELS)
    loaded = exported(pipeline, tmp_path / "file.onnx")
    np.testing.assert_array_equal(loaded.correct(TABLE).corrected, pipeline.predict(TABLE))
    np.testing.assert_array_equal(loaded.correct(TABLE[list(TABLE)[::-1]]).corrected, pipeline.predict(TABLE))


@pytest.mark.slow
def test_errors_name_the_step(tmp_path):
    shout = FunctionTransformer(lambda X: X.apply(lambda column: column.str.upper()), feature_names_out="one-to-one")
    columns = make_column_transformer(
        (make_pipeline(shout, OneHotEncoder()), ["country"]), (StandardScaler(), ["amount"])
    )
    detector = detector_of(TABLE, make_pipeline(columns, LogisticRegression()))
    with pytest.raises(TypeError, match=r"before the classifier, \['ColumnTransformer'\], .*: FunctionTransformer: "):
        to_onnx(detector, tmp_path / "file.onnx")
    detector = detector_of(CATEGORIES, XGBClassifier(**boosting, enable_categorical=True))
    with pytest.raises(TypeError, match=r"classifier=XGBClassifier cannot be exported .*OneHotEncoder"):
        to_onnx(detector, tmp_path / "file.onnx")
    assert list(tmp_path.iterdir()) == []
