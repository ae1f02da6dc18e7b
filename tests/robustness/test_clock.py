import pytest

from skaae.robustness._clock import Clock, OutOfTimeError


def test_without_a_limit_it_never_ends():
    Clock(None, 1, 0).check()


def test_past_the_limit():
    with pytest.raises(OutOfTimeError):
        Clock(1e-9, 1, 0).check()


def test_progress_bar(capsys):
    clock = Clock(None, 2, 1)
    clock.step("PGD Linf 0.1")
    clock.close()
    assert "PGD Linf 0.1" in capsys.readouterr().err
