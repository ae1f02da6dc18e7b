from dataclasses import replace

import numpy as np
import pytest

from skaae.robustness._battery import BATTERY
from skaae.robustness._campaign import Campaign
from skaae.robustness._clock import Clock
from skaae.robustness._efforts import EFFORTS
from skaae.robustness._judging import Outcome

ATTACKS = {attack.name: attack for attack in BATTERY}


def campaign(arena, *attacks, sizes=(0.2, 0.5), limit=None, **effort):
    clean = Outcome.of_clean_rows(arena.judge(arena.start()), arena.target.classes[arena.labels])
    chosen = [ATTACKS[attack] if isinstance(attack, str) else attack for attack in attacks]
    return Campaign(
        arena, clean, chosen, list(sizes), replace(EFFORTS["fast"], **{"steps": 10, **effort}), 0, Clock(limit)
    )


def run_attacks(found):
    found.run([part for part in found.parts() if not part[1]])
    assert found.stopped is None


def of(found, name):
    return [outcome for outcome in found.outcomes if outcome.attack == name]


def test_larger_sizes_and_more_restarts_lose_no_fewer_rows(iris_arena):
    once, often = (campaign(iris_arena, "PGD Linf", restarts=restarts) for restarts in (1, 3))
    run_attacks(once), run_attacks(often)
    small, large = of(once, "PGD Linf")
    assert (large.right <= small.right).all()
    assert large.accuracy < small.accuracy
    assert of(often, "PGD Linf")[0].accuracy <= small.accuracy


def test_smallest_displacements_are_judged_at_every_size(iris_arena):
    found = campaign(iris_arena, "DeepFool L2", sizes=(0.01, 0.5, 3.0))
    run_attacks(found)
    accuracies = [outcome.accuracy for outcome in of(found, "DeepFool L2")]
    assert accuracies[0] > found.clean.accuracy - 0.05
    assert accuracies == sorted(accuracies, reverse=True)
    assert accuracies[2] < accuracies[0]


def test_sizes_grow_until_nothing_is_left(iris_arena):
    found = campaign(iris_arena, "PGD Linf")
    found.run(found.parts())
    assert [outcome.size for outcome in found.growing][:2] in ([1.0], [1.0, 2.0])
    assert found.growing[-1].accuracy < 0.1


def test_slow_attacks_take_some_of_the_rows(iris_arena):
    slow = replace(ATTACKS["noise"], attacker="unaware", is_slow=True)
    found = campaign(iris_arena, slow, jump_rows=7)
    run_attacks(found)
    lost_before = ~(found.clean.right | found.clean.undefended)
    assert (of(found, "noise")[0].tried | lost_before).sum() in range(7, 8 + lost_before.sum())


@pytest.mark.parametrize("name", ["noise", "DeepFool L2"])
def test_interrupted(iris_arena, name):
    rows_seen = []

    def stop_at_the_second(arena, *arguments):
        rows_seen.append(len(arena))
        if len(rows_seen) == 2:
            raise KeyboardInterrupt
        return arena.start()

    found = campaign(iris_arena, replace(ATTACKS[name], run=stop_at_the_second, is_slow=True), "PGD Linf")
    found.run(found.parts())
    assert found.stopped == "interrupted"
    assert of(found, "PGD Linf") == []
    assert of(found, name)[0].tried.sum() >= rows_seen[0], "the rows that were done are kept"


def test_out_of_time(iris_arena):
    found = campaign(iris_arena, "PGD Linf", limit=1e-9)
    found.run(found.parts())
    assert found.stopped == "time limit"
    assert found.outcomes == []


def test_seeds_make_it_the_same(iris_arena):
    first, second = (campaign(iris_arena, "PGD Linf", "noise") for _ in range(2))
    state = np.random.get_state()[1].copy()
    run_attacks(first), run_attacks(second)
    assert (np.random.get_state()[1] == state).all()
    for one, other in zip(first.outcomes, second.outcomes, strict=True):
        assert (one.right == other.right).all()
