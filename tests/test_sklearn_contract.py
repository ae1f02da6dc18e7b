"""The contract with scikit-learn: every check of `check_estimator`, and the checks beyond it."""

import re
from unittest import SkipTest

import keras
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import estimator_checks_generator

from skaae import AdversarialAEDetector, CorrectedClassifier, FrozenKerasModel
from tests.support.models import QUICK

# Most checks are of parameters, names, containers and errors, which training does not change: only those whose names
# say otherwise train in `make test`. In the slow job all do, with networks and perturbations as they are by default.
UNTRAINED = {**QUICK, "epochs": 0}
TRAINS = re.compile("idempotent|train|fit_predict|pickle|dict_unchanged|overwrite|readonly|dtypes|invariance")
# What the detector inside a CorrectedClassifier does is checked with the detector; labels are the classifier's own.
OF_CLASSIFIERS = re.compile("classif|_y_|consistency|pickle|idempotent|unchanged|n_features|unfitted|is_fitted")
DEFAULT = {"virtual_adversarial_steps": 1, "epochs": 1, "random_state": 0}
# Weights are repetitions where no rows are drawn at random: tests/test_fitting.py trains in such a way. By default the
# calibration rows, the batches and the noise of each row are drawn.
EQUIVALENCE = "check_sample_weight_equivalence_on_dense_data"
BEYOND = [
    "check_param_validation",
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
]


def load_any_width(weights):
    model = AnyWidth()
    model.set_weights(weights)
    return model


class AnyWidth(keras.Model):
    """A classifier of rows of any width, since the checks use 1 to 10 features.

    Its pickle holds the weights alone. That of a plain Keras model holds the date too, so that
    joblib's hash of it, by which a check finds changed parameters, differs from second to second.
    """

    def __init__(self):
        x = keras.Input((None,))
        statistics = [keras.ops.mean(x, axis=1), keras.ops.max(x, axis=1), keras.ops.min(x, axis=1)]
        classify = keras.layers.Dense(3, activation="softmax")
        super().__init__(x, classify(keras.ops.stack(statistics, axis=1)))

    @classmethod
    def from_config(cls, config):
        return cls()

    def __reduce__(self):
        return load_any_width, (self.get_weights(),)


def make_detector(parameters=UNTRAINED):
    keras.utils.set_random_seed(0)
    return AdversarialAEDetector(FrozenKerasModel(AnyWidth()), **parameters)


def name_of(check):
    return getattr(check, "func", check).__name__


def run_without_skip(check, *arguments):
    try:
        check(*arguments)
    except SkipTest as skipped:
        pytest.fail(f"skipped: {skipped}")


def make_corrected(parameters=UNTRAINED):
    return CorrectedClassifier(AdversarialAEDetector(LogisticRegression(), **parameters))


def quick(check):
    if name_of(check) == EQUIVALENCE:
        return {**UNTRAINED, "threshold": 1.0}
    return QUICK if TRAINS.search(name_of(check)) else UNTRAINED


def checks_of(estimator):
    return [check for _, check in estimator_checks_generator(estimator, legacy=True)]


def trained(checks):
    return [check for check in checks if name_of(check) != EQUIVALENCE]


CHECKS = checks_of(make_detector())
CHECKS_OF_CORRECTED = checks_of(make_corrected())
BEYOND_OF_CORRECTED = ["check_param_validation", "check_dataframe_column_names_consistency"]


@pytest.mark.usefixtures("short_distillation")
@pytest.mark.filterwarnings("ignore:.* rows are too few to promise")  # the checks fit 10 to 30 rows
@pytest.mark.filterwarnings("ignore:X (does not have valid|has) feature names")  # provoked by the checks
class TestContract:
    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_detector(self, check):
        run_without_skip(check, make_detector(quick(check)))

    @pytest.mark.slow
    @pytest.mark.parametrize("check", trained(CHECKS), ids=name_of)
    def test_detector_by_default(self, check):
        run_without_skip(check, make_detector(DEFAULT))

    @pytest.mark.parametrize(
        "name", [pytest.param(name, marks=pytest.mark.slow if "global" in name else ()) for name in BEYOND]
    )
    def test_detector_beyond(self, name):
        run_without_skip(getattr(estimator_checks, name), "AdversarialAEDetector", make_detector())

    @pytest.mark.parametrize(
        "check", [check for check in CHECKS_OF_CORRECTED if OF_CLASSIFIERS.search(name_of(check))], ids=name_of
    )
    def test_corrected_classifier(self, check):
        run_without_skip(check, make_corrected(UNTRAINED))

    @pytest.mark.slow
    @pytest.mark.parametrize("check", trained(CHECKS_OF_CORRECTED), ids=name_of)
    def test_corrected_classifier_by_default(self, check):
        run_without_skip(check, make_corrected(DEFAULT))

    @pytest.mark.parametrize("name", BEYOND_OF_CORRECTED)
    def test_corrected_classifier_beyond(self, name):
        run_without_skip(getattr(estimator_checks, name), "CorrectedClassifier", make_corrected())


def test_the_checks_are_many():
    assert len(CHECKS) > 45
    assert 10 < sum(quick(check) is QUICK for check in CHECKS) < 20
    assert len(CHECKS_OF_CORRECTED) > 45
