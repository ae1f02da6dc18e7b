"""Transformers of numbers that skaae converts itself, in float64."""

import numpy as np
import onnxruntime
import pytest
from sklearn.feature_selection import SelectFromModel, VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MinMaxScaler,
    PolynomialFeatures,
    PowerTransformer,
)
from sklearn.tree import DecisionTreeClassifier

from skaae.onnx._assembly import Assembly
from skaae.onnx._numeric_steps import KNOWN_FUNCTIONS, numeric_step

STEPS = {
    "imputer": SimpleImputer(),
    "median and indicators": SimpleImputer(strategy="median", add_indicator=True),
    "a number for missing": SimpleImputer(missing_values=0.5),
    "an empty column": SimpleImputer(),
    "an empty column that is kept": SimpleImputer(keep_empty_features=True),
    "bins": KBinsDiscretizer(4, encode="ordinal", quantile_method="averaged_inverted_cdf"),
    "bins one-hot": KBinsDiscretizer([2, 5, 3], encode="onehot-dense", strategy="uniform"),
    "bins sparse": KBinsDiscretizer(3, encode="onehot", strategy="uniform"),
    "products": PolynomialFeatures(3),
    "products of different columns": PolynomialFeatures(2, interaction_only=True, include_bias=False),
    "Yeo-Johnson": PowerTransformer(),
    "Yeo-Johnson as it is": PowerTransformer(standardize=False),
    "Box-Cox": PowerTransformer("box-cox"),
    "selection": VarianceThreshold(0.5),
    "selection by a model": SelectFromModel(DecisionTreeClassifier(random_state=0), max_features=1),
    "identity": FunctionTransformer(),
    **{function.__name__: FunctionTransformer(function) for function in KNOWN_FUNCTIONS},
}


def run(step, X):
    assembly = Assembly("step", {"x": (np.float64, (X.shape[1],))})
    result = numeric_step(step)(step, assembly, "x")
    model = assembly.model({"result": (result, np.float64, (None,))})
    return onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": X})[0]


@pytest.mark.filterwarnings("ignore:Skipping features without any observed values:UserWarning")
@pytest.mark.parametrize("kind", STEPS)
def test_same_numbers(kind):
    random = np.random.default_rng(0)
    X, step = np.round(np.exp(random.normal(size=(200, 3))), 2) + 0.01, STEPS[kind]
    if isinstance(step, SimpleImputer):
        X[random.random(X.shape) < 0.2] = step.missing_values
        if "empty" in kind:
            X[:, 1] = np.nan
    wanted = step.fit(X, X[:, -1] > 1).transform(X)
    wanted = wanted.toarray() if hasattr(wanted, "toarray") else wanted
    np.testing.assert_allclose(run(step, X), wanted, rtol=1e-12, atol=1e-12)


def test_negative_numbers():
    X = np.random.default_rng(0).normal(size=(200, 2)) * [1, 100]
    step = PowerTransformer().fit(X)
    step.lambdas_ = np.array([0.0, 2.0])
    np.testing.assert_allclose(run(step, X), step.transform(X), rtol=1e-12, atol=1e-12)
    positive = PowerTransformer("box-cox").fit(np.exp(X[:, :1]))
    assert np.isinf(run(positive, np.array([[-1.0], [0.0]]))).all()
    assert np.isnan(run(positive, np.array([[np.nan]]))).all()


def test_edges_belong_to_the_bin_above():
    X = np.arange(9.0)[:, None]
    step = KBinsDiscretizer(4, encode="ordinal", strategy="uniform").fit(X)
    np.testing.assert_array_equal(run(step, X), step.transform(X))


def test_others_are_left_to_skl2onnx():
    assert numeric_step(MinMaxScaler()) is None
