"""The attacks of a battery, one after the other, chunk by chunk, until they are done or stopped."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from skaae._keras.seeds import temporary_seed
from skaae.robustness._arena import Arena
from skaae.robustness._battery import Attack
from skaae.robustness._budgets import inside, radius
from skaae.robustness._clock import Clock, OutOfTimeError
from skaae.robustness._efforts import Effort
from skaae.robustness._judging import Outcome
from skaae.robustness._target import Verdict

ROWS_AT_ONCE = 500
SLOW_ROWS_AT_ONCE = 10
# Doublings of the largest size, until nothing is left.
MOST_DOUBLINGS = 6
# Attacks that are also made in growing sizes, and what is added to their names then.
GROWN = ("PGD Linf", "composite PGD")
GROWING = ", growing"
# Name of an attack, and whether its size grows.
Part = tuple[str, bool]


@dataclass(eq=False)
class Campaign:
    """Attacks on the rows of an arena, and what they have done so far.

    Parameters
    ----------
    arena : Arena
    clean : Outcome
    battery : list of Attack
    sizes : list of float
        Ascending.
    effort : Effort
    seed : int
    clock : Clock
    """

    arena: Arena
    clean: Outcome
    battery: Sequence[Attack]
    sizes: Sequence[float]
    effort: Effort
    seed: int
    clock: Clock
    outcomes: list[Outcome] = field(default_factory=list)
    growing: list[Outcome] = field(default_factory=list)
    stopped: str | None = None

    def parts(self) -> list[Part]:
        """Attacks that can be run one by one, in any order: those of the battery, then those of growing size."""
        names = [attack.name for attack in self.battery]
        return [*((name, False) for name in names), *((name, True) for name in names if name in GROWN)]

    def run(self, parts: Sequence[Part]) -> None:
        """Run attacks. An interruption or the time limit ends them; what is finished stays."""
        self.clock.expect(len(parts))
        try:
            for part in parts:
                self.run_part(part)
                self.clock.step(part[0])
        except KeyboardInterrupt:
            self.stopped = "interrupted"
        except OutOfTimeError:
            self.stopped = "time limit"
        finally:  # leave out attacks that were stopped before their first rows were done
            self.outcomes[:] = [item for item in self.outcomes if item.seconds > 0]

    def run_part(self, part: Part) -> None:
        """Run one attack.

        Raises
        ------
        OutOfTimeError
            If the time limit has passed.
        """
        name, grows = part
        attack = next(attack for attack in self.battery if attack.name == name)
        if attack.kind == "gradient":
            self.arena.prepare(attack.through)
        self.clock.check()
        (self._grow if grows else self._run_attack)(attack)

    def _run_attack(self, attack: Attack) -> None:
        is_search = attack.kind == "gradient-free" and not self.effort.searches_all_sizes
        sizes = self.sizes[-1:] if attack.more > 1 or is_search else self.sizes
        if attack.is_minimal:
            self._run_minimal(attack)
            return
        before = self.clean
        for size in sizes:
            before = self._begin(before, attack, size)
            self.outcomes.append(before)
            self._attack(before, attack, size, rows_of(attack, len(self.arena), self.effort, self.seed))

    def _begin(self, before: Outcome, attack: Attack, size: float) -> Outcome:
        kind = attack.kind
        if kind == "gradient" and not self.arena.target.own_gradient:
            kind = "transfer"
        return before.begin(attack.attacker, attack.name, kind, attack.norm, size)

    def _attack(self, outcome: Outcome, attack: Attack, size: float, rows: np.ndarray, restarts: int = 0) -> None:
        """Attack chunk by chunk; rows that are lost are not attacked again."""
        effort = replace(self.effort, steps=self.effort.steps * attack.more)
        start = time.perf_counter()
        for chunk in chunks(rows, ROWS_AT_ONCE):
            for restart in range(restarts or restarts_of(attack, self.effort)):
                left = chunk[self._is_left(outcome, attack, chunk)]
                if len(left):
                    self.clock.check()
                    arena = self.arena.take(left)
                    seed = (self.seed + 1000 * restart + int(left[0])) % 2**31
                    with temporary_seed(seed):
                        z = attack.run(arena, attack.through, size, seed, effort)
                    self._judge(outcome, left, arena, z)
            outcome.tried[chunk] = True
            outcome.seconds = time.perf_counter() - start

    def _is_left(self, outcome: Outcome, attack: Attack, rows: np.ndarray) -> np.ndarray:
        """Rows that are not lost: to an attack that ignores the defense, also those that only M would lose."""
        right = outcome.right[rows]
        return right if attack.attacker == "knowing" else right | outcome.undefended[rows]

    def _judge(self, outcome: Outcome, rows: np.ndarray, arena: Arena, z: np.ndarray) -> Verdict:
        verdict = arena.judge(z)
        outcome.add(rows, verdict, arena.target.classes[arena.labels])
        return verdict

    def _run_minimal(self, attack: Attack) -> None:
        """Find the smallest displacements once, and judge them scaled into the ball of each size."""
        outcomes = []
        before = self.clean
        for size in self.sizes:
            before = self._begin(before, attack, size)
            outcomes.append(before)
        self.outcomes.extend(outcomes)
        rows = rows_of(attack, len(self.arena), self.effort, self.seed)
        for chunk in chunks(rows, SLOW_ROWS_AT_ONCE if attack.is_slow else ROWS_AT_ONCE):
            self._find_smallest(attack, chunk, outcomes)

    def _find_smallest(self, attack: Attack, chunk: np.ndarray, outcomes: list[Outcome]) -> None:
        start = time.perf_counter()
        left = chunk[self._is_left(self.clean, attack, chunk)]
        if len(left):
            self.clock.check()
            arena = self.arena.take(left)
            with temporary_seed(self.seed):
                z = attack.run(arena, attack.through, self.sizes[-1], self.seed, self.effort)
            for outcome in outcomes:
                limit = radius(outcome.size, attack.norm, arena.moves.n_moving)
                self._judge(outcome, left, arena, inside(z, limit, attack.norm))
        for smaller, larger in pairwise(outcomes):
            _keep_losses(smaller, larger, chunk)
        for outcome in outcomes:
            outcome.tried[chunk] = True
            outcome.seconds += (time.perf_counter() - start) / len(outcomes)

    def _grow(self, attack: Attack) -> None:
        """Double the size until no row is left, or the range of the features ends."""
        attack = replace(attack, name=attack.name + GROWING)
        before, size = self.clean, self.sizes[-1]
        for _ in range(MOST_DOUBLINGS):
            size = 2 * size
            before = self._begin(before, attack, size)
            self._attack(before, attack, size, np.arange(len(self.arena)), restarts=1)
            self.growing.append(before)
            if not before.right.any() or size > self.arena.moves.bound:
                break


def rows_of(attack: Attack, n_rows: int, effort: Effort, seed: int) -> np.ndarray:
    """The rows that an attack is made on: all, or a few of them if it is slow."""
    rows = np.arange(n_rows)
    if not attack.is_slow or n_rows <= effort.jump_rows:
        return rows
    return np.sort(np.random.default_rng(seed).permutation(rows)[: effort.jump_rows])


def restarts_of(attack: Attack, effort: Effort) -> int:
    """How often an attack is made: once, unless it has a random start. AutoPGD has restarts of its own."""
    is_random = attack.name not in ("FGSM", "AutoPGD Linf") and not attack.is_minimal and attack.more == 1
    return effort.restarts if is_random and attack.kind != "gradient-free" else 1


def _keep_losses(smaller: Outcome, larger: Outcome, rows: np.ndarray) -> None:
    """What a smaller displacement has lost is lost with more room too."""
    larger.right[rows] &= smaller.right[rows]
    larger.undefended[rows] &= smaller.undefended[rows]
    larger.undetected[rows] |= smaller.undetected[rows]


def chunks(rows: np.ndarray, length: int) -> list[np.ndarray]:
    """Consecutive parts of the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from skaae.robustness._campaign import chunks
    >>> [part.tolist() for part in chunks(np.arange(5), 2)]
    [[0, 1], [2, 3], [4]]
    """
    return [rows[start : start + length] for start in range(0, len(rows), length)]
