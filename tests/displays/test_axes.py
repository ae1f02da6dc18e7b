import subprocess
import sys

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skaae import AdversarialAEDetector, CorrectedClassifier
from skaae._displays.axes import (
    checked_scores,
    detector_and_rows,
    foreground,
    grid_of_axes,
    legend_above,
    score_text,
    single_axes,
)
from tests.support.pictures import plt, untouched_settings

MISSING = "This feature requires matplotlib, which is not installed. Install it with: pip install 'skaae[matplotlib]'\n"
IMPORTS = """
import sys
import skaae
from skaae import CorrectionDisplay, RobustnessDisplay, ScoreDisplay
assert not {"tensorflow", "matplotlib", "keras"} & set(sys.modules)
sys.modules["matplotlib"] = None  # as if it were not installed
labels = {"no_defense": [0], "corrected": [0], "defense": [0]}
for draw in (
    lambda: ScoreDisplay.from_predictions([1.0]),
    lambda: CorrectionDisplay.from_predictions([[1.0]], [[2.0]]),
    lambda: RobustnessDisplay.from_predictions({0: labels}, [0]),
    lambda: ScoreDisplay.from_estimator(None, None),
    lambda: CorrectionDisplay.from_estimator(None, None),
    lambda: RobustnessDisplay.from_estimator(None, None, None),
):
    try:
        draw()
    except ImportError as error:
        print(error)
assert "tensorflow" not in sys.modules
"""


@pytest.fixture(autouse=True)
def style():
    with untouched_settings():
        yield


def test_matplotlib_is_named_with_its_extra_and_nothing_is_imported_early():
    shown = subprocess.run([sys.executable, "-c", IMPORTS], check=True, capture_output=True, text=True).stdout
    assert shown == MISSING * 6


class TestAxes:
    def test_new_figure(self):
        ax = single_axes(None, (3, 2))
        assert ax.figure.get_size_inches().tolist() == [3, 2]
        assert grid_of_axes(None, (2, 3), (3, 2)).shape == (2, 3)

    def test_given(self):
        figure, (left, right) = plt.subplots(1, 2)
        assert single_axes(left, (3, 2)) is left
        assert grid_of_axes([left, right], (2, 1), (3, 2)).tolist() == [[left], [right]]
        axes = grid_of_axes(right, (2, 2), (3, 2))
        figure.draw_without_rendering()
        within = right.get_position()
        assert not right.axison
        assert all(within.x0 <= ax.get_position().x0 < within.x1 for ax in axes.ravel())

    def test_unsuitable(self):
        _, ax = plt.subplots()
        with pytest.raises(TypeError, match="ax must be a matplotlib Axes or None, got str"):
            single_axes("here", (3, 2))
        with pytest.raises(TypeError, match="ax must be a matplotlib Axes, an array of them, or None, got str"):
            grid_of_axes("here", (1, 1), (3, 2))
        with pytest.raises(ValueError, match="ax must contain 2 x 1 Axes, got 1"):
            grid_of_axes([ax], (2, 1), (3, 2))
        with pytest.raises(ValueError, match="must belong to a grid of subplots"):
            grid_of_axes(plt.figure().add_axes([0, 0, 1, 1]), (2, 1), (3, 2))

    def test_legend_lies_above_the_data(self):
        ax = single_axes(None, (4, 3))
        ax.plot([0, 1], label="a line")
        legend = legend_above(ax)
        ax.figure.draw_without_rendering()
        legend, figure = legend.get_window_extent(), ax.figure.bbox
        assert ax.get_window_extent().y1 <= legend.y0 < legend.y1 <= figure.y1

    def test_text_has_the_color_of_the_style_of_the_axes(self):
        assert foreground(plt.subplots()[1]) == "black"
        with plt.style.context("dark_background"):
            ax = plt.subplots()[1]
        assert foreground(ax) == "white"


class TestDetector:
    def test_behind_a_pipeline(self, digits_detector):
        detector, X, _ = digits_detector
        pipeline = make_pipeline(FunctionTransformer(lambda X: X / 16), detector)
        found, rows = detector_and_rows(pipeline, X * 16)
        assert found is detector
        np.testing.assert_array_equal(rows, X)

    @pytest.mark.parametrize(
        "make", [lambda d: d, CorrectedClassifier, make_pipeline, lambda d: GridSearchCV(d, {"epochs": [1]})]
    )
    def test_not_fitted(self, make):
        with pytest.raises(NotFittedError):
            detector_and_rows(make(AdversarialAEDetector(LogisticRegression())), np.zeros((2, 3)))

    def test_no_detector(self):
        classifier = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
        with pytest.raises(TypeError, match="must be an AdversarialAEDetector"):
            detector_and_rows(classifier, [[0.0]])
        with pytest.raises(TypeError, match="not an estimator instance"):
            detector_and_rows("detector", [[0.0]])


class TestScores:
    def test_text(self):
        assert [score_text(score) for score in (0, 1e-9, 0.12345, 1003.26)] == ["0", "1e-09", "0.123", "1003.3"]

    @pytest.mark.parametrize(
        ("scores", "message"),
        [
            ([[1.0]], r"scores must have shape \(n_samples,\).*, got shape \(1, 1\)"),
            ([], r"with at least one sample, got shape \(0,\)"),
            ([1.0, np.nan], "scores must contain finite numbers only"),
            ([1.0, -2.5], r"the smallest is -2\.5\. .*score_samples returns the negative of it"),
        ],
    )
    def test_bad_scores(self, scores, message):
        with pytest.raises(ValueError, match=message):
            checked_scores(scores, "scores")
