"""Odd and hostile labels, signs and other arguments of the metrics, by table."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from skaae import CorrectedClassifier
from skaae.metrics import TruePositiveRateAt, corrected_accuracy, defense_report, detection_auc
from tests.support.odd_settings import LABELS, ROWS, detector, must_not_train

pytestmark = pytest.mark.filterwarnings("ignore:.* rows are too few to promise:UserWarning")

NAMES = np.array(["a", "b", "c"])[LABELS]


def with_label(label, labels=NAMES):
    labels = labels.astype(object)
    labels[3] = label
    return labels


GOOD_LABELS = {
    "strings": NAMES,
    "objects": NAMES.astype(object),
    "negative": -LABELS,
    "large": LABELS * 2**61,
    "bool": LABELS > 0,
    "whole floats": LABELS * 1.0,
    "list": NAMES.tolist(),
    "categories": pd.Series(NAMES).astype("category"),
    "string": pd.Series(NAMES).astype("string"),
    "Arrow": pd.Series(NAMES).astype("string[pyarrow]"),
    "Int64": pd.Series(LABELS).astype("Int64"),
    "polars": pl.Series(NAMES),
    "another index": pd.Series(NAMES, index=np.arange(30)[::-1]),
}
MISSING = r"y must have a label for each sample, but 1 are missing, the first at index 3"
BAD_LABELS = {
    "NaN": (np.where(np.arange(30) == 3, np.nan, LABELS), ValueError, MISSING),
    "None": (with_label(None), ValueError, MISSING),
    "NaN among strings": (with_label(np.nan), ValueError, MISSING),
    "NA": (pd.Series(with_label(pd.NA, LABELS)).astype("Int64"), ValueError, MISSING),
    "missing category": (pd.Series(with_label(None)).astype("category"), ValueError, MISSING),
    "polars null": (pl.Series([None if place == 3 else name for place, name in enumerate(NAMES)]), ValueError, MISSING),
    "masked": (np.ma.masked_equal(LABELS, 1), ValueError, "y is a masked array with 10 masked values"),
    "mixed": (with_label(7), TypeError, r"y must have labels of one type, got labels of the types \['int', 'str'\]"),
    "ragged": ([[1], [1, 2]] * 15, ValueError, "y cannot be read as an array of labels"),
    "too few": (LABELS[:29], ValueError, "inconsistent numbers of samples"),
    "too many": (np.append(LABELS, 0), ValueError, "inconsistent numbers of samples"),
    "two columns": (np.c_[LABELS, LABELS], ValueError, "y should be a 1d array"),
    "a number": (3, ValueError, "y should be a 1d array"),
    "sparse": (scipy.sparse.csr_array(LABELS[:, None]), TypeError, "y is sparse"),
    "none": (None, ValueError, "y"),
}


class TestLabels:
    @pytest.mark.parametrize("kind", GOOD_LABELS)
    def test_of_any_kind(self, kind):
        y = GOOD_LABELS[kind]
        model = CorrectedClassifier(detector(LogisticRegression(), epochs=0)).fit(ROWS, y)
        np.testing.assert_array_equal(model.classes_, np.unique(np.asarray(y)))
        assert np.isin(model.predict(ROWS), np.asarray(y)).all()
        assert 0 <= model.score(ROWS, y) == corrected_accuracy(model, ROWS, y) <= 1
        assert defense_report(model, ROWS, y, {}).loc["clean", "accuracy"] == model.score(ROWS, y)

    @pytest.mark.parametrize("kind", BAD_LABELS)
    def test_refused(self, kind):
        class MustNotBeTrained(LogisticRegression):
            fit = must_not_train

        y, error, message = BAD_LABELS[kind]
        model = CorrectedClassifier(detector(MustNotBeTrained()))
        with pytest.raises(error, match=message):
            model.fit(ROWS, y)
        assert set(vars(model)) == {"detector"}

    def test_of_one_class(self):
        for classifier in (LogisticRegression(), RandomForestClassifier(2)):
            with pytest.raises(ValueError, match="class"):
                CorrectedClassifier(detector(classifier, preprocess=must_not_train)).fit(ROWS, LABELS * 0)


@pytest.fixture(scope="module")
def fitted():
    return detector().fit(ROWS)


class Scores:
    def __init__(self, scores):
        self.scores = scores

    def score_samples(self, X):
        return self.scores


class TestMetrics:
    SIGNS = np.where(np.arange(30) % 2, 1, -1)

    @pytest.mark.parametrize("kind", BAD_LABELS)
    def test_labels_are_refused(self, fitted, kind):
        y, error, message = BAD_LABELS[kind]
        for call in (corrected_accuracy, lambda *arguments: defense_report(*arguments, {})):
            with pytest.raises(error, match=message):
                call(fitted, ROWS, y)

    @pytest.mark.parametrize("scorer", [detection_auc, TruePositiveRateAt(0.1)])
    @pytest.mark.parametrize(
        ("y", "error", "message"),
        [
            (np.where(np.arange(30) == 3, np.nan, SIGNS), ValueError, MISSING),
            (with_label(None, SIGNS), ValueError, MISSING),
            (np.ma.masked_equal(SIGNS, 1), ValueError, "y is a masked array with 15"),
            (with_label("x", SIGNS), TypeError, "y must have labels of one type"),
            (SIGNS.astype(str), ValueError, "-1 for adversarial"),
            (SIGNS > 0, ValueError, "-1 for adversarial"),
            (SIGNS[:29], ValueError, "inconsistent numbers of samples"),
            (SIGNS[:0], ValueError, "-1 for adversarial"),
            (None, ValueError, "y should be a 1d array"),
        ],
    )
    def test_signs_are_refused(self, fitted, scorer, y, error, message):
        with pytest.raises(error, match=message):
            scorer(fitted, ROWS, y)

    @pytest.mark.parametrize("scorer", [detection_auc, TruePositiveRateAt(0.1)])
    def test_signs_of_any_kind(self, fitted, scorer):
        wanted = scorer(fitted, ROWS, self.SIGNS)
        for kind in (list, pd.Series, pd.Categorical, pl.Series, lambda y: y * 1.0, lambda y: y.astype(object)):
            assert scorer(fitted, ROWS, kind(self.SIGNS)) == wanted

    @pytest.mark.parametrize("scorer", [detection_auc, TruePositiveRateAt(0.1)])
    def test_scores_of_other_detectors(self, scorer):
        with pytest.raises(ValueError, match=r"estimator.score_samples\(X\) must return numbers"):
            scorer(Scores(np.array([0.0, 1.0, np.nan, 2.0])), ROWS[:4], [1, 1, -1, -1])
        assert scorer(Scores(np.array([0.0, -1.0, -np.inf, -2.0])), ROWS[:4], [1, 1, -1, -1]) == 1
        with pytest.raises(TypeError, match="estimator must be an outlier detector with score_samples, got NoneType"):
            scorer(None, ROWS, self.SIGNS)

    @pytest.mark.parametrize("rate", [-1e-9, 1.000001, np.nan, np.inf, "a", None, [0.1]])
    def test_rates(self, rate):
        with pytest.raises(ValueError, match=r"false_alarm_rate must be in \[0, 1\], got"):
            TruePositiveRateAt(rate)

    def test_rates_at_the_borders(self, fitted):
        assert TruePositiveRateAt(1)(fitted, ROWS, self.SIGNS) == 1
        ties = Scores(np.zeros(4))
        assert TruePositiveRateAt(0)(ties, ROWS[:4], [1, 1, -1, -1]) == 0
        assert detection_auc(ties, ROWS[:4], [1, 1, -1, -1]) == 0.5

    @pytest.mark.parametrize("rows", [None, [[1.0], [1.0, 2.0]], "x", ROWS[0], ROWS[:, :3]], ids=str)
    def test_attacked_rows(self, fitted, rows):
        with pytest.raises(ValueError, match=r"attacked\['a'\] has shape .*, but X has shape \(30, 4\)"):
            defense_report(fitted, ROWS, LABELS, {"a": rows})

    def test_report_of_one_row_and_of_no_attack(self, fitted):
        assert defense_report(fitted, ROWS[:1], LABELS[:1], {"a": pd.DataFrame(ROWS[1:2])}).shape == (2, 9)
        assert list(defense_report(fitted, ROWS, LABELS, {}).index) == ["clean"]

    def test_not_fitted(self):
        for call in (corrected_accuracy, lambda *arguments: defense_report(*arguments, {})):
            with pytest.raises(ValueError, match="not fitted yet"):
                call(detector(), ROWS, LABELS)
