import numpy as np
import pytest
from sklearn.base import clone
from sklearn.ensemble import IsolationForest
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier
from skaae.metrics import TruePositiveRateAt, corrected_accuracy, defense_report, detection_auc
from tests.support.models import QUICK

pytestmark = pytest.mark.usefixtures("short_distillation")


class Scores:
    """An outlier detector whose rows are their adversarial scores."""

    def score_samples(self, X):
        return -np.ravel(X)


ROWS = np.array([[0.1], [0.2], [0.3], [0.4], [0.35], [0.9]])
LABELS = np.array([1, 1, 1, 1, -1, -1])


@pytest.fixture(scope="module")
def detector(cancer):
    X, y = cancer
    classifier = FrozenEstimator(LogisticRegression().fit(X[::2], y[::2]))
    settings = {**QUICK, "epochs": 40, "noise": 0.3, "threshold_percentile": 70}
    return AdversarialAEDetector(classifier, **settings).fit(X[::2])


def hardly_trained(detector):
    return clone(detector).set_params(epochs=1)


@pytest.fixture(scope="module")
def fresh(cancer):
    """Rows that nothing was trained on, and the same moved across the boundary."""
    X, y = cancer
    X, y = X[1::2], y[1::2]
    return X, y, X * -0.2


class TestScorers:
    def test_detection_auc(self):
        assert detection_auc(Scores(), ROWS, LABELS) == 7 / 8

    def test_rate_at_false_alarms(self):
        assert TruePositiveRateAt(0.0)(Scores(), ROWS, LABELS) == 0.5
        assert TruePositiveRateAt(0.25)(Scores(), ROWS, LABELS) == 1.0
        assert TruePositiveRateAt() == TruePositiveRateAt(0.05)

    @pytest.mark.parametrize("scorer", [detection_auc, TruePositiveRateAt()])
    @pytest.mark.parametrize("labels", [(LABELS < 0).astype(int), np.ones(6), np.array(["a", "b"] * 3)])
    def test_other_labels_are_refused(self, scorer, labels):
        with pytest.raises(ValueError, match="both -1 for adversarial and \\+1 for normal rows"):
            scorer(Scores(), ROWS, labels)

    def test_rate_out_of_range(self):
        with pytest.raises(ValueError, match="false_alarm_rate must be in"):
            TruePositiveRateAt(5)

    @pytest.mark.slow
    def test_corrected_accuracy(self, detector, fresh):
        X, y, _ = fresh
        wanted = np.mean(detector.correct(X).corrected == y)
        assert corrected_accuracy(detector, X, y) == wanted
        pipeline = make_pipeline(FrozenEstimator(StandardScaler().fit(X * 3)), detector)
        assert corrected_accuracy(pipeline, X * 3, y) == corrected_accuracy(
            detector, StandardScaler().fit_transform(X), y
        )
        corrected = CorrectedClassifier(hardly_trained(detector)).fit(X, y)
        assert corrected_accuracy(corrected, X, y) == corrected.score(X, y)

    def test_corrected_accuracy_of_what_is_no_class_label(self, detector, fresh):
        with pytest.raises(ValueError, match="must contain class labels of the classifier"):
            corrected_accuracy(detector, fresh[0], np.full(len(fresh[0]), -1))
        with pytest.raises(TypeError, match="got IsolationForest"):
            corrected_accuracy(IsolationForest(), *fresh[:2])

    @pytest.mark.slow
    def test_in_a_search(self, detector, fresh, tmp_path):
        """Normal rows alone train; both kinds are in each test fold."""
        X, _, attacked = fresh
        rows = np.concatenate([X, attacked])
        labels = np.repeat([1, -1], len(X))
        folds = [(np.arange(len(X)), np.arange(len(rows)))]
        scoring = {"auc": detection_auc, "rate": TruePositiveRateAt(0.1)}
        search = GridSearchCV(
            hardly_trained(detector), {"temperature": [0.5, 1.0]}, scoring=scoring, cv=folds, refit="auc"
        )
        results = search.fit(rows, labels).cv_results_
        assert np.isfinite(results["mean_test_auc"]).all()
        assert np.isfinite(results["mean_test_rate"]).all()


class TestReport:
    def test_columns_are_what_they_say(self, detector, fresh):
        X, y, attacked = fresh
        report = defense_report(detector, X, y, attacked={"moved": attacked, "none": X})
        found, clean = detector.correct(attacked), detector.correct(X)
        changed = found.no_defense != clean.no_defense
        moved = report.loc["moved"]
        assert list(report.index) == ["clean", "moved", "none"]
        assert moved.accuracy_without_defense == np.mean(found.no_defense == y)
        assert moved.accuracy == np.mean(found.corrected == y)
        assert moved.accuracy_reconstructed == np.mean(found.defense == y)
        assert moved.label_changed == changed.mean() > 0.3
        assert moved.detection_rate == np.mean(found.is_adversarial[changed]) != np.mean(found.is_adversarial)
        assert moved.flagged == np.mean(found.is_adversarial)
        assert report.loc["clean"].flagged == np.mean(clean.is_adversarial)
        assert moved.undetected == np.mean((found.corrected != y) & ~found.is_adversarial)
        recalls = [np.mean(found.corrected[y == label] == label) for label in np.unique(y)]
        assert moved.recall_worst_class == min(recalls) < moved.accuracy
        pairs = found.instance_score[changed][:, None] - clean.instance_score
        assert moved.detection_auc == pytest.approx(np.mean(pairs > 0) + np.mean(pairs == 0) / 2)
        assert report.loc["none"].isna().tolist() == report.loc["clean"].isna().tolist()
        assert report.loc["clean"][["detection_auc", "detection_rate"]].isna().all()

    @pytest.mark.slow
    def test_estimators_around_the_detector(self, detector, fresh):
        X, y, attacked = fresh
        wanted = defense_report(detector, X, y, {"moved": attacked})
        search = GridSearchCV(
            CorrectedClassifier(hardly_trained(detector)), {"detector__threshold_percentile": [95.0]}, cv=2
        )
        assert defense_report(search.fit(X, y), X, y, {"moved": attacked}).shape == wanted.shape
        pipeline = make_pipeline("passthrough", FrozenEstimator(StandardScaler(with_mean=False, with_std=False).fit(X)))
        pipeline.steps.append(("detector", detector))
        assert defense_report(pipeline, X, y, {"moved": attacked}).equals(wanted)

    @pytest.mark.parametrize(
        ("attacked", "message"),
        [
            ({"moved": np.zeros((3, 30))}, r"attacked\['moved'\] has shape \(3, 30\)"),
            ({"clean": np.zeros((3, 30))}, "other than 'clean'"),
            ([np.zeros((3, 30))], "attacked must be a dict"),
        ],
    )
    def test_bad_attacks(self, detector, fresh, attacked, message):
        with pytest.raises(ValueError, match=message):
            defense_report(detector, *fresh[:2], attacked=attacked)


def test_infinite_scores_rank_highest():
    labels = np.array([1, 1, -1, -1])
    assert detection_auc(Scores(), [[0.1], [0.2], [np.inf], [1e300]], labels) == 1
    assert detection_auc(Scores(), [[0.1], [np.inf], [0.3], [0.2]], labels) == 0.5
