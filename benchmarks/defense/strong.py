"""Attacks of AutoAttack's strength, and attacks on the decision of `correct`, against skaae with its defaults.

    python -m benchmarks.defense.strong [--seeds 1] [SET ...] [--checks CHECK ...]

A line of results/strong.csv for each set, seed, check, size and attack: the share of rows that stay right
under it, and of those that it takes although PGD leaves them right. A run goes on where the last one stopped.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import tensorflow as tf

from benchmarks.common.data import IMAGES, TABLES
from benchmarks.defense import attacks, auto_pgd, decision
from benchmarks.defense.checks import KNOWING_RESTARTS, Check, Defense, run_checks, trained, trained_on
from benchmarks.defense.commands import for_each_set, parsed, parser_of
from benchmarks.defense.ledger import Ledger
from skaae import AdversarialAEDetector, attack_target

logging.getLogger("tensorflow").setLevel(logging.ERROR)
LEDGER = Ledger.named("strong")
TOGETHER = "all, with PGD"
TARGETS = {"composite": "defense", "joint": "both"}
# Questions of Square to each row: fewer than the 5,000 of AutoAttack, and fewer where each costs more.
QUESTIONS = {"table": 2000, "image": 1000}
OTHER_SEED = 1000
DIRECTIONS = {
    "penalty 1": decision.penalized(1.0),
    "penalty 10": decision.penalized(10.0),
    "selective": decision.alternating(orthogonal=False),
    "orthogonal": decision.alternating(orthogonal=True),
}
Found = Iterator[tuple[str, np.ndarray]]


def main() -> None:
    parser = parser_of(__doc__, ["spambase", "letter", "mnist5k"], seeds=1)
    parser.add_argument("--checks", nargs="*", default=list(CHECKS), choices=CHECKS)
    arguments = parsed(parser, [*TABLES, *IMAGES])
    for_each_set(arguments, partial(run_set, checks=arguments.checks))


def run_set(name: str, seed: int, checks: Sequence[str]) -> None:
    """Run those checks on one set that have no results yet."""
    run_checks(LEDGER, {"set": name, "seed": seed}, CHECKS, checks, partial(trained_on, name, seed))


def auto_attack(defense: Defense, size: float) -> Found:
    """AutoPGD on the cross-entropy, on DLR and, with more than two classes, toward single wrong classes."""
    n_targets = auto_pgd.n_targets(defense.split)
    for target, through in TARGETS.items():
        made = partial(auto_pgd_on, defense.detector, through, defense, size)
        yield f"AutoPGD cross-entropy, {target}", defense.surviving(made(), KNOWING_RESTARTS)
        yield f"AutoPGD DLR, {target}", defense.surviving(made(loss=auto_pgd.logits_ratio), KNOWING_RESTARTS)
        if n_targets > 1:
            yield f"AutoPGD targeted, {target}", defense.surviving(made(targeted=True), n_targets)


def auto_pgd_on(
    attacked: AdversarialAEDetector,
    through: str,
    defense: Defense,
    size: float,
    loss: auto_pgd.Loss = auto_pgd.cross_entropy,
    targeted: bool = False,
) -> auto_pgd.AutoPGD:
    """AutoPGD with the gradient of one detector, judged by what the defense predicts after `correct`."""
    network, predict = attack_target(attacked, through), defense.detector._corrected_probabilities
    return auto_pgd.AutoPGD(network, loss, defense.split, size, predict, targeted)


def without_gradients(defense: Defense, size: float) -> Found:
    """Square on the same networks, and on the probabilities of what is deployed."""
    y = defense.split.y_test[: defense.n_rows]
    iterations = QUESTIONS[attacks.kind(defense.split)]
    for name, predict in questioned(defense).items():
        X = attacks.square(predict, defense.split, defense.n_rows, size, defense.seed, iterations)
        yield f"Square, {name}", defense.is_right(X, y)


def questioned(defense: Defense) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Functions from rows to probabilities."""

    def probabilities(through: str) -> Callable[[np.ndarray], np.ndarray]:
        target = attack_target(defense.detector, through)
        return lambda X: tf.nn.softmax(target(X)).numpy()

    deployed = defense.detector._corrected_probabilities
    return {**{name: probabilities(through) for name, through in TARGETS.items()}, "corrected": deployed}


def transfer(defense: Defense, size: float, second: AdversarialAEDetector) -> Found:
    """AutoPGD on a second detector, of another seed."""
    for target, through in TARGETS.items():
        attack = auto_pgd_on(second, through, defense, size)
        yield f"transfer, {target}", defense.surviving(attack, KNOWING_RESTARTS)


def on_decision(defense: Defense, size: float) -> Found:
    """PGD that keeps S(x) below the threshold, by a penalty or by choosing between two directions."""
    for name, direction in DIRECTIONS.items():
        attack = decision.attack(defense.detector, defense.split, size, direction)
        yield f"decision, {name}", defense.surviving(attack, KNOWING_RESTARTS)


def compared(find: Callable[[Defense, float], Found], defense: Defense) -> Iterator[dict]:
    """A line for each size and attack, and one for all of them with PGD: a row is lost if one attack takes it."""
    for size in defense.sizes:
        pgd = together = defense.right_under_pgd(size)
        yield {"attack": "PGD", "size": size, "corrected": pgd.mean(), "beyond PGD": 0.0}
        for name, right in find(defense, size):
            together = together & right
            yield {"attack": name, "size": size, "corrected": right.mean(), "beyond PGD": (pgd & ~right).mean()}
        yield {"attack": TOGETHER, "size": size, "corrected": together.mean(), "beyond PGD": (pgd & ~together).mean()}


def compared_with_transfer(defense: Defense) -> Iterator[dict]:
    """The same for attacks on a second detector, which is trained once for all sizes."""
    second = trained(defense.model, defense.split, defense.seed + OTHER_SEED)
    return compared(partial(transfer, second=second), defense)


def growing_size(defense: Defense) -> Iterator[dict]:
    """Attacks of growing size, up to the first under which no row is right; what is lost stays lost."""
    alive = np.arange(defense.n_rows)
    for size in defense.growing_sizes:
        tried = [auto_pgd_on(defense.detector, through, defense, size) for through in TARGETS.values()]
        tried.append(decision.attack(defense.detector, defense.split, size, DIRECTIONS["orthogonal"]))
        for attack in tried:
            if len(alive):
                alive = alive[defense.is_right(attack(alive), defense.split.y_test[alive])]
        yield {"attack": "all", "size": size, "corrected": len(alive) / defense.n_rows}
        if not len(alive):
            return


CHECKS: dict[str, Check] = {
    "AutoPGD": partial(compared, auto_attack),
    "decision": partial(compared, on_decision),
    "Square": partial(compared, without_gradients),
    "transfer": compared_with_transfer,
    "growing size": growing_size,
}


if __name__ == "__main__":
    main()
