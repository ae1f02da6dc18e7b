"""Classifiers that combine others, with members that take tables with text."""

import numpy as np
import onnxruntime
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from skaae._classifiers.adapters import PredictProbaClassifier
from skaae._classifiers.encoding import DecodingClassifier
from skaae._classifiers.frames import FrameColumns
from skaae.onnx._classifiers import classifier_model

random = np.random.default_rng(0)
X = random.normal(size=(240, 3))
MEMBERS = [("a", LogisticRegression()), ("b", HistGradientBoostingClassifier(max_iter=3, random_state=0))]
KINDS = {
    "sigmoid": CalibratedClassifierCV(GaussianNB(), cv=2),
    "sigmoid of a forest": CalibratedClassifierCV(RandomForestClassifier(5, random_state=0), cv=2),
    "sigmoid of decisions": CalibratedClassifierCV(LogisticRegression(), cv=2, ensemble=False),
    "sigmoid of boosting": CalibratedClassifierCV(GradientBoostingClassifier(n_estimators=3), cv=2),
    "isotonic": CalibratedClassifierCV(LogisticRegression(), cv=2, method="isotonic"),
    "isotonic of a tree": CalibratedClassifierCV(DecisionTreeClassifier(max_depth=3), cv=2, method="isotonic"),
    "stack": StackingClassifier(MEMBERS, cv=2),
    "stack of probabilities": StackingClassifier(MEMBERS, GaussianNB(), cv=2, stack_method="predict_proba"),
    "stack with the features": StackingClassifier([*MEMBERS, ("c", "drop")], cv=2, passthrough=True),
    "voting": VotingClassifier([*MEMBERS, ("c", KNeighborsClassifier())], voting="soft", weights=[1, 2, 3]),
}


def run(classifier, rows):
    model = classifier_model(PredictProbaClassifier(classifier), rows.shape[1])
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": rows})[0]


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_same_probabilities(kind, n_classes):
    y = np.digitize(X[:, 0] + 0.5 * random.normal(size=240), np.linspace(-0.5, 0.5, n_classes - 1))
    classifier = KINDS[kind].fit(X, y)
    np.testing.assert_allclose(run(classifier, X), classifier.predict_proba(X), rtol=0, atol=1e-6)


TABLE = pd.DataFrame(
    {"amount": X[:, 0], "country": random.choice(["DE", "FR", "US"], 240), "n": random.integers(0, 9, 240)}
)
TABLE.loc[::7, "country"] = None


def pipeline(classifier):
    columns = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["country"]), remainder="passthrough")
    return make_pipeline(columns, classifier)


TABLES = {
    "voting": VotingClassifier(
        [("a", pipeline(LogisticRegression())), ("b", pipeline(DecisionTreeClassifier(max_depth=3)))], voting="soft"
    ),
    "calibrated": CalibratedClassifierCV(pipeline(GaussianNB()), cv=2),
    "stack": StackingClassifier([("a", pipeline(LogisticRegression())), ("b", pipeline(GaussianNB()))], cv=2),
}


@pytest.mark.parametrize("kind", TABLES)
def test_members_that_take_text(kind):
    classifier = TABLES[kind].fit(TABLE, TABLE["n"] + 3 * TABLE["amount"] > 4)
    columns = FrameColumns.of(TABLE)
    found = run(DecodingClassifier(classifier, columns), columns.encode(TABLE))
    np.testing.assert_allclose(found, classifier.predict_proba(TABLE), rtol=0, atol=1e-6)


def test_text_for_members_without_conversion():
    frame = TABLE.assign(country=TABLE["country"].fillna("DE"))
    classifier = CalibratedClassifierCV(pipeline(SVC()), cv=2).fit(frame, frame["n"] > 4)
    columns = FrameColumns.of(frame)
    with pytest.raises(TypeError, match=r"classifier=CalibratedClassifierCV .* CalibratedClassifierCV: it takes text"):
        classifier_model(PredictProbaClassifier(DecodingClassifier(classifier, columns)), columns.n_encoded)
