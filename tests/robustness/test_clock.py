import pytest

from skaae.robustness._clock import Clock, OutOfTimeError


def test_without_a_limit_it_never_ends():
    Clock().check()


def test_past_the_limit():
    with pytest.raises(OutOfTimeError):
        Clock(1e-9).check()


def test_progress_bar(capsys):
    with Clock(verbose=1) as clock:
        clock.expect(2)
        clock.step("PGD Linf")
    shown = capsys.readouterr().err
    assert "PGD Linf" in shown
    assert "1/2" in shown
