from skaae.robustness._battery import PRESETS
from skaae.robustness._efforts import DEFAULT, EFFORTS


def test_presets_try_harder_and_harder():
    assert tuple(EFFORTS) == PRESETS
    assert DEFAULT in EFFORTS
    steps = [effort.steps * effort.restarts for effort in EFFORTS.values()]
    assert steps == sorted(set(steps))
