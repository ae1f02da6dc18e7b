"""Which unknown categories are refused where the classifier, and not skaae, encodes the table."""

import numpy as np
import pandas as pd
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.ensemble import VotingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skaae._classifiers.frames import FrameColumns
from skaae.onnx._unknown_categories import Unknown, unknown_categories

TABLE = pd.DataFrame({"n": np.arange(32.0), "country": ["DE", "FR", "US", None] * 8})


def voting(**options):
    columns = make_column_transformer((OneHotEncoder(**options), ["country"]), remainder="passthrough")
    return VotingClassifier([("a", make_pipeline(columns, GaussianNB()))], voting="soft")


@pytest.mark.parametrize(
    "wrap", [lambda classifier: classifier, lambda classifier: CalibratedClassifierCV(classifier, cv=2)]
)
@pytest.mark.parametrize(
    ("options", "rows", "wanted"),
    [
        ({}, TABLE, Unknown([], True)),
        ({}, TABLE[:2], Unknown(["US", None], True)),
        ({"handle_unknown": "ignore"}, TABLE[:2], Unknown(["US", None], False)),
        ({"handle_unknown": "ignore"}, TABLE, Unknown([], True)),  # they would become missing values
        ({"handle_unknown": "infrequent_if_exist", "min_frequency": 0.9}, TABLE[:2], Unknown([], False)),
    ],
)
def test_known_to_the_classifier_alone(wrap, options, rows, wanted):
    classifier = wrap(voting(**options)).fit(TABLE, np.arange(32) // 16)
    found = unknown_categories(classifier, FrameColumns.of(rows))
    assert (sorted(found[1].known, key=str), found[1].others) == (sorted(wanted.known, key=str), wanted.others)


def test_missing_values_of_categories_stay_missing():
    classifier = voting(handle_unknown="ignore").fit(TABLE, np.arange(32) // 16)
    columns = FrameColumns.of(TABLE[:2].astype({"country": pd.CategoricalDtype(["DE", "FR"])}))
    assert None not in unknown_categories(classifier, columns)[1].known
