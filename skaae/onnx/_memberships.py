"""Nodes of trees that compare a category with a set, as nodes that compare a number.

Trees in ONNX compare numbers only. Each set gets a column: 0 for the categories in the set, 1 for others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from skaae.onnx._assembly import Assembly
from skaae.onnx._tensors import side_by_side


class Split(NamedTuple):
    """Which categories of a feature go left, as codes, and whether missing ones do."""

    feature: int
    codes: frozenset[int]
    missing_left: bool


def add_memberships(splits: Sequence[Split], assembly: Assembly, x: str) -> tuple[str, dict[Split, int]]:
    """Add a column for each split, before those of x.

    Parameters
    ----------
    splits : sequence of Split
        May repeat each other.
    assembly : Assembly
        The graph.
    x : str
        Name of the tensor with the rows, float64. Categories are codes from 0, and NaN where they are missing.

    Returns
    -------
    x : str
        Name of the tensor with further columns.
    places : dict of Split to int
        The number of the column of each split: 0 where the row goes left, else 1.
    """
    of_feature: dict[int, list[Split]] = defaultdict(list)
    for split in dict.fromkeys(splits):
        of_feature[split.feature].append(split)
    parts = [_columns(feature, own, assembly, x) for feature, own in of_feature.items()]
    ordered = [split for own in of_feature.values() for split in own]
    return side_by_side(assembly, [*parts, x]), {split: place for place, split in enumerate(ordered)}


def _columns(feature: int, splits: list[Split], assembly: Assembly, x: str) -> str:
    largest = max(code for split in splits for code in split.codes)
    # Rows of the table: the codes, all larger codes, missing.
    table = np.ones((largest + 3, len(splits)))
    for place, split in enumerate(splits):
        table[list(split.codes), place] = 0
        table[-1, place] = 0 if split.missing_left else 1
    code = assembly.node("Gather", x, assembly.constant(np.int64(feature)), axis=1)
    known = assembly.node("Min", code, assembly.constant(np.float64(largest + 1)))
    missing = assembly.constant(np.float64(largest + 2))
    is_code = assembly.node("GreaterOrEqual", code, assembly.constant(np.float64(0)))  # NaN is not
    row = assembly.cast(assembly.node("Where", is_code, known, missing), np.int64)
    return assembly.node("Gather", assembly.constant(table), row, axis=0)
