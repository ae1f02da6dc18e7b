"""What nobody can alter: mutable_features on numbers, behind transformers, and in rows that are encoded here."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import tensorflow as tf
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier, attack_target
from tests.support.models import QUICK, tiny_surrogate

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
generator = np.random.default_rng(0)
FRAME = pd.DataFrame(
    {
        "age": generator.normal(40, 10, 120),
        "job": generator.choice(["cook", "baker", "none"], 120),
        "debt": generator.normal(size=120),
    }
)
LABELS = (FRAME.debt + (FRAME.job == "cook") > 0.3).to_numpy().astype(int)
PERTURBED = {**QUICK, "noise": 0.5, "virtual_adversarial": 0.5, "virtual_adversarial_steps": 1}


def pipeline(*steps):
    columns = make_column_transformer((StandardScaler(), ["age", "debt"]), (OneHotEncoder(), ["job"]))
    return FrozenEstimator(make_pipeline(columns, *steps, LogisticRegression()).fit(FRAME, LABELS))


@pytest.fixture(scope="module")
def numeric(iris):
    """A detector that flags every row."""
    X, y = iris
    classifier = FrozenEstimator(LogisticRegression().fit(X, y))
    return AdversarialAEDetector(classifier, mutable_features=[0, 2], threshold=0.0, **PERTURBED).fit(X)


class TestNumbers:
    def test_repaired_rows_keep_them_exactly(self, numeric, iris):
        X = iris[0] + 1e-9
        repaired = numeric.transform(X)
        changed = repaired != X
        assert not changed[:, [1, 3]].any()
        assert changed[:, [0, 2]].any(axis=0).all()
        np.testing.assert_array_equal(numeric.reconstruct(X)[:, [1, 3]], X[:, [1, 3]].astype(np.float32))

    @pytest.mark.parametrize("through", ["classifier", "defense", "both"])
    def test_attacks_have_no_gradient_there(self, numeric, iris, through):
        target = attack_target(numeric, through)
        x = tf.constant(iris[0][:8], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(target(x)[:, 0])
        gradient = tape.gradient(loss, x).numpy()
        assert (gradient[:, [1, 3]] == 0).all()
        assert (gradient[:, [0, 2]] != 0).any(axis=0).all()

    @pytest.mark.slow
    def test_search_and_clone(self, numeric, iris, tmp_path):
        quick = {"threshold": None, "memory": str(tmp_path), "noise": 0, "virtual_adversarial": 0}
        detector = clone(numeric).set_params(**quick)
        assert detector.mutable_features == [0, 2]
        search = GridSearchCV(detector, {"threshold_percentile": [90, 95]}, cv=2, scoring=lambda *_: 0.0).fit(iris[0])
        assert search.best_estimator_._defense.kept == (1, 3)

    @pytest.mark.slow
    def test_none_is_all(self, iris):
        X, y = iris
        classifier = LogisticRegression().fit(X, y)
        detectors = [
            AdversarialAEDetector(classifier, mutable_features=features, **PERTURBED).fit(X)
            for features in (None, range(4))
        ]
        assert not detectors[1]._defense.kept
        first, second = (detector.adversarial_score(X) for detector in detectors)
        np.testing.assert_array_equal(first, second)

    def test_images(self, digit_images, digits_model):
        with pytest.raises(ValueError, match="mutable_features requires rows of features"):
            AdversarialAEDetector(digits_model, mutable_features=[0]).fit(digit_images[0][:20])


class TestBehindTransformers:
    def test_a_name_means_its_encoded_columns(self):
        detector = AdversarialAEDetector(pipeline(), mutable_features=["debt"], **PERTURBED).fit(FRAME)
        assert detector._defense.kept == (0, 2, 3, 4)
        rows = detector._checked(FRAME)
        np.testing.assert_allclose(detector._results(rows, "reconstruction")["reconstruction"][:, 2:], rows[:, 2:])

    @pytest.mark.parametrize("step", [PCA(3), FunctionTransformer(np.tanh)])
    def test_mixed_columns_are_refused(self, step):
        detector = AdversarialAEDetector(pipeline(step), mutable_features=["debt"], **QUICK)
        with pytest.raises(ValueError, match=r"mutable_features cannot be traced.*\['debt'\].*\['age', 'job'\]"):
            detector.fit(FRAME)
        assert not hasattr(detector, "n_features_in_"), "nothing half fitted"
        assert AdversarialAEDetector(pipeline(step), mutable_features=[0, 1, 2], **QUICK).fit(FRAME)

    def test_unknown_names(self, monkeypatch):
        detector = AdversarialAEDetector(pipeline(), mutable_features=["dept"], **QUICK)
        with pytest.raises(ValueError, match=r"mutable_features has names that are no features of X: \['dept'\]"):
            detector.fit(FRAME)
        monkeypatch.setattr(LogisticRegression, "fit", lambda *_: pytest.fail("training began"))
        untrained = make_pipeline(StandardScaler(), LogisticRegression())
        detector = AdversarialAEDetector(untrained, mutable_features=["dept"], **QUICK)
        with pytest.raises(ValueError, match="names that are no features"):
            CorrectedClassifier(detector).fit(FRAME[["age", "debt"]], LABELS)

    def test_transform_is_refused(self):
        detector = AdversarialAEDetector(pipeline(), **QUICK).fit(FRAME)
        for method in (detector.transform, detector.reconstruct):
            with pytest.raises(ValueError, match=r"cannot be turned back.*Use correct\(X\)"):
                method(FRAME)

    def test_encoded_rows(self):
        """They are what attacks on the network start from."""
        detector = AdversarialAEDetector(pipeline(), **QUICK).fit(FRAME)
        rows = detector.encode(FRAME)
        transformers = detector.classifier.estimator[:-1]
        np.testing.assert_array_equal(rows, transformers.transform(FRAME))
        labels = np.asarray(attack_target(detector, "classifier")(rows)).argmax(axis=1)
        np.testing.assert_array_equal(labels, detector.correct(FRAME).no_defense)


class TestEncodedHere:
    @pytest.fixture(scope="class")
    def detector(self, request):
        X = FRAME.assign(job=FRAME.job.astype("category"), age=FRAME.age.where(FRAME.age > 30))
        classifier = FrozenEstimator(LGBMClassifier(n_estimators=3, verbose=-1, n_jobs=1).fit(X, LABELS))
        settings = {**PERTURBED, "surrogate": tiny_surrogate, "mutable_features": ["debt"], "threshold": 0.0}
        return AdversarialAEDetector(classifier, **settings).fit(X), X

    @pytest.mark.slow
    def test_repaired_rows(self, detector):
        detector, X = detector
        X = X.set_axis(np.arange(120) * 2)
        repaired = detector.transform(X)
        pd.testing.assert_frame_equal(repaired[["age", "job"]], X[["age", "job"]])
        flagged = detector.predict(X) == -1
        assert (repaired.debt[flagged] != X.debt[flagged]).all()
        pd.testing.assert_frame_equal(repaired[~flagged], X[~flagged])
        assert list(detector.reconstruct(X).columns) == list(X.columns)

    def test_polars(self, detector):
        detector, X = detector
        repaired = detector.transform(pl.from_pandas(X))
        assert isinstance(repaired, pl.DataFrame)
        assert repaired["age"].null_count() == X.age.isna().sum()

    def test_missing_values_are_allowed(self, detector):
        assert detector[0].__sklearn_tags__().input_tags.allow_nan
        assert not AdversarialAEDetector(LogisticRegression()).__sklearn_tags__().input_tags.allow_nan
        assert not AdversarialAEDetector().__sklearn_tags__().input_tags.allow_nan


def test_a_classifier_that_is_not_fitted():
    """The rows are right: it is the classifier that is not."""
    unfitted = clone(pipeline().estimator)
    for classifier in (unfitted, FrozenEstimator(unfitted)):
        with pytest.raises(NotFittedError, match="classifier=Pipeline is not fitted"):
            AdversarialAEDetector(classifier, **QUICK).fit(FRAME)


def test_mutable_features_that_the_classifier_does_not_read():
    columns = make_column_transformer((StandardScaler(), ["age", "debt"]))
    classifier = FrozenEstimator(make_pipeline(columns, LogisticRegression()).fit(FRAME, LABELS))
    with pytest.raises(ValueError, match=r"mutable_features must contain a feature that the classifier reads.*job"):
        AdversarialAEDetector(classifier, mutable_features=["job"], **QUICK).fit(FRAME)


def test_columns_with_numbers_that_are_not_finite_are_named():
    detector = AdversarialAEDetector(pipeline(), **QUICK).fit(FRAME)
    passed_on = make_column_transformer((OneHotEncoder(), ["job"]), remainder="passthrough")
    classifier = FrozenEstimator(make_pipeline(passed_on, LogisticRegression()).fit(FRAME, LABELS))
    with pytest.raises(ValueError, match=r"X has infinity in the columns \['debt'\], or their numbers become infinite"):
        AdversarialAEDetector(classifier, **QUICK).fit(FRAME).correct(FRAME.assign(debt=np.inf))
    with pytest.raises(ValueError, match=r"X has NaN in the columns \['age', 'debt'\], which reached"):
        detector.correct(FRAME.assign(debt=np.nan, age=np.nan))
