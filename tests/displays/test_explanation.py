import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skaae import AdversarialAEDetector, ExplanationDisplay
from tests.support.models import QUICK

EXPLANATION = pd.DataFrame(
    {
        "row": ["r1", "r1", "r2"],
        "feature": ["amount", "job", "amount"],
        "value": [12.0, "cook", 3.25],
        "repaired": [95.504, "clerk", 4.0],
        "difference": [-1.8, 2.1, 0.5],
        "label": "ok",
        "corrected": "fraud",
        "defense": "fraud",
        "p_value": [0.012, 0.012, np.nan],
    }
)


def texts(display):
    return [text.get_text() for text in display.ax_.texts]


def test_bars_values_and_title():
    display = ExplanationDisplay.from_explanation(EXPLANATION)
    assert [bar.get_width() for bar in display.bars_] == [-1.8, 2.1]
    assert texts(display) == ["12 → 95.5", "cook → clerk"]
    assert display.ax_.get_title(loc="left") == "Row r1: predicted ok, corrected fraud, p-value 0.012"


def test_a_repair_that_is_not_made_is_in_the_title():
    display = ExplanationDisplay.from_explanation(EXPLANATION.assign(corrected="ok"))
    assert display.ax_.get_title(loc="left") == "Row r1: predicted ok, corrected ok (x' is fraud), p-value 0.012"


def test_row_and_axes_are_chosen():
    ax = plt.figure().add_subplot()
    display = ExplanationDisplay.from_explanation(EXPLANATION, "r2", ax=ax)
    assert display.ax_ is ax
    assert display.ax_.get_title(loc="left") == "Row r2: predicted ok, corrected fraud"


def test_a_row_without_lines():
    with pytest.raises(ValueError, match="row must be a value of the column 'row' of explanation, got 'r3'"):
        ExplanationDisplay.from_explanation(EXPLANATION, "r3")


@pytest.mark.filterwarnings("ignore:.* rows are too few")
def test_values_before_the_scaler(cancer):
    X, y = cancer[0] * 50, cancer[1]
    scaler = StandardScaler()
    detector = AdversarialAEDetector(LogisticRegression().fit(scaler.fit_transform(X), y), threshold=0.0, **QUICK)
    pipeline = make_pipeline(scaler, detector).fit(X)
    row = int(np.flatnonzero(pipeline.predict(X) == -1)[2])
    display = ExplanationDisplay.from_estimator(pipeline, X, row=row, n_features=2)
    first = display.explanation.iloc[0]
    assert first["value"] == pytest.approx(X[row, int(first["feature"][1:])])
    assert f"Row {row}:" in display.ax_.get_title(loc="left")
    normal = np.flatnonzero(pipeline.predict(X) == 1)
    if len(normal):
        with pytest.raises(ValueError, match="row must be a row of X that is flagged"):
            ExplanationDisplay.from_estimator(pipeline, X, row=int(normal[0]))


@pytest.mark.parametrize("row", [150, -151, 1.5, "r1"])
def test_a_row_that_is_no_position(iris, row):
    X, y = iris
    detector = AdversarialAEDetector(LogisticRegression().fit(X, y), **QUICK).fit(X)
    with pytest.raises(ValueError, match=r"row must be a position in X, an integer from 0 to 149, got"):
        ExplanationDisplay.from_estimator(detector, X, row=row)
