import numpy as np
import pytest

from skaae._displays.score_scale import LABEL_CHANGE as SHOWN
from skaae._displays.score_scale import ScoreScale
from skaae._divergence import LABEL_CHANGE


def test_the_same_number_as_the_equation():
    assert SHOWN == LABEL_CHANGE


@pytest.mark.parametrize("label_changes", [True, False])
def test_there_and_back(label_changes):
    scale = ScoreScale(1e-12, 1020.0, label_changes)
    scores = np.array([0, 1e-13, 1e-12, 1e-6, 1.0, 999.0, 1000.0, 1000.5, 1020.0])
    places = scale.forward(scores)
    assert (np.diff(places) > 0).all()
    np.testing.assert_allclose(scale.inverse(places), scores, atol=1e-25)


def test_label_changes_are_linear_and_two_fifths_of_the_axis():
    scale = ScoreScale(1e-9, 1020.0, True)
    places = scale.forward([1e-9, 1000.0, 1010.0, 1020.0])
    assert places[2] - places[1] == pytest.approx(places[3] - places[2])
    assert (places[3] - places[1]) / (places[3] - places[0]) == pytest.approx(0.4)


@pytest.mark.parametrize("bins", [1, 2, 40])
@pytest.mark.parametrize("highest", [30.0, 1012.0])
def test_edges(bins, highest):
    scale = ScoreScale.for_scores(np.array([1e-5, highest]), True)
    edges = scale.edges(bins)
    assert (np.diff(edges) > 0).all()
    assert edges[:2].tolist() == [0, 1e-5]
    assert edges[-1] >= highest
    if highest > 1000:
        assert 1000 in edges, "no bin holds rows of both kinds"


def test_ticks_do_not_meet():
    for lowest in 10.0 ** np.arange(-12, 1):
        for highest in (1001.0, 1006.6, 1033.0, 1700.0):
            scale = ScoreScale(lowest, highest, True)
            places = np.sort(scale.forward(list(scale.ticks())))
            assert np.diff(places).min() > 0.06 * (places[-1] - places[0])
