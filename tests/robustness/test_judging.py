import numpy as np
import pytest

from skaae.robustness._judging import Outcome, frame_of, interval, with_worst_cases, worst_case
from skaae.robustness._target import Verdict

LABELS = np.array([0, 0, 1, 1])
CLASSES = np.array(["cat", "dog"])


def verdict(predicted, flagged=(0, 0, 0, 0), undefended=None):
    return Verdict(
        *map(np.array, (predicted, np.array(flagged, bool), predicted if undefended is None else undefended))
    )


@pytest.fixture
def clean():
    return Outcome.of_clean_rows(verdict([0, 0, 1, 0]), LABELS)


def attacked(before, *verdicts, attacker="unaware", size=0.1, rows=(0, 1, 2, 3)):
    outcome = before.begin(attacker, "PGD", "gradient", "linf", size)
    for found in verdicts:
        rows = np.array(rows)
        parts = Verdict(found.predicted[rows], found.flagged[rows], found.undefended[rows])
        outcome.add(rows, parts, LABELS[rows])
    return outcome


def test_a_row_is_lost_if_any_restart_loses_it(clean):
    outcome = attacked(clean, verdict([1, 0, 1, 0]), verdict([0, 1, 1, 1]))
    assert outcome.right.tolist() == [False, False, True, False], "the last one was wrong before any attack"


def test_alarms_are_those_of_the_loss(clean):
    outcome = attacked(clean, verdict([1, 0, 1, 0], [1, 0, 0, 0]), verdict([1, 0, 1, 0], [0, 0, 1, 0]))
    assert outcome.flagged.tolist() == [True, False, True, False]
    assert outcome.undetected.tolist() == [True, False, False, True], "the second restart fooled it without an alarm"


def test_rows_that_were_not_reached_do_not_count(clean):
    outcome = attacked(clean, verdict([1, 1, 1, 1]), rows=(0, 1))
    assert outcome.tried.tolist() == [True, True, False, True], "what is wrong before needs no attack"
    assert outcome.accuracy == 0


def test_worst_case_is_taken_row_by_row(clean):
    first = attacked(clean, verdict([1, 0, 1, 0]))
    second = attacked(clean, verdict([0, 1, 1, 0]))
    large = attacked(clean, verdict([0, 0, 0, 0]), size=0.2)
    knowing = attacked(clean, verdict([0, 0, 1, 0]), attacker="knowing")
    outcomes = [clean, first, second, large, knowing]
    assert worst_case(outcomes, "unaware", 0.1).accuracy == 0.25
    assert worst_case(outcomes, "unaware", 0.2).accuracy == 0
    assert worst_case(outcomes, "knowing", 0.1).accuracy == 0.25, "who knows more can do what the others do"
    assert worst_case([clean, first], "knowing", 0.1) is None
    assert [item.size for item in with_worst_cases(outcomes, [0.1, 0.2])[-2:]] == [0.1, 0.2]


def test_frame(clean):
    frame = frame_of([clean, attacked(clean, verdict([1, 0, 1, 0], [1, 0, 0, 0]))], LABELS, CLASSES, True)
    line = frame.iloc[1]
    assert (line["attacker"], line["attack"], line["size"]) == ("unaware", "PGD", 0.1)
    assert line["accuracy"] == 0.5
    assert line["accuracy_low"] < 0.5 < line["accuracy_high"]
    assert (line["recall_cat"], line["recall_dog"], line["recall_worst_class"]) == (0.5, 0.5, 0.5)
    assert (line["flagged"], line["undetected"], line["rows"]) == (0.25, 0.25, 4)
    assert "flagged" not in frame_of([clean], LABELS, CLASSES, False).columns


def test_many_classes_have_no_column_each(clean):
    frame = frame_of([clean], LABELS, np.arange(21), False)
    assert [name for name in frame.columns if name.startswith("recall")] == ["recall_worst_class"]


def test_interval_of_nothing():
    assert np.isnan(interval(0, 0)).all()


def test_alarms_in_the_worst_case(clean):
    """One attack has its own share; a row that nothing takes counts if it was flagged under any."""
    one = attacked(clean, verdict([1, 0, 1, 1], [1, 1, 0, 0]))
    worst = worst_case([clean, one], "unaware", 0.1)
    assert worst.flagged.tolist() == one.flagged.tolist() == [True, True, False, False]
    other = attacked(clean, verdict([1, 0, 1, 1], [0, 0, 1, 0]))
    assert worst_case([clean, one, other], "unaware", 0.1).flagged.tolist() == [False, True, True, False]
