"""Both attack libraries take the defense, and an attack that knows of it does more harm."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.exceptions import NotFittedError

from skaae import AdversarialAEDetector, attack_target
from tests.support.models import QUICK

pytestmark = pytest.mark.usefixtures("short_distillation")

SIZE = 0.3


@pytest.fixture(scope="module")
def detector(cancer, cancer_model):
    return AdversarialAEDetector(cancer_model, **QUICK).fit(cancer[0])


@pytest.fixture(scope="module")
def defense(cancer, cancer_model):
    return AdversarialAEDetector(cancer_model, epochs=30, random_state=0).fit(cancer[0])


def with_foolbox(target, X, y):
    import foolbox

    victim = foolbox.TensorFlowModel(target, bounds=(-20, 20))
    tf.random.set_seed(0)
    attack = foolbox.attacks.LinfPGD(steps=30)
    return attack(victim, tf.constant(X, tf.float32), tf.constant(y), epsilons=SIZE)[1].numpy()


def with_art(target, X, y):
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    victim = TensorFlowV2Classifier(target, nb_classes=2, input_shape=X.shape[1:], loss_object=loss)
    attack = ProjectedGradientDescent(victim, eps=SIZE, eps_step=SIZE / 10, max_iter=30, verbose=False)
    return attack.generate(X.astype(np.float32), y)


# What the libraries say on their first import.
@pytest.mark.filterwarnings("ignore:PyTorch not found:UserWarning")
@pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")
@pytest.mark.slow
@pytest.mark.parametrize("attack", [with_foolbox, with_art])
def test_knowing_attack(defense, cancer, attack):
    X, y = cancer[0][::4], cancer[1][::4]
    accuracy = {}
    for through in ("classifier", "defense", "both"):
        attacked = attack(attack_target(defense, through), X, y)
        assert 0 < np.abs(attacked - X).max() <= SIZE + 1e-5
        accuracy[through] = np.mean(defense.correct(attacked).corrected == y)
    assert min(accuracy["defense"], accuracy["both"]) < accuracy["classifier"]


def test_logits_are_those_of_the_predictions(detector, cancer):
    X = cancer[0]
    found = detector._results(X, "probabilities", "probabilities_reconstructed").values()
    given, reconstructed = (np.log(values) for values in found)
    for through, wanted in [("classifier", given), ("defense", reconstructed), ("both", given + reconstructed)]:
        np.testing.assert_allclose(attack_target(detector, through)(X), wanted, rtol=1e-4, atol=1e-4)


def test_nothing_of_it_can_be_trained(detector):
    assert attack_target(detector).trainable_variables == []


def test_surrogate_is_attacked_where_there_is_no_gradient(iris, iris_forest):
    detector = AdversarialAEDetector(iris_forest, **QUICK).fit(iris[0])
    labels = attack_target(detector, "classifier")(iris[0]).numpy().argmax(axis=1)
    assert np.mean(labels == iris_forest.predict(iris[0])) > 0.9


def test_bad_input(detector, iris_model):
    with pytest.raises(ValueError, match=r"through must be one of .*, got 'joint'"):
        attack_target(detector, "joint")
    with pytest.raises(NotFittedError):
        attack_target(AdversarialAEDetector(iris_model))
