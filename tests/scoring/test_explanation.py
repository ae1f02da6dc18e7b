"""Why rows were flagged, in names and units that an analyst knows."""

import numpy as np
import pandas as pd
import polars
import pytest
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skaae import AdversarialAEDetector, FeatureConstraints
from tests.support.models import QUICK

pytestmark = [
    pytest.mark.usefixtures("short_distillation"),
    pytest.mark.filterwarnings("ignore:The surrogate predicts:UserWarning"),
]


def payments():
    random, n = np.random.default_rng(0), 300
    frame = pd.DataFrame(
        {
            "amount": random.lognormal(3, 1, n),
            "age": random.integers(18, 80, n),
            "job": random.choice(["cook", "baker", "clerk"], n),
        },
        index=[f"payment {place}" for place in range(n)],
    )
    return frame, np.where(np.log(frame["amount"]) + (frame["job"] == "cook") > 3.3, "fraud", "ok")


X, Y = payments()


@pytest.fixture(scope="module")
def detector():
    columns = make_column_transformer((StandardScaler(), ["amount", "age"]), (OneHotEncoder(), ["job"]))
    classifier = make_pipeline(columns, LogisticRegression()).fit(X, Y)
    return AdversarialAEDetector(
        classifier, **{**QUICK, "mutable_features": ["amount", "job"], "threshold_percentile": 60}
    ).fit(X)


def test_one_line_for_each_flagged_row_and_feature_that_changed(detector):
    explanation, flagged = detector.explain(X, n_features=None), X.index[detector.predict(X) == -1]
    assert list(explanation) == [
        "row",
        "feature",
        "value",
        "repaired",
        "difference",
        "label",
        "corrected",
        "defense",
        "p_value",
    ]
    assert explanation["row"].unique().tolist() == flagged.tolist()
    assert set(explanation["feature"]) == {"amount", "job"}  # nobody can alter the age
    cells = explanation[["row", "feature"]].to_numpy()
    assert explanation["value"].tolist() == [X.loc[row, name] for row, name in cells]
    distances = explanation["difference"].abs()
    assert all(distances[lines.index].is_monotonic_decreasing for _, lines in explanation.groupby("row"))


def test_labels_and_p_values_are_those_of_the_detector(detector):
    explanation = detector.explain(X, n_features=1).set_index("row")
    correction, rows = detector.correct(X), X.index.isin(explanation.index)
    assert explanation["label"].tolist() == correction.no_defense[rows].tolist()
    assert explanation["corrected"].tolist() == correction.corrected[rows].tolist()
    assert explanation["p_value"].tolist() == detector.p_values(X)[rows].tolist()


def test_a_difference_is_in_standard_deviations_and_a_value_in_units_of_the_table(detector):
    lines = detector.explain(X, n_features=None).query("feature == 'amount'")
    in_units = (lines["repaired"] - lines["value"]).astype(float) / lines["difference"]
    assert in_units.std() < 1e-3
    assert in_units.mean() == pytest.approx(X["amount"].std(), rel=0.2)  # of the training rows


def test_what_a_row_violates(detector):
    constraints = FeatureConstraints.from_data(X, relations={"old": lambda rows: rows["age"] > 40})
    odd = X.assign(amount=-5.0)
    explanation = detector.explain(odd, n_features=1, constraints=constraints)
    is_old = odd.loc[explanation["row"], "age"] > 40
    assert explanation["violated"].tolist() == np.where(is_old, "amount", "amount, old").tolist()
    assert not is_old.all()


def test_rows_without_an_index_are_numbered():
    rows = X.drop(columns="job").to_numpy(dtype=object)
    detector = AdversarialAEDetector(LogisticRegression().fit(rows, Y), **QUICK).fit(rows)
    explanation = detector.explain(rows)
    assert explanation["row"].unique().tolist() == np.flatnonzero(detector.predict(rows) == -1).tolist()
    assert set(explanation["feature"]) == {"x0", "x1"}


