"""What M says is its own `predict`."""

import joblib
import keras
import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import make_scorer, recall_score
from sklearn.model_selection import FixedThresholdClassifier, GridSearchCV, TunedThresholdClassifierCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel, attack_target
from skaae._classifiers.label_rules import DecisionThreshold, MostProbable, OwnPredict
from skaae.onnx import OnnxDetector, to_onnx
from tests.support.models import QUICK

pytestmark = pytest.mark.usefixtures("short_distillation")

RECALL_OF_NO = make_scorer(recall_score, pos_label="no")


class Cautious(ClassifierMixin, BaseEstimator):
    """Says "yes" from a probability of 0.2."""

    def fit(self, X, y):
        self.inner_ = GaussianNB().fit(X, y)
        self.classes_, self.n_features_in_ = self.inner_.classes_, X.shape[1]
        return self

    def predict_proba(self, X):
        return self.inner_.predict_proba(X)

    def predict(self, X):
        return self.classes_[(self.predict_proba(X)[:, 1] >= 0.2).astype(int)]


@pytest.fixture(scope="module")
def table():
    random = np.random.default_rng(0)
    X = random.normal(size=(400, 4))
    y = np.where(X[:, 0] + 0.8 * random.normal(size=400) > 1, "yes", "no")
    return X, y


CLASSIFIERS = {
    "converted": FixedThresholdClassifier(LogisticRegression(), threshold=0.2, pos_label="yes"),
    "other label": FixedThresholdClassifier(LogisticRegression(), threshold=0.9, pos_label="no"),
    "around a pipeline": FixedThresholdClassifier(
        make_pipeline(StandardScaler(), LogisticRegression()), threshold=0.2, pos_label="yes"
    ),
    "in a pipeline": make_pipeline(
        StandardScaler(), FixedThresholdClassifier(LogisticRegression(), threshold=0.2, pos_label="yes")
    ),
    "decision function, converted": FixedThresholdClassifier(
        LogisticRegression(), threshold=-1.0, pos_label="yes", response_method="decision_function"
    ),
    "decision function, trees": FixedThresholdClassifier(
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=5),
        threshold=-1.0,
        pos_label="yes",
        response_method="decision_function",
    ),
    "tuned": TunedThresholdClassifierCV(GaussianNB(), scoring=RECALL_OF_NO, cv=2, random_state=0),
    "below every probability": FixedThresholdClassifier(GaussianNB(), threshold=0.0, pos_label="yes"),
    "in a search": GridSearchCV(FixedThresholdClassifier(GaussianNB(), pos_label="yes"), {"threshold": [0.2]}, cv=2),
    "support vectors": SVC(probability=True, random_state=0),
    "own": Cautious(),
}
CLASSIFIERS["frozen"] = FrozenEstimator(CLASSIFIERS["in a pipeline"])
EXACT = {"converted", "other label", "around a pipeline", "in a pipeline", "decision function, converted", "frozen"}
# Those that give predict another label than the most probable class for some rows.
NOT_IN_ONNX = {"decision function, trees", "own"}


def fitted(name, X, y):
    classifier = CLASSIFIERS[name]
    (classifier.estimator if name == "frozen" else classifier).fit(X, y)
    return classifier


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:The `probability` parameter:FutureWarning",
    "ignore:Attribute `prob:FutureWarning",
    "ignore:The surrogate predicts:UserWarning",
)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_labels_are_those_of_predict(name, table, tmp_path):
    X, y = table
    classifier = fitted(name, X[:200], y[:200])
    detector = AdversarialAEDetector(classifier, **QUICK).fit(X[200:])
    assert isinstance(detector.classifier_, FrozenKerasModel) == (name in EXACT), "the gradient stays exact"
    result = detector.correct(X)
    wanted = classifier.predict(X)
    assert (wanted != detector.classes_[classifier.predict_proba(X).argmax(axis=1)]).any()
    np.testing.assert_array_equal(result.no_defense, wanted)
    np.testing.assert_array_equal(result.defense, classifier.predict(detector.reconstruct(X).astype(X.dtype)))
    np.testing.assert_array_equal(result.corrected, np.where(result.is_adversarial, result.defense, wanted))
    np.testing.assert_array_equal(result.no_defense != result.defense, result.instance_score >= 1000)
    joblib.dump(detector, tmp_path / "detector.joblib")
    np.testing.assert_array_equal(joblib.load(tmp_path / "detector.joblib").correct(X).corrected, result.corrected)
    if name in NOT_IN_ONNX:
        with pytest.raises(TypeError, match="cannot be"):
            to_onnx(detector, tmp_path / "detector.onnx")
        return
    to_onnx(detector, tmp_path / "detector.onnx")
    loaded = OnnxDetector(tmp_path / "detector.onnx").correct(X)
    for part in ("no_defense", "defense", "corrected", "is_adversarial"):
        np.testing.assert_array_equal(loaded[part], result[part])


