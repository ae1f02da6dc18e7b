"""imbalanced-learn: steps that resample rows do so in fit alone, inside the classifier and before the detector."""

import numpy as np
import pytest
from imblearn.ensemble import BalancedRandomForestClassifier
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import RandomUnderSampler
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, CorrectedClassifier
from skaae._classifiers.adapters import ConvertedClassifier, PredictProbaClassifier
from skaae._displays.correction import _names_of_features
from skaae.metrics import corrected_accuracy, defense_report
from skaae.onnx import OnnxDetector, to_onnx
from tests.support.models import QUICK

pytestmark = pytest.mark.usefixtures("short_distillation")


@pytest.fixture(scope="module")
def rare(cancer):
    """One class is ten times as frequent as the other."""
    X, y = cancer
    kept = np.flatnonzero((y == 1) | (np.cumsum(y == 0) % 6 == 0))
    return X[kept, :5], y[kept]


def oversampled(classifier):
    return make_pipeline(StandardScaler(), SMOTE(random_state=0), classifier)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classifier", "kind"),
    [
        (oversampled(LogisticRegression()), ConvertedClassifier),
        (oversampled(HistGradientBoostingClassifier(max_iter=3)), PredictProbaClassifier),
        (BalancedRandomForestClassifier(3, random_state=0), PredictProbaClassifier),
    ],
)
def test_classifiers(rare, classifier, kind, tmp_path):
    X, y = rare
    classifier.fit(X, y)
    detector = AdversarialAEDetector(FrozenEstimator(classifier), **QUICK).fit(X)
    assert type(detector.classifier_) is kind
    np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))
    np.testing.assert_allclose(detector.classifier_.predict_proba(X), classifier.predict_proba(X), atol=1e-6)
    to_onnx(detector, tmp_path / "detector.onnx")
    found = OnnxDetector(tmp_path / "detector.onnx")
    np.testing.assert_array_equal(found.predict(X), detector.predict(X))


@pytest.mark.slow
def test_pipeline_around_the_detector(rare, tmp_path):
    X, y = rare
    classifier = FrozenEstimator(LogisticRegression().fit(StandardScaler().fit_transform(X), y))
    steps = StandardScaler(), RandomUnderSampler(random_state=0), AdversarialAEDetector(classifier, **QUICK)
    with pytest.warns(UserWarning, match="too few to promise") as caught:
        pipeline = make_pipeline(*steps).fit(X, y)
    assert {one.filename for one in caught} == {__file__}
    detector, rows = pipeline[-1], pipeline[0].transform(X)
    scores = pipeline.score_samples(X)
    assert scores.shape == (len(X),)
    np.testing.assert_array_equal(scores, detector.score_samples(rows))
    report = defense_report(detector, rows, y, {"shifted": pipeline[0].transform(X + 0.3)})
    assert defense_report(pipeline, X, y, {"shifted": X + 0.3}).equals(report)
    assert list(_names_of_features(pipeline, detector)) == [f"x{i}" for i in range(5)]
    to_onnx(pipeline, tmp_path / "detector.onnx")
    np.testing.assert_allclose(OnnxDetector(tmp_path / "detector.onnx").score_samples(X), scores, atol=1e-5)


@pytest.mark.slow
def test_corrected_classifier_resamples_what_the_classifier_is_trained_on(rare):
    X, y = rare
    corrected = CorrectedClassifier(AdversarialAEDetector(oversampled(LogisticRegression()), **QUICK)).fit(X, y)
    assert corrected.classifier_[1].sampling_strategy_[0] > 0, "the pipeline itself was fitted, not its last step"
    assert corrected_accuracy(corrected, X, y) == np.mean(corrected.predict(X) == y)
