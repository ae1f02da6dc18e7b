from skaae.robustness._battery import PRESETS
from skaae.robustness._efforts import DEFAULT, EFFORTS


def test_presets_try_harder_and_harder():
    assert tuple(EFFORTS) == PRESETS
    assert DEFAULT in EFFORTS
    questions = [effort.questions for effort in EFFORTS.values()]
    assert EFFORTS["thorough"].steps > EFFORTS["fast"].steps
    assert questions[0] < questions[2]
