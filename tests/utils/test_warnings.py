"""Each warning of ours names the line of the user's call, whatever lies between it and the place that warns."""

import inspect
import re
import warnings

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from skaae._scoring.threshold import conformal_threshold
from skaae._utils.warnings import warn
from skaae.alibi import AdversarialAE
from tests.support.models import QUICK

pytestmark = pytest.mark.usefixtures("short_distillation")


@pytest.fixture(scope="module")
def detector(iris, iris_model):
    return AdversarialAEDetector(FrozenKerasModel(iris_model), **{**QUICK, "epochs": 0}).fit(iris[0])


def assert_warned_here(call, match):
    """The line that is named is that of the lambda which calls."""
    with pytest.warns(UserWarning, match=match) as caught:
        call()
    (warned,) = [one for one in caught if re.search(match, str(one.message))]
    source, first = inspect.getsourcelines(call)
    assert warned.filename == __file__
    assert first <= warned.lineno < first + len(source)


def test_calls_at_several_depths(detector, iris):
    X, y = iris
    few = AdversarialAEDetector(detector.classifier, **{**QUICK, "epochs": 0, "threshold_percentile": 99.9})
    too_few = "too few to promise"
    assert_warned_here(lambda: conformal_threshold(np.arange(9.0), 95), too_few)
    assert_warned_here(lambda: detector.infer_threshold(X[:10]), too_few)
    assert_warned_here(lambda: few.fit(X), too_few)
    assert_warned_here(lambda: few.fit_predict(X), too_few)
    assert_warned_here(lambda: make_pipeline(FunctionTransformer(), few).fit(X), too_few)
    assert_warned_here(lambda: CorrectedClassifier(few.set_params(classifier=LogisticRegression())).fit(X, y), too_few)


def test_facade_of_alibi_detect(detector, iris):
    facade = AdversarialAE(ae=detector.autoencoder_, model=detector.classifier.model)
    assert_warned_here(lambda: facade.infer_threshold(iris[0][:10]), "too few to promise")


def test_files(detector, tmp_path, monkeypatch):
    with monkeypatch.context() as other:
        other.setattr("skaae._persistence.version", lambda package: "0.0.9")
        joblib.dump(detector, tmp_path / "detector.joblib")
    with pytest.warns(UserWarning, match="skaae 0.0.9") as caught:
        joblib.load(tmp_path / "detector.joblib")
    assert {one.filename for one in caught} == {__file__}


def test_category():
    with pytest.warns(DeprecationWarning, match="old"):
        warn("old", DeprecationWarning)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(FutureWarning, match="new"):
            warn(FutureWarning("new"))
