"""How hard an attack tries: steps, restarts and questions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """How hard attacks try.

    Parameters
    ----------
    n_samples : int
        Rows that are attacked by default.
    steps : int
        Steps of PGD and of its variants.
    restarts : int
        Random starts. A row is lost if one of them loses it.
    search : tuple of two int
        Rounds of the binary search of Carlini-Wagner, and its steps.
    questions : int
        Iterations of Square.
    jumps : int
        Iterations of HopSkipJump.
    evaluations : int
        Largest number of evaluations of an iteration of HopSkipJump.
    jump_rows : int
        Rows that HopSkipJump attacks: it takes them one after the other.
    searches_all_sizes : bool
        Whether gradient-free attacks are made at each size, or at the largest only.
    """

    n_samples: int
    steps: int
    restarts: int
    search: tuple[int, int]
    questions: int
    jumps: int
    evaluations: int
    jump_rows: int
    searches_all_sizes: bool = True


EFFORTS = {
    "fast": Effort(300, 20, 1, (3, 50), 100, 3, 100, 30, searches_all_sizes=False),
    "standard": Effort(500, 50, 3, (4, 100), 500, 5, 200, 60),
    "thorough": Effort(1000, 100, 5, (5, 200), 2000, 10, 500, 300),
}
# Where attacks are named one by one.
DEFAULT = "standard"
