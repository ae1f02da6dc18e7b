"""The surrogate agrees with the classifier that it stands in for, and never has a say in the score."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from lightgbm import LGBMClassifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.frozen import FrozenEstimator
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from xgboost import XGBClassifier

from skaae import AdversarialAEDetector, FrozenKerasModel
from skaae._classifiers.adapters import PredictProbaClassifier
from skaae._keras.devices import op_determinism
from skaae._training.surrogate import (
    NOISE,
    build_surrogate,
    divergence_from_targets,
    perturbed_copies,
    share_of_equal_labels,
)
from tests.support.models import PUBLISHED, QUICK, tiny_surrogate

KINDS = {
    "forest": RandomForestClassifier(20, random_state=0),
    "extra trees": ExtraTreesClassifier(20, random_state=0),
    "boosting": GradientBoostingClassifier(n_estimators=20, random_state=0),
    "histogram boosting": HistGradientBoostingClassifier(max_iter=20, random_state=0),
    "neighbors": KNeighborsClassifier(),
    "naive Bayes": GaussianNB(),
    "vote": VotingClassifier([("bayes", GaussianNB()), ("neighbors", KNeighborsClassifier())], voting="soft"),
    "calibrated": CalibratedClassifierCV(RandomForestClassifier(10, random_state=0), cv=2),
    "XGBoost": XGBClassifier(n_estimators=20, n_jobs=1),
    "LightGBM": LGBMClassifier(n_estimators=20, verbose=-1, n_jobs=1),
    "pipeline": make_pipeline(StandardScaler(), RandomForestClassifier(20, random_state=0)),
}


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def assert_stands_in_for(kind, cancer, **parameters):
    X, y = cancer
    classifier = FrozenEstimator(KINDS[kind].fit(X[::2], y[::2]))
    detector = AdversarialAEDetector(classifier, **parameters).fit(X[::2])
    assert detector.surrogate_agreement_ >= 0.9
    assert isinstance(detector.surrogate_, FrozenKerasModel)
    np.testing.assert_array_equal(detector.correct(X).no_defense, classifier.predict(X))


@pytest.mark.usefixtures("short_distillation")
@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind not in ("extra trees", "boosting", "vote", "calibrated")]
)
def test_kind(kind, cancer):
    assert_stands_in_for(kind, cancer, surrogate=tiny_surrogate, **QUICK)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_kind_by_default(kind, cancer):
    assert_stands_in_for(kind, cancer, epochs=3, random_state=0)


@pytest.mark.usefixtures("short_distillation")
@pytest.mark.filterwarnings("ignore:The `probability` parameter:FutureWarning")  # scikit-learn 1.9
def test_support_vector_machine(wine):
    X, y = wine
    machine = SVC(probability=True, random_state=0).fit(X[::2], y[::2])
    detector = AdversarialAEDetector(machine, threshold=0.5, surrogate=tiny_surrogate, **QUICK).fit(X)
    assert detector.surrogate_agreement_ >= 0.9
    np.testing.assert_array_equal(detector.correct(X).no_defense, machine.predict_proba(X).argmax(axis=1))


@pytest.fixture(scope="module")
def forest(cancer):
    return RandomForestClassifier(10, random_state=0).fit(*cancer)


@pytest.mark.usefixtures("short_distillation")
def test_score_is_that_of_the_real_classifier(cancer, forest):
    """By hand: the KL divergence between the forest's floored probabilities."""
    X, _ = cancer
    detector = AdversarialAEDetector(forest, surrogate=tiny_surrogate, **{**QUICK, **PUBLISHED}).fit(X)

    def distribution(rows):
        floored = np.maximum(forest.predict_proba(rows), 0.01)
        return floored / floored.sum(axis=1, keepdims=True)

    given, reconstructed = distribution(X), distribution(detector.reconstruct(X).astype(float))
    wanted = np.sum(given * np.log(given / reconstructed), axis=1)
    np.testing.assert_allclose(detector.adversarial_score(X), wanted, atol=1e-12)
    np.testing.assert_array_equal(detector.correct(X).defense, forest.predict(detector.reconstruct(X).astype(float)))


@pytest.mark.usefixtures("short_distillation")
@pytest.mark.parametrize("n_outputs", [1, 2])
def test_a_fit_does_not_depend_on_what_scikeras_left_behind(cancer, forest, n_outputs):
    def fitted_weights(deterministic):
        surrogate = keras.Sequential([keras.Input((30,)), keras.layers.Dense(n_outputs, activation=ends[n_outputs])])
        surrogate.set_weights([np.zeros_like(weights) for weights in surrogate.get_weights()])
        with op_determinism(deterministic):
            detector = AdversarialAEDetector(forest, surrogate=surrogate, **QUICK).fit(cancer[0])
        return [*detector.surrogate_.model.get_weights(), *detector.autoencoder_.get_weights()]

    ends = {1: "sigmoid", 2: "softmax"}
    for weights, wanted in zip(fitted_weights(True), fitted_weights(False), strict=True):
        np.testing.assert_array_equal(weights, wanted)


