import numpy as np
import pytest

from skaae import RobustnessDisplay
from tests.support.pictures import difference_from_baseline, plt, untouched_settings

TRUTH = np.array([0, 1, 0, 1])
CLEAN = {"no_defense": [0, 1, 0, 1], "corrected": [0, 1, 0, 1], "defense": [0, 1, 1, 1]}
WEAK = {"no_defense": [1, 1, 0, 1], "corrected": [0, 1, 0, 1], "defense": [0, 1, 0, 1]}
STRONG = {
    "no_defense": [1, 0, 1, 1],
    "corrected": [0, 0, 1, 1],
    "defense": [0, 1, 1, 0],
    "instance_score": [1003.0, 0.5, 0.2, 0.01],
}
CALIBRATION = np.arange(1, 100) / 100


@pytest.fixture(autouse=True)
def style():
    with untouched_settings():
        yield


def curves(display):
    return {name: line.get_ydata().tolist() for name, line in display.lines_.items()}


def against_percentile(**options):
    wanted = {"scores": [0.1, 0.94, 0.96, 3.0], "scores_calibration": CALIBRATION, "percentiles": [95, 20, 50]}
    return RobustnessDisplay.from_predictions(STRONG, TRUTH, **{**wanted, **options})


class TestStrength:
    def test_curves(self):
        display = RobustnessDisplay.from_predictions({0.3: STRONG, 0: CLEAN, 0.1: WEAK}, TRUTH)
        assert display.x.tolist() == [0, 0.1, 0.3], "in order"
        assert curves(display) == {
            "without defense": [1, 0.75, 0.25],
            "corrected": [1, 1, 0.5],
            "always reconstructed": [0.75, 1, 0.5],
        }
        assert all(line.get_xdata().tolist() == [0, 0.1, 0.3] for line in display.lines_.values())
        assert (display.ax_.get_xlabel(), display.ax_.get_ylabel()) == ("strength of the attack", "accuracy")
        assert display.false_alarms is None

    def test_two_sequences(self):
        display = RobustnessDisplay.from_predictions(([0.1, 0.3], [WEAK, STRONG]), TRUTH, xlabel="size (L2)")
        assert display.accuracy.tolist() == [1, 0.5]
        assert display.ax_.get_xlabel() == "size (L2)"

    def test_lines_differ_without_color(self):
        lines = against_percentile().lines_.values()
        assert len({(line.get_linestyle(), line.get_marker()) for line in lines}) == 5

    def test_in_given_axes(self):
        figure, ax = plt.subplots()
        display = RobustnessDisplay.from_predictions({0.1: WEAK}, TRUTH, ax=ax)
        assert (display.figure_, display.ax_) == (figure, ax)

    def test_from_accuracies(self):
        display = RobustnessDisplay(np.array([0, 1]), np.array([1, 0]), np.array([1, 0.8]), np.array([0.9, 0.9])).plot()
        assert curves(display)["corrected"] == [1, 0.8]

    def test_like_the_baseline(self, tmp_path):
        figure = plt.figure(figsize=(6, 4))
        ax = figure.add_axes([0.12, 0.12, 0.84, 0.74])
        display = RobustnessDisplay.from_predictions({0.3: STRONG, 0: CLEAN, 0.1: WEAK}, TRUTH, ax=ax)
        assert difference_from_baseline(figure, "robustness_display", tmp_path) is None
        display.lines_["corrected"].set_ydata([0.9, 0.9, 0.4])
        assert difference_from_baseline(figure, "robustness_display", tmp_path), "a moved line is noticed"


class TestPercentile:
    def test_curves(self):
        display = against_percentile()
        assert display.x.tolist() == [20, 50, 95]
        assert curves(display) == {
            "without defense": [0.25, 0.25, 0.25],
            "corrected": [0.75, 0.5, 0.5],  # above 0.2: rows 0, 1; above 0.5 and 0.95: row 0
            "always reconstructed": [0.5, 0.5, 0.5],
            "false-alarm rate": [0.75, 0.75, 0.5],
            "promised false-alarm rate": pytest.approx([0.8, 0.5, 0.05]),
        }
        assert display.ax_.get_ylabel() == "share of rows"

    @pytest.mark.parametrize(("n_rows", "highest"), [(1000, 99.5), (99, 99), (3, 75)])
    def test_default_percentiles_can_be_promised(self, n_rows, highest):
        display = against_percentile(scores_calibration=np.arange(n_rows), percentiles=None)
        assert display.x[0] < display.x[-1] == highest

    def test_more_than_the_rows_can_promise(self):
        with pytest.warns(UserWarning, match="too few to promise threshold_percentile=99.9"):
            against_percentile(percentiles=[99.9])