def test_rows_of_the_rare_label_are_not_lost(table):
    """With the most probable class as label, most of the alerts of a low threshold were gone."""
    X, y = table
    classifier = FixedThresholdClassifier(LogisticRegression(), threshold=0.2, pos_label="yes").fit(X[:200], y[:200])
    report = AdversarialAEDetector(classifier, **QUICK).fit(X[200:]).class_report_
    assert report.loc["yes"].calibration_rows == pytest.approx(np.sum(classifier.predict(X[200:]) == "yes") / 5, abs=1)


def test_inside_the_corrected_classifier(table):
    X, y = table
    threshold = FixedThresholdClassifier(LogisticRegression(), threshold=0.2, pos_label="yes")
    corrected = CorrectedClassifier(AdversarialAEDetector(threshold, **QUICK)).fit(X, y)
    result = corrected.detector_.correct(X)
    np.testing.assert_array_equal(corrected.predict(X), result.corrected)
    np.testing.assert_array_equal(result.no_defense, corrected.classifier_.predict(X))


def test_keras_model_below(table):
    X = table[0]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "softmax")])
    threshold = FixedThresholdClassifier(FrozenKerasModel(model, classes=["no", "yes"]), threshold=0.3, pos_label="yes")
    detector = AdversarialAEDetector(FrozenEstimator(threshold), **QUICK).fit(X)
    assert detector.classifier_.model is model
    np.testing.assert_array_equal(detector.correct(X).no_defense, threshold.predict(X))


def test_attacks_see_the_decision_threshold(table):
    X, y = table
    classifier = FixedThresholdClassifier(LogisticRegression(), threshold=0.2, pos_label="yes").fit(X, y)
    detector = AdversarialAEDetector(classifier, **QUICK).fit(X)
    for through, labels in {"classifier": "no_defense", "defense": "defense"}.items():
        logits = attack_target(detector, through)(X.astype(np.float32)).numpy()
        assert np.mean(detector.classes_[logits.argmax(axis=1)] == detector.correct(X)[labels]) > 0.99


def test_rules():
    probabilities = np.array([[0.5, 0.5], [0.8, 0.2], [0.81, 0.19]])
    for rule, labels in {
        MostProbable(): [0, 0, 0],
        DecisionThreshold(0.2): [1, 1, 0],
        DecisionThreshold(0.5): [1, 0, 0],
        DecisionThreshold(0.81, 0): [1, 1, 0],
    }.items():
        assert rule.of_probabilities(probabilities).tolist() == labels
        assert rule.of_tensor(probabilities).numpy().tolist() == labels
        near = np.log(probabilities) - rule.log_weights()
        differences = near[:, 1] - near[:, 0]
        assert [differences[row] > 0 for row in range(3) if abs(differences[row]) > 1e-9] == [
            bool(labels[row]) for row in range(3) if abs(differences[row]) > 1e-9
        ]
    with pytest.raises(TypeError, match="its predict is not that of the most probable class"):
        OwnPredict(type("Frozen", (), {"estimator": Cautious()})()).of_tensor(probabilities)
