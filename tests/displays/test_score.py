import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skaae import ScoreDisplay
from tests.support.pictures import difference_from_baseline, plt, untouched_settings

CLEAN = np.array([0.0, 1e-14, 1e-6, 3e-4, 5e-3, 6e-3, 0.08, 0.3, 1000.0, 1001.5])
ATTACKED = np.array([2e-3, 0.7, 4.0, 1000.5, 1002.0, 1004.0, 1004.5, 1009.0])


@pytest.fixture(autouse=True)
def style():
    with untouched_settings():
        yield


def bars(histogram):
    """Edges and shares of the bins that hold rows."""
    shares, edges, _ = histogram.get_data()
    held = np.flatnonzero(shares)
    return edges[held], edges[held + 1], shares[held]


def labels(display):
    return [text.get_text() for text in display.legend_.get_texts()]


class TestDrawing:
    def test_every_row_is_in_its_bin(self):
        display = ScoreDisplay.from_predictions(CLEAN, ATTACKED, threshold=0.5)
        for scores, histogram in zip((CLEAN, ATTACKED), display.histograms_, strict=True):
            low, high, shares = bars(histogram)
            counted = [np.sum((low_ <= scores) & (scores < high_)) for low_, high_ in zip(low, high, strict=True)]
            np.testing.assert_allclose(shares * len(scores), counted)
            assert shares.sum() == pytest.approx(1)
        low, high, shares = bars(display.histograms_[0])
        assert (low[0], high[0], shares[0]) == (0, pytest.approx(1e-12), pytest.approx(0.2)), "0 and what rounding left"
        assert shares[low >= 1000].sum() == pytest.approx(0.2), "1000 itself is a label change, of even odds"

    def test_threshold_and_rates(self):
        display = ScoreDisplay.from_predictions(CLEAN, ATTACKED, threshold=0.3)
        assert display.threshold_line_.get_xdata() == [0.3, 0.3]
        assert (display.false_alarm_rate, display.detection_rate) == (0.2, 7 / 8)
        assert labels(display) == [
            "clean, 10 rows: 20.0% flagged (false-alarm rate)",
            "attacked, 8 rows: 87.5% flagged (detection rate)",
            "threshold 0.3: rows with higher scores are flagged",
        ]

    def test_published_score(self):
        display = ScoreDisplay.from_predictions([1e-3, 2.0, 1500.0], threshold=2.5, label_change_first=False)
        assert display.ax_.get_xlabel() == "adversarial score S(x) (nats)"
        assert not display.ax_.texts
        assert display.ax_.get_xlim() == pytest.approx((1e-3, 1e4))

    def test_label_changes_are_named(self):
        display = ScoreDisplay.from_predictions([1e-3, 2.0, 1005.0])
        assert [text.get_text() for text in display.ax_.texts] == ["same label for x and x'", "label changes"]
        assert "from 1000: 1000 + log-odds" in display.ax_.get_xlabel()
        ticks = [text.get_text() for text in display.ax_.get_xticklabels()]
        assert ticks[0] == "$10^{-3}$"
        assert ticks[-3:] == ["1003", "1004", "1005"]

    def test_clean_rows_alone(self):
        display = ScoreDisplay.from_predictions([0.1, 0.2], names=("penguins", "others"))
        assert (display.false_alarm_rate, display.detection_rate, display.threshold_line_) == (None, None, None)
        assert labels(display) == ["penguins, 2 rows"]

    def test_in_given_axes(self):
        figure, (left, right) = plt.subplots(1, 2)
        display = ScoreDisplay.from_predictions(CLEAN, ax=right)
        assert (display.figure_, display.ax_) == (figure, right)
        assert display.plot(left, bins=3).ax_ is left
        assert len(display.histograms_[0].get_data().edges) <= 5

    @pytest.mark.parametrize("scores", [[0.0], [0.0, 0.0], [1000.0], [5000.0], [1e-300, 1e-13], [1e-12, 1500.0]])
    @pytest.mark.parametrize("label_change_first", [True, False])
    def test_extremes(self, scores, label_change_first):
        display = ScoreDisplay.from_predictions(scores, label_change_first=label_change_first)
        display.figure_.draw_without_rendering()
        assert display.histograms_[0].get_data().values.sum() == pytest.approx(1)

    def test_like_the_baseline(self, tmp_path):
        figure = plt.figure(figsize=(6, 4))
        display = ScoreDisplay.from_predictions(
            CLEAN, ATTACKED, threshold=0.5, ax=figure.add_axes([0.1, 0.12, 0.85, 0.64])
        )
        assert difference_from_baseline(figure, "score_display", tmp_path) is None
        display.threshold_line_.set_xdata([0.1, 0.1])
        assert difference_from_baseline(figure, "score_display", tmp_path), "a moved line is noticed"


class TestEstimator:
    def test_scores_of_the_detector(self, digits_detector):
        detector, X, _ = digits_detector
        display = ScoreDisplay.from_estimator(detector, X, X[:30] + 0.5, bins=10)
        np.testing.assert_array_equal(display.scores, detector.adversarial_score(X))
        np.testing.assert_array_equal(display.scores_attacked, detector.adversarial_score(X[:30] + 0.5))
        assert display.threshold_line_.get_xdata()[0] == detector.threshold_
        assert display.false_alarm_rate == np.mean(detector.predict(X) == -1)
        assert display.label_change_first

    def test_pipeline(self, digits_detector):
        detector, X, _ = digits_detector
        pipeline = make_pipeline(FunctionTransformer(lambda X: X / 16), detector)
        display = ScoreDisplay.from_estimator(pipeline, X * 16)
        np.testing.assert_array_equal(display.scores, detector.adversarial_score(X))
        assert len(display.histograms_) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"scores": [-1.0]}, "scores must not be negative"),
        ({"scores": [1.0], "scores_attacked": [[1.0]]}, "scores_attacked must have shape"),
        ({"scores": [1.0], "threshold": -1.0}, "threshold must be a finite number >= 0 or None, got -1.0"),
        ({"scores": [1.0], "threshold": "high"}, "threshold must be .* got 'high'"),
        ({"scores": [1.0], "names": "clean"}, "names must be a pair"),
        ({"scores": [1.0], "bins": 0}, "bins must be an integer of at least 1, got 0"),
    ],
)
def test_bad_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        ScoreDisplay.from_predictions(**arguments)
    assert not plt.get_fignums(), "nothing has been drawn"