class TestEstimator:
    def test_against_strength(self, digits_detector):
        detector, X, y = digits_detector
        rows = {1.0: X + 1.0, 0.3: X + 0.3}
        display = RobustnessDisplay.from_estimator(detector, rows, y, X=X)
        assert display.x.tolist() == [0, 0.3, 1]
        found = detector.correct(X + 0.3)
        assert display.accuracy[1] == np.mean(found.corrected == y)
        assert display.accuracy_reconstructed[1] == np.mean(found.defense == y)
        assert display.accuracy_without_defense[0] == np.mean(detector.correct(X).no_defense == y)
        lists = RobustnessDisplay.from_estimator(detector, attacked=([0.3, 1.0], [X + 0.3, X + 1.0]), y=y)
        np.testing.assert_array_equal(lists.accuracy, display.accuracy[1:])

    def test_against_percentile(self, digits_detector):
        detector, X, y = digits_detector
        threshold = detector.threshold_
        given = {"X": X[:50], "X_calibration": X[50:], "percentiles": [60, 90]}
        display = RobustnessDisplay.from_estimator(detector, X[:50] + 0.5, y[:50], **given)
        scores = np.sort(detector.adversarial_score(X[50:]))
        at_90 = scores[45]  # the 46th of 50: ceil(51 * 0.9)
        assert display.false_alarms[1] == np.mean(detector.adversarial_score(X[:50]) > at_90)
        found = detector.correct(X[:50] + 0.5)
        corrected = np.where(found.instance_score > at_90, found.defense, found.no_defense)
        assert display.accuracy[1] == np.mean(corrected == y[:50])
        assert detector.threshold_ == threshold, "is left as it is"

    def test_bad_input(self, digits_detector):
        detector, X, y = digits_detector
        with pytest.raises(ValueError, match=r"attacked\[0.3\] has 99 rows, but y has 100 labels"):
            RobustnessDisplay.from_estimator(detector, {0.3: X[1:]}, y)
        with pytest.raises(ValueError, match="X_calibration requires X too"):
            RobustnessDisplay.from_estimator(detector, X, y, X_calibration=X)
        with pytest.raises(TypeError, match="Expected a dict from strengths to attacked rows"):
            RobustnessDisplay.from_estimator(detector, X, y)


@pytest.mark.parametrize(
    ("results", "options", "error", "message"),
    [
        ({"PGD": CLEAN}, {}, ValueError, r"must be finite numbers, got \['PGD'\].*defense_report"),
        ({np.nan: CLEAN}, {}, ValueError, "must be finite numbers, got"),
        ({}, {}, ValueError, "must be finite numbers, got none"),
        (
            {0.1: {"no_defense": TRUTH}},
            {},
            ValueError,
            r"results\[0.1\] must be a result of correct, but it has no entry 'corrected'",
        ),
        ({0.1: {**CLEAN, "defense": [1]}}, {}, ValueError, r"results\[0.1\]\['defense'\] has shape \(1,\)"),
        (([0.1], [CLEAN, CLEAN]), {}, TypeError, "sequences of the same length"),
        ({0.1: CLEAN}, {"percentiles": [5]}, ValueError, "percentiles requires clean rows"),
        (STRONG, {"scores_calibration": [1.0]}, ValueError, "scores_calibration requires scores too"),
        (CLEAN, {"scores": [1.0], "scores_calibration": CALIBRATION}, ValueError, "has no entry 'instance_score'"),
        (STRONG, {"scores": [-1.0], "scores_calibration": CALIBRATION}, ValueError, "scores must not be negative"),
        (
            STRONG,
            {"scores": [1.0], "scores_calibration": CALIBRATION, "percentiles": [0, 5]},
            ValueError,
            r"percentiles must be in \(0, 100\]",
        ),
    ],
)
def test_bad_input(results, options, error, message):
    with pytest.raises(error, match=message):
        RobustnessDisplay.from_predictions(results, TRUTH, **options)
    assert not plt.get_fignums(), "nothing has been drawn"