@pytest.mark.usefixtures("short_distillation")
def test_agreement_is_that_of_the_last_fit(iris, iris_forest, iris_model):
    detector = AdversarialAEDetector(iris_forest, surrogate=tiny_surrogate, **QUICK).fit(iris[0])
    assert hasattr(detector, "surrogate_agreement_")
    assert not hasattr(detector.set_params(classifier=iris_model, surrogate=None).fit(iris[0]), "surrogate_agreement_")


def test_gradient_of_the_divergence_is_that_of_the_cross_entropy():
    targets = tf.constant([[0.7, 0.2, 0.1], [0.05, 0.05, 0.9]])
    logits = tf.Variable([[0.3, -1.0, 2.0], [0.0, 0.0, 0.5]])

    @tf.function
    def gradients():
        with tf.GradientTape(persistent=True) as tape:
            found = divergence_from_targets(targets, tf.nn.softmax(logits))
            wanted = tf.nn.softmax_cross_entropy_with_logits(targets, logits)
        return tape.gradient(found, logits), tape.gradient(wanted, logits)

    np.testing.assert_allclose(*gradients(), atol=1e-6)


@pytest.mark.usefixtures("short_distillation")
class TestOwnSurrogate:
    def network(self, n_features=30, n_classes=2, activation="softmax"):
        keras.utils.set_random_seed(0)
        return keras.Sequential([keras.Input((n_features,)), keras.layers.Dense(n_classes, activation=activation)])

    @pytest.mark.parametrize(("n_outputs", "activation"), [(2, "softmax"), (1, "sigmoid")])
    def test_a_copy_of_the_model_is_distilled(self, cancer, forest, n_outputs, activation):
        network = self.network(n_classes=n_outputs, activation=activation)
        before = network.get_weights()
        detector = AdversarialAEDetector(forest, surrogate=network, class_thresholds=False, **QUICK).fit(cancer[0])
        np.testing.assert_array_equal(network.get_weights()[0], before[0])
        assert detector.surrogate_.model is not network
        assert detector.surrogate_agreement_ > 0.85

    def test_callable(self, cancer, forest):
        asked = []

        def build(sample_shape, n_classes):
            asked.append((sample_shape, n_classes))
            return self.network()

        AdversarialAEDetector(forest, surrogate=build, **QUICK).fit(cancer[0])
        assert asked == [((30,), 2)]

    def test_frozen_model_is_used_as_it_is_and_a_poor_one_warns(self, cancer, forest):
        network = FrozenKerasModel(self.network(), classes=[0, 1])
        detector = AdversarialAEDetector(forest, surrogate=network, **QUICK)
        with pytest.warns(UserWarning, match="The surrogate predicts .* of the held-out rows"):
            detector.fit(cancer[0])
        assert detector.surrogate_.model is network.model

    @pytest.mark.parametrize(
        ("surrogate", "error", "message"),
        [
            (lambda test: test.network(n_features=5), ValueError, r"surrogate expects samples of shape \(5,\)"),
            (lambda test: test.network(n_classes=3), ValueError, "surrogate has 3 classes.*has 2"),
            (lambda test: lambda sample_shape, n_classes: "network", TypeError, "must return a keras.Model, got str"),
            (lambda test: "network", ValueError, "'surrogate' parameter"),
        ],
    )
    def test_of_the_wrong_shape(self, cancer, forest, surrogate, error, message):
        with pytest.raises(error, match=message):
            AdversarialAEDetector(forest, surrogate=surrogate(self)).fit(cancer[0])


def test_perturbed_copies_stay_in_range(wine):
    X = wine[0].astype("float32")
    rows = perturbed_copies(X, np.random.default_rng(0))
    assert rows.shape == ((len(NOISE) + 1) * len(X), X.shape[1])
    assert rows.dtype == np.float32
    assert (rows >= X.min(axis=0)).all()
    assert (rows <= X.max(axis=0)).all()


def test_agreement_is_a_share(cancer, forest):
    classifier = PredictProbaClassifier(forest)
    surrogate = build_surrogate(None, cancer[0].astype("float32"), forest.classes_)
    same = surrogate.predict(cancer[0]) == forest.predict(cancer[0])
    with pytest.warns(UserWarning, match="surrogate"):
        assert share_of_equal_labels(surrogate, classifier, cancer[0]) == pytest.approx(same.mean())


@pytest.mark.slow
@pytest.mark.usefixtures("short_distillation")
@pytest.mark.parametrize("kind", ["forest", "pipeline"])
def test_units_of_the_features_do_not_matter(kind):
    X, y = load_wine(return_X_y=True)
    classifier = KINDS[kind].fit(X[::2], y[::2])
    settings = {"epochs": 60, "virtual_adversarial": 0, "threshold": 1.0, "random_state": 0}
    detector = AdversarialAEDetector(classifier, **settings).fit(X[::2])
    assert np.mean(detector.correct(X[1::2]).defense == y[1::2]) > 0.9


@pytest.mark.slow
def test_x_stays_near_its_reconstruction_where_there_is_a_surrogate(wine):
    X, y = wine
    classifier = RandomForestClassifier(20, random_state=0).fit(X, y)
    near, far = (
        AdversarialAEDetector(classifier, epochs=20, threshold=1.0, random_state=0, reconstruction_weight=weight).fit(X)
        for weight in (None, 0.0)
    )
    moved = [np.mean((detector.reconstruct(X) - X) ** 2) for detector in (near, far)]
    assert moved[0] < 0.7 * moved[1]
