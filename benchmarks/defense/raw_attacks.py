"""Evasion of raw rows: attacks that alter mutable columns of numbers within range; whole numbers stay whole."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.pipeline import Pipeline

from benchmarks.defense.arenas import arena_of_table, effort_of
from benchmarks.defense.attacks import JUMPS, SIZE
from benchmarks.defense.raw_tables import GRADIENT, Table
from skaae.robustness._black_box_attacks import hop_skip_jump
from skaae.robustness._gradient_attacks import projected_gradient

STEPS = 40


def evaded(classifier: str, model: Pipeline, table: Table, rows: np.ndarray, seed: int) -> pd.DataFrame:
    """Test rows by their numbers, altered: by PGD where the classifier has a gradient, else by HopSkipJump."""
    size = SIZE["table"]
    arena = arena_of_table(model, table, rows, size, seed)
    attack, effort = (projected_gradient, effort_of(steps=STEPS)) if classifier in GRADIENT else (hop_skip_jump, JUMPS)
    altered = arena.moves.moved(attack(arena, "classifier", size, seed, effort))
    return altered.reset_index(drop=True)
