"""Categories that the detector has not seen, where the classifier takes raw rows: which of them are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from skaae._classifiers.frames import FrameColumns
from skaae._classifiers.unwrapping import all_steps_of
from skaae.onnx._boosting import own_encoder
from skaae.onnx._inputs import chains
from skaae.onnx._tables import is_missing, n_before_encoder, tables_of, values_of_column


class Unknown(NamedTuple):
    """What a column refuses.

    `known` are categories that the classifier knows and the detector does not, None for missing values. `others` tells
    whether the classifier refuses all further ones.
    """

    known: list[Any]
    others: bool


def unknown_categories(classifier: Any, columns: FrameColumns) -> dict[int, Unknown]:
    """Find out which categories raise an error, as `Encoding.encode` does.

    Parameters
    ----------
    classifier : classifier
        Takes raw rows.
    columns : FrameColumns
        How the detector encodes them.

    Returns
    -------
    unknown : dict of int to Unknown
        For the number of each column of categories.
    """
    names = list(columns.dtypes)
    readers = list(_readers(classifier, list(range(len(names))), columns))
    return {names.index(name): _of_column(readers, names.index(name), columns, name) for name in columns.categories}


def _of_column(readers: list[tuple[list[Any], list[int]]], place: int, columns: FrameColumns, name: Any) -> Unknown:
    """Compare what encoders return for a category with what they return for the one that is decoded instead."""
    is_known, has_gaps = set(columns.categories[name]), name in columns.gaps
    known, others = [], False
    for steps, places in readers:
        for number in [number for number, source in enumerate(places) if source == place]:
            *values, missing, unknown = tables_of(steps)[number]
            is_gap = has_gaps or str(columns.dtypes[name]) == "category"
            instead = missing if is_gap else unknown
            for value, row in zip(values_of_column(steps, number), (*values, missing), strict=False):
                key = None if is_missing(value) else value
                if key not in is_known and not (key is None and has_gaps) and not _is_same(row, instead):
                    known.append(key)
            others |= not _is_same(unknown, instead)
    return Unknown(list(dict.fromkeys(known)), others)


def _is_same(row: np.ndarray, instead: np.ndarray) -> bool:
    return bool(not np.isinf(row).any() and np.array_equal(row, instead, equal_nan=True))


def _readers(classifier: Any, places: list[int], columns: FrameColumns) -> Iterator[tuple[list[Any], list[int]]]:
    """The encoders of all members of a classifier, each with the imputers before it and the columns that it takes."""
    *transformers, last = all_steps_of(classifier)
    for steps, chosen in chains(transformers, places) if transformers else ():
        if (n_before := n_before_encoder(steps)) is not None:
            yield steps[: n_before + 1], chosen
    if not transformers and (found := own_encoder(last, columns)) is not None:
        yield [found[0]], found[1]
    if not transformers:
        for member in (*getattr(last, "estimators_", ()), *getattr(last, "calibrated_classifiers_", ())):
            yield from _readers(
                getattr(member, "estimator", member) if _is_calibrated(member) else member, places, columns
            )


def _is_calibrated(member: Any) -> bool:
    return hasattr(member, "calibrators")
