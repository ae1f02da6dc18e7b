"""Every comparison and every tie of the trees is the classifier's own."""

import numpy as np
import onnxruntime
import pytest
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from skaae.onnx._assembly import Assembly
from skaae.onnx._trees import add_trees

LOADERS = {"two classes": load_breast_cancer, "three classes": load_iris}
KINDS = {
    "forest": RandomForestClassifier(100, random_state=0),
    "shallow forest": RandomForestClassifier(20, max_depth=2, random_state=0),
    "extra trees": ExtraTreesClassifier(30, random_state=0),
    "tree": DecisionTreeClassifier(max_depth=4, random_state=0),
    "gradient boosting": GradientBoostingClassifier(n_estimators=10, random_state=0),
    "gradient boosting from zero": GradientBoostingClassifier(n_estimators=5, init="zero", random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "LightGBM": LGBMClassifier(n_estimators=20, n_jobs=1, verbose=-1),
}


def run(classifier, X):
    assembly = Assembly("trees", {"x": (np.float64, X.shape[1:])})
    probabilities = add_trees(classifier, assembly, "x")
    model = assembly.model({"probabilities": (probabilities, np.float64, (len(classifier.classes_),))})
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": X})[0]


def thresholds(classifier):
    """Feature and threshold of every node of a forest of scikit-learn."""
    trees = [tree.tree_ for tree in classifier.estimators_]
    inner = [tree.feature >= 0 for tree in trees]
    parts = [
        [getattr(tree, name)[i] for tree, i in zip(trees, inner, strict=True)] for name in ("feature", "threshold")
    ]
    return map(np.concatenate, parts)


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_and_labels(kind, name):
    X, y = LOADERS[name](return_X_y=True)
    noise = np.random.default_rng(0).normal(size=(3, *X.shape)) * X.std(axis=0)
    rows = np.concatenate([X, *(X + scale * noise[i] for i, scale in enumerate((0.1, 0.5, 2)))])
    classifier = KINDS[kind].fit(X, y)
    found, wanted = run(classifier, rows), classifier.predict_proba(rows)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(found.argmax(axis=1), wanted.argmax(axis=1))


@pytest.mark.parametrize(
    ("kind", "missing_in_fit"),
    [
        *((kind, True) for kind in KINDS if "gradient" not in kind),
        ("histogram boosting", False),
        ("LightGBM", False),
    ],
)
def test_missing_values(kind, missing_in_fit):
    X, y = load_iris(return_X_y=True)
    random = np.random.default_rng(0)
    rows = np.where(random.random(X.shape) < 0.3, np.nan, X)
    classifier = clone(KINDS[kind]).fit(rows if missing_in_fit else X, y)
    np.testing.assert_allclose(run(classifier, rows), classifier.predict_proba(rows), rtol=1e-6, atol=1e-7)


def test_equal_votes_and_rows_on_thresholds(cancer):
    """The rows that float32 thresholds, or votes divided before they are added, put elsewhere."""
    X, y = cancer
    forest = RandomForestClassifier(100, random_state=0).fit(X, y)
    rows = np.concatenate([X + np.random.default_rng(0).normal(size=X.shape) for _ in range(6)])
    feature, threshold = (values[: len(rows)] for values in thresholds(forest))
    place = np.arange(len(feature))
    rows[place, feature] = threshold + np.array([-1e-12, 0, 1e-12])[place % 3] * np.abs(threshold)
    found, wanted = run(forest, rows), forest.predict_proba(rows)
    assert (wanted[:, 0] == wanted[:, 1]).sum() >= 10
    np.testing.assert_array_equal(found.argmax(axis=1), wanted.argmax(axis=1))
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


def test_what_is_refused():
    X, y = load_iris(return_X_y=True)
    assembly = Assembly("refused", {"x": (np.float64, (4,))})
    assert add_trees(GaussianNB().fit(X, y), assembly, "x") is None
    with pytest.raises(TypeError, match="loss='log_loss'"):
        add_trees(GradientBoostingClassifier(n_estimators=2, loss="exponential").fit(X, y > 0), assembly, "x")
    with pytest.raises(TypeError, match="multiclassova"):
        add_trees(LGBMClassifier(n_estimators=2, objective="multiclassova", verbose=-1).fit(X, y), assembly, "x")
    with pytest.raises(TypeError, match="zero_as_missing"):
        add_trees(LGBMClassifier(n_estimators=2, zero_as_missing=True, verbose=-1).fit(X, y), assembly, "x")
