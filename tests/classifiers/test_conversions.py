"""Conversions have the probabilities of the original on real data, and a gradient."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, LogisticRegressionCV, SGDClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    PowerTransformer,
    RobustScaler,
    StandardScaler,
)

from skaae._classifiers.adapters import as_frozen_classifier
from skaae._classifiers.conversions import ACTIVATIONS, CLASSIFIERS, NORMS, TRANSFORMERS, convert

LOADERS = {"breast_cancer": load_breast_cancer, "wine": load_wine, "digits": load_digits}
KINDS = {
    "logistic": LogisticRegression(max_iter=50),
    "logistic newton": LogisticRegression(solver="newton-cholesky"),
    "logistic cv": LogisticRegressionCV(Cs=2, cv=2, max_iter=50),
    "sgd": SGDClassifier(loss="log_loss", random_state=0),
    "discriminant": LinearDiscriminantAnalysis(),
    "discriminant eigen": LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    **{
        f"perceptron {name}": MLPClassifier((20, 10), activation=name, max_iter=30, random_state=0)
        for name in ACTIVATIONS
    },
}
STEPS = {
    "standard": StandardScaler(),
    "standard without mean": StandardScaler(with_mean=False),
    "standard without spread": StandardScaler(with_std=False),
    "min-max": MinMaxScaler((-1, 2)),
    "min-max clipped": MinMaxScaler(clip=True),
    "robust": RobustScaler(),
    "robust without center": RobustScaler(with_centering=False),
    "maximum": MaxAbsScaler(),
    "pca": PCA(5),
    "pca whitened": PCA(5, whiten=True),
    **{f"normalizer {norm}": Normalizer(norm) for norm in NORMS},
    "passthrough": "passthrough",
    "nested": make_pipeline(StandardScaler(), PCA(6)),
}

pytestmark = pytest.mark.filterwarnings(
    "ignore::sklearn.exceptions.ConvergenceWarning",
    "ignore:The (default value|fitted attributes):FutureWarning",  # LogisticRegressionCV, on its own defaults
    "ignore:Variables are collinear:UserWarning",
)


def assert_exact(classifier, X):
    frozen = as_frozen_classifier(classifier)
    np.testing.assert_allclose(frozen.predict_proba(X), classifier.predict_proba(X), rtol=0, atol=1e-5)
    np.testing.assert_array_equal(frozen.classes_, classifier.classes_)


def gradient(model, X):
    x = tf.constant(X, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(x)
        value = tf.reduce_sum(model(x)[:, 0])
    return tape.gradient(value, x).numpy()


@pytest.mark.parametrize("data", LOADERS)
@pytest.mark.parametrize("kind", KINDS)
def test_classifier(kind, data):
    X, y = LOADERS[data](return_X_y=True)
    # Unscaled features are the hard case; the solvers of these two need scaled ones.
    scaled = StandardScaler().fit_transform(X) if kind.startswith("perceptron") or "newton" in kind else X
    classifier = clone(KINDS[kind]).fit(scaled, y)
    assert_exact(classifier, scaled)
    assert np.isfinite(gradient(convert(classifier), scaled[:5])).all()


@pytest.mark.parametrize("data", LOADERS)
@pytest.mark.parametrize("step", STEPS)
def test_pipeline(step, data):
    X, y = LOADERS[data](return_X_y=True)
    first = STEPS[step] if isinstance(STEPS[step], str) else clone(STEPS[step])
    classifier = make_pipeline(first, LogisticRegression(max_iter=50)).fit(X, y)
    assert_exact(classifier, X)
    found = gradient(convert(classifier), X[:5])
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0


def test_string_labels_and_far_away_rows():
    """Rows for which every sigmoid is exactly 0 have equal probabilities in scikit-learn."""
    X, y = load_digits(return_X_y=True)
    classifier = SGDClassifier(loss="log_loss", random_state=0).fit(X, np.array(list("abcdefghij"))[y])
    far = 50 * X
    with np.errstate(invalid="ignore"):
        wanted = np.nan_to_num(classifier.predict_proba(far), nan=0.1)  # scikit-learn 1.7 divides 0 by 0 there
    assert (wanted == 0.1).all(axis=1).any()
    np.testing.assert_allclose(as_frozen_classifier(classifier).predict_proba(far), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", NORMS)
def test_a_row_of_zeros_keeps_its_gradient_finite(norm):
    X, y = load_wine(return_X_y=True)
    classifier = make_pipeline(Normalizer(norm), LogisticRegression(max_iter=50)).fit(X, y)
    zeros = np.zeros((2, X.shape[1]))
    assert_exact(classifier, zeros)
    assert np.isfinite(gradient(convert(classifier), zeros)).all()


@pytest.mark.parametrize(
    "classifier",
    [
        RandomForestClassifier(n_estimators=3),
        make_pipeline(PowerTransformer(), LogisticRegression()),
        make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=3)),
        type("Subclass", (LogisticRegression,), {})(),
    ],
)
def test_other_kinds_have_no_conversion(classifier, iris):
    assert convert(classifier.fit(*iris)) is None


def test_other_losses_have_no_conversion(iris):
    assert convert(SGDClassifier(loss="modified_huber").fit(*iris)) is None


def test_every_entry_of_the_tables_is_tested():
    steps = {type(step) for step in STEPS.values()}
    assert set(TRANSFORMERS) <= steps
    assert {type(kind) for kind in KINDS.values()} == set(CLASSIFIERS)
