"""Which columns that transformers return belong together: one-hot groups, and codes that are whole numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import compress
from typing import Any

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, OrdinalEncoder

from skaae._classifiers.unwrapping import all_steps_of, last_step_of, steps_of

Rules = dict[str, Any]


def rules_of_transformers(pipeline: Pipeline, n_encoded: int) -> Rules:
    """Find groups and codes in the columns that the last transformer of a fitted Pipeline returns.

    Columns that a later step scales or mixes are none.

    Parameters
    ----------
    pipeline : Pipeline
        Fitted, with the classifier as the last step.
    n_encoded : int
        Number of columns.

    Returns
    -------
    rules : dict
        Arguments of `skaae._keras.valid_rows.ValidRows`.
    """
    rules: Rules = {"kept": [], "groups": [], "may_be_zero": [], "codes": []}
    last = all_steps_of(Pipeline(pipeline.steps[:-1]))[-1] if len(steps_of(pipeline)) > 1 else None
    for encoder, start, stop in _encoders(last, n_encoded):
        _add_rules(rules, encoder, start, stop)
    return rules


def _encoders(transformer: Any, n_encoded: int) -> Iterator[tuple[Any, int, int]]:
    """The encoders at the end of the transformer, each with the range of its columns."""
    if not isinstance(transformer, ColumnTransformer):
        yield transformer, 0, n_encoded
        return
    for name, inner, _ in transformer.transformers_:
        columns = transformer.output_indices_.get(name, slice(0, 0))
        if not isinstance(inner, str) and columns.stop > columns.start:
            yield last_step_of(inner), columns.start, columns.stop


def _add_rules(rules: Rules, encoder: Any, start: int, stop: int) -> None:
    if isinstance(encoder, OneHotEncoder) or (isinstance(encoder, KBinsDiscretizer) and encoder.encode != "ordinal"):
        sizes, dropped = sizes_of_groups(encoder)
        if sum(sizes) == stop - start:
            starts = start + np.cumsum([0, *sizes[:-1]])
            for first, size, drop in zip(starts.tolist(), sizes, dropped, strict=True):
                _add_group(rules, list(range(first, first + size)), drop)
    elif isinstance(encoder, OrdinalEncoder | KBinsDiscretizer):
        limits = _limits_of_codes(encoder)
        if len(limits) == stop - start:
            rules["codes"] += [(start + place, low, high) for place, (low, high) in enumerate(limits)]


def _add_group(rules: Rules, columns: list[int], may_be_zero: bool) -> None:
    if len(columns) + may_be_zero > 1:
        rules["groups"].append(columns)
        rules["may_be_zero"].append(may_be_zero)
    else:  # a single category, of which x' has what x has
        rules["kept"] += columns


def sizes_of_groups(encoder: Any) -> tuple[list[int], list[bool]]:
    """Number of columns of each group, and whether the column of one of its categories was dropped."""
    if isinstance(encoder, KBinsDiscretizer):
        return [int(n_bins) for n_bins in encoder.n_bins_], [False] * len(encoder.n_bins_)
    drop = encoder.drop_idx_ if encoder.drop_idx_ is not None else [None] * len(encoder.categories_)
    infrequent = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
    sizes = []
    for categories, rare, place in zip(encoder.categories_, infrequent, drop, strict=True):
        n_columns = len(categories) if rare is None else len(categories) - len(rare) + 1
        sizes.append(n_columns - (place is not None))
    return sizes, [place is not None for place in drop]


def _limits_of_codes(encoder: Any) -> list[tuple[int, int]]:
    if isinstance(encoder, KBinsDiscretizer):
        return [(0, int(n_bins) - 1) for n_bins in encoder.n_bins_]
    infrequent = getattr(encoder, "infrequent_categories_", [None] * len(encoder.categories_))
    limits = []
    for categories, rare in zip(encoder.categories_, infrequent, strict=True):
        n_codes = len(categories) - _is_missing(categories[-1])
        n_codes -= 0 if rare is None else len(rare) - 1
        takes_missing = _is_missing(categories[-1]) and not _is_missing(encoder.encoded_missing_value)
        missing = [int(encoder.encoded_missing_value)] if takes_missing else []
        limits.append((min(0, *missing, 0), max(n_codes - 1, *missing, 0)))
    return limits


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))


def moved_rules(rules: Rules, places: Mapping[int, int]) -> Rules:
    """The same rules where the columns are at other places. Rules of columns without a place are left out."""
    kept = [all(column in places for column in group) for group in rules["groups"]]
    return {
        "kept": [places[column] for column in rules["kept"] if column in places],
        "groups": [[places[column] for column in group] for group in compress(rules["groups"], kept)],
        "may_be_zero": list(compress(rules["may_be_zero"], kept)),
        "codes": [(places[column], *limits) for column, *limits in rules["codes"] if column in places],
    }
