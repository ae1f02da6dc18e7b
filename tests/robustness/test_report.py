import matplotlib.pyplot as plt
import numpy as np
import pytest

from skaae import RobustnessDisplay


def test_accuracies(defended_report):
    assert defended_report.accuracy() > 0.8
    assert defended_report.accuracy("unaware", 0.2) > defended_report.accuracy("unaware")
    assert defended_report.accuracy("knowing", 0.5) <= defended_report.accuracy("unaware", 0.5)
    alone = defended_report.accuracy("unaware", 0.5, without_defense=True)
    assert alone < defended_report.accuracy(without_defense=True)


def test_unknown_attacker(bare_report):
    with pytest.raises(ValueError, match="no attack of attacker 'knowing'"):
        bare_report.accuracy("knowing")


def test_checks(defended_report):
    checks = defended_report.checks.set_index("code")
    assert checks["status"].isin(["PASS", "WARN", "FAIL", "SKIP"]).all()
    assert checks.loc["SKA008", "status"] == "PASS"
    assert defended_report.passed() == ("FAIL" not in set(checks["status"]))
    assert not defended_report.passed(strict=True) or "WARN" not in set(checks["status"])


def test_curves_start_at_clean_rows(defended_report):
    curves = defended_report.curves()
    assert list(curves) == ["unaware", "unaware, no defense", "knowing"]
    sizes, accuracies = curves["knowing"]
    assert sizes.tolist() == [0, 0.2, 0.5]
    assert accuracies[0] == defended_report.accuracy()
    assert (np.diff(accuracies) <= 0).all()


def test_plot(bare_report):
    _, given = plt.subplots()
    ax = bare_report.plot(given)
    assert ax is given
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["unaware attacker"]
    assert ax.get_xlabel() == "size (standard deviations)"
    plt.close("all")


def test_text(defended_report):
    shown = repr(defended_report)
    assert shown.startswith("RobustnessReport of AdversarialAEDetector")
    assert "knowing 0.500" in shown
    assert "SKA009" in shown


class TestDisplay:
    """RobustnessDisplay.from_report."""

    def test_curves(self, defended_report):
        display = RobustnessDisplay.from_report(defended_report, "knowing")
        worst = defended_report.frame.query("attacker == 'knowing' and attack == 'worst case'")
        assert display.x.tolist() == [0, *worst["size"]]
        assert display.accuracy[1:].tolist() == worst["accuracy"].tolist()
        assert set(display.lines_) == {"without defense", "corrected"}
        assert display.ax_.get_xlabel() == "size of the attacks (standard deviations), knowing attacker"

    def test_without_the_attacks(self, bare_report, defended_report):
        with pytest.raises(ValueError, match="report must be of an estimator with a defense"):
            RobustnessDisplay.from_report(bare_report)
        with pytest.raises(ValueError, match="attacker must be one of those that the report has attacks of, got 'all'"):
            RobustnessDisplay.from_report(defended_report, "all")
        with pytest.raises(TypeError, match="report must be a RobustnessReport, got str"):
            RobustnessDisplay.from_report("report.html")