def test_frames_of_polars(detector):
    explanation = detector.explain(polars.from_pandas(X))
    assert explanation["row"].unique().tolist() == np.flatnonzero(detector.predict(X) == -1).tolist()
    assert explanation["value"].tolist() == detector.explain(X)["value"].tolist()


def test_behind_a_scaler_values_are_in_the_units_before_it():
    rows = X.drop(columns="job")
    scaler = StandardScaler().set_output(transform="pandas")
    pipeline = make_pipeline(
        scaler, AdversarialAEDetector(LogisticRegression().fit(scaler.fit_transform(rows), Y), **QUICK)
    )
    scaled = pipeline.fit(rows)[:-1].transform(rows)
    explanation = pipeline[-1].explain(scaled, inverse_transform=pipeline[:-1].inverse_transform)
    values = [rows.loc[row, name] for row, name in explanation[["row", "feature"]].to_numpy()]
    np.testing.assert_allclose(explanation["value"].to_numpy(), values)


@pytest.mark.slow
def test_categories_and_missing_values_that_the_classifier_takes_itself():
    frame = X.astype({"job": "category"}).assign(amount=X["amount"].where(X["age"] > 25))
    trees = HistGradientBoostingClassifier(categorical_features="from_dtype", max_iter=5).fit(frame, Y)
    explanation = AdversarialAEDetector(trees, **QUICK).fit(frame).explain(frame, n_features=None)
    jobs = explanation.query("feature == 'job'")
    assert set(jobs["repaired"]) <= {"cook", "baker", "clerk"}
    assert (jobs["repaired"] != jobs["value"]).all()
    missing = explanation["row"].isin(frame.index[frame["amount"].isna()])
    assert "amount" not in set(explanation["feature"][missing])  # what is missing in x is missing in x'


def test_nothing_is_flagged(detector):
    rows = X[detector.predict(X) == 1]
    assert detector.explain(rows).empty
    assert "violated" in detector.explain(rows, constraints=FeatureConstraints.from_data(X))


def test_a_given_threshold_has_no_p_values():
    rows = X[["amount", "age"]]
    classifier = LogisticRegression().fit(rows, Y)
    explanation = AdversarialAEDetector(classifier, threshold=0.0, **QUICK).fit(rows).explain(rows)
    assert explanation["p_value"].isna().all()
    assert len(explanation)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"n_features": 0}, ValueError, "n_features must be an integer of at least 1, or None, got 0"),
        ({"constraints": "age > 3"}, TypeError, "constraints must be FeatureConstraints or None, got str"),
        ({"inverse_transform": 3}, TypeError, "inverse_transform must be callable or None, got int"),
        ({"inverse_transform": np.exp}, ValueError, "inverse_transform must be None where the classifier encodes X"),
    ],
)
def test_arguments_are_checked(detector, arguments, error, message):
    with pytest.raises(error, match=message):
        detector.explain(X, **arguments)


def test_an_inverse_of_another_shape():
    rows = X[["amount", "age"]]
    detector = AdversarialAEDetector(LogisticRegression().fit(rows, Y), threshold=0.0, **QUICK).fit(rows)
    with pytest.raises(ValueError, match="inverse_transform must return rows of shape"):
        detector.explain(rows, inverse_transform=lambda values: values[:, :1])


def test_images_have_no_features(images_detector):
    assert not hasattr(images_detector, "explain")


@pytest.mark.filterwarnings("ignore:.* rows are too few")
def test_imputed_values():
    frame = X.drop(columns="job").assign(amount=X["amount"].where(X["age"] > 25))
    pipeline = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression()).fit(frame, Y)
    explanation = AdversarialAEDetector(pipeline, **QUICK).fit(frame).explain(frame)
    assert explanation["repaired"].notna().all()
    assert set(explanation["feature"]) == {"amount", "age"}
