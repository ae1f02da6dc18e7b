"""Classifiers through the converters: what agrees is taken, what does not is refused by name."""

import numpy as np
import onnxruntime
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.multiclass import OneVsRestClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier

from skaae._classifiers.adapters import PredictProbaClassifier
from skaae.onnx._classifiers import classifier_model, computes_in_float64

KINDS = {
    "naive Bayes": GaussianNB(),
    "neighbors": KNeighborsClassifier(),
    "SVC": CalibratedClassifierCV(SVC(), ensemble=False, cv=2),
    "XGBoost": XGBClassifier(n_estimators=10, n_jobs=1),
    "bagging": BaggingClassifier(n_estimators=3, random_state=0),
    "bagging of some features": BaggingClassifier(GaussianNB(), n_estimators=3, max_features=2, random_state=0),
    "voting": VotingClassifier([("a", GaussianNB()), ("b", RandomForestClassifier(5, random_state=0))], voting="soft"),
    "weighted voting": VotingClassifier(
        [("a", GaussianNB()), ("b", "drop"), ("c", KNeighborsClassifier())], voting="soft", weights=[3, 1, 1]
    ),
    "forest after a scaler": make_pipeline(StandardScaler(), "passthrough", RandomForestClassifier(10, random_state=0)),
    "neighbors after a scaler": FrozenEstimator(make_pipeline(StandardScaler(), KNeighborsClassifier())),
}

# skl2onnx reads attributes that scikit-learn 1.9 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:Attribute `prob[AB]_` was deprecated:FutureWarning")


def run(model, X):
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": X})[0]


@pytest.mark.parametrize("kind", KINDS)
def test_same_probabilities(kind):
    X, y = load_iris(return_X_y=True)
    rows = X + np.random.default_rng(0).normal(size=X.shape)
    classifier = KINDS[kind]
    getattr(classifier, "estimator", classifier).fit(X, y) if kind.endswith("scaler") else classifier.fit(X, y)
    found = run(classifier_model(PredictProbaClassifier(classifier), 4), rows)
    np.testing.assert_allclose(found, classifier.predict_proba(rows), atol=2e-6)


def test_rows_of_zeros():
    """One-vs-rest of trees, where each binary classifier says no."""
    X, y = load_iris(return_X_y=True)
    trees = OneVsRestClassifier(DecisionTreeClassifier(random_state=0)).fit(X[::3, :2], y[::3])
    assert (trees.predict_proba(X[:, :2]) == 0).all(axis=1).any()
    classifier = PredictProbaClassifier(trees)
    found = run(classifier_model(classifier, 2), X[:, :2])
    np.testing.assert_allclose(found, classifier.predict_proba(X[:, :2]), atol=2e-6)


@pytest.mark.parametrize("kind", ["bagging", "bagging of some features", "voting", "weighted voting"])
def test_means_in_float64(kind):
    """Years lose digits in float32. Only the sums over trees are rounded."""
    random = np.random.default_rng(0)
    X = np.c_[random.integers(2000, 2006, 300), random.normal(size=300), random.integers(0, 2, 300)].astype(float)
    classifier = clone(KINDS[kind]).fit(X, X[:, 1] + X[:, 2] > 0.5)
    found = run(classifier_model(PredictProbaClassifier(classifier), 3), X)
    np.testing.assert_allclose(found, classifier.predict_proba(X), rtol=0, atol=1e-7)


def test_precision():
    X, y = load_iris(return_X_y=True)
    is_float64 = {
        kind: computes_in_float64(classifier_model(PredictProbaClassifier(clone(KINDS[kind]).fit(X, y)), 4))
        for kind in ("naive Bayes", "neighbors", "XGBoost", "bagging", "bagging of some features", "SVC")
    }
    assert [kind for kind, is_wide in is_float64.items() if is_wide] == [
        "naive Bayes",
        "neighbors",
        "bagging of some features",
    ]


class Own:
    """A classifier that no converter has heard of."""

    classes_ = np.array([0, 1])

    def predict_proba(self, X):
        return np.full((len(X), 2), 0.5)


@pytest.mark.parametrize(
    "classifier",
    [
        pytest.param(GaussianProcessClassifier(), id="needs an operator of one vendor"),
        pytest.param(CalibratedClassifierCV(SVC(), method="isotonic", cv=2), id="converted wrongly"),
        pytest.param(BaggingClassifier(SVC(), n_estimators=3), id="votes of members without probabilities"),
    ],
)
def test_refused(classifier):
    X, y = load_iris(return_X_y=True)
    classifier.fit(X[:100], y[:100])
    with pytest.raises(TypeError, match=f"classifier={type(classifier).__name__} cannot be exported to ONNX"):
        classifier_model(PredictProbaClassifier(classifier), 4)


def test_unknown_classifier():
    with pytest.raises(TypeError, match="classifier=Own cannot be exported to ONNX: "):
        classifier_model(PredictProbaClassifier(Own()), 4)
