import pytest

from skaae.robustness._battery import BATTERY, NAMES, battery_for, not_tried
from skaae.robustness._target import target_of


@pytest.fixture(scope="module")
def bare(iris, iris_model):
    return target_of(iris_model, iris[0])


def test_names_are_unique():
    assert len(set(NAMES)) == len(BATTERY)


@pytest.mark.slow
def test_presets_grow(iris, strict_detector):
    target = target_of(strict_detector, iris[0])
    fast, standard, thorough = (
        {attack.name for attack in battery_for(name, target)} for name in ("fast", "standard", "thorough")
    )
    assert fast < standard < thorough
    assert {"PGD Linf", "composite PGD", "joint PGD"} <= fast
    assert {"AutoPGD Linf", "Carlini-Wagner L2", "DeepFool L2", "Square"} <= standard
    assert not_tried(battery_for("thorough", target), target) == []
    assert "HopSkipJump L2" in not_tried(battery_for("fast", target), target)


def test_nobody_knows_a_defense_that_there_is_not(bare):
    assert {attack.attacker for attack in battery_for("thorough", bare)} == {"none", "unaware"}
    assert "SLIDE L1" not in {attack.name for attack in battery_for("thorough", bare)}, "for images only"
    with pytest.raises(ValueError, match="cannot be made on Sequential"):
        battery_for(["joint PGD"], bare)


@pytest.mark.parametrize("attacks", ["quick", ["FGSM", "PDG"], []])
def test_unknown_names(bare, attacks):
    with pytest.raises(ValueError, match="attacks must be one of"):
        battery_for(attacks, bare)
