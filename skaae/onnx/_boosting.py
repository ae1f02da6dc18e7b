"""Boosting that reads categories of pandas itself: the codes of its categories, as its trees take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import OrdinalEncoder

from skaae._classifiers.frames import FrameColumns
from skaae._utils.extras import import_extra
from skaae.onnx._assembly import Assembly
from skaae.onnx._tables import look_up
from skaae.onnx._tensors import Matrix, Rows, side_by_side


def own_encoder(booster: Any, columns: FrameColumns | None = None) -> tuple[OrdinalEncoder, list[int]] | None:
    """Find the encoder of a booster.

    Parameters
    ----------
    booster : classifier
        Fitted.
    columns : FrameColumns or None, default=None
        The columns that it takes. Needed for LightGBM.

    Returns
    -------
    encoder : OrdinalEncoder
        Returns the codes of categories, and NaN for missing and unknown ones.
    places : list of int
        Numbers of the columns of categories. None instead of both if the booster does not encode any, or is XGBoost.
    """
    if type(booster) is HistGradientBoostingClassifier and booster._preprocessor is not None:
        places = booster._preprocessor._transformer_to_input_indices["encoder"]
        return booster._preprocessor.named_transformers_["encoder"], [int(place) for place in places]
    if type(booster).__name__ != "LGBMClassifier" or columns is None or not booster.booster_.pandas_categorical:
        return None
    categories = [np.array(values, dtype=object) for values in booster.booster_.pandas_categorical]
    places = [place for place, dtype in enumerate(columns.dtypes.values()) if str(dtype) == "category"]
    if len(places) != len(categories):
        raise TypeError(f"LGBMClassifier was fitted on {len(categories)} columns of categories, got {len(places)}.")
    encoder = OrdinalEncoder(categories=categories, handle_unknown="use_encoded_value", unknown_value=np.nan)
    first = import_extra("pandas", "pandas").DataFrame([[values[0] for values in categories]], dtype=object)
    return encoder.fit(first.to_numpy()), places


def encode_categories(booster: Any, assembly: Assembly, rows: Rows, columns: FrameColumns | None = None) -> Rows:
    """Add the codes of categories, if the booster encodes them itself.

    Parameters
    ----------
    booster : classifier
        Fitted.
    assembly : Assembly
        The graph.
    rows : Columns or Matrix
        The rows that it takes.
    columns : FrameColumns or None, default=None
        Their types.

    Returns
    -------
    rows : Columns or Matrix
        Numbers in the order in which the trees take them; the same rows if there is nothing to encode.
    """
    found = own_encoder(booster, columns)
    if found is None:
        return rows
    encoder, places = found
    codes = look_up([encoder], assembly, rows.take(places))
    others = [place for place in range(rows.n_columns or booster.n_features_in_) if place not in places]
    parts = [codes, *([rows.take(others).matrix()] if others else [])]
    encoded = Matrix(assembly, side_by_side(assembly, parts), len(places) + len(others))
    if type(booster) is HistGradientBoostingClassifier:  # its trees take codes first
        return encoded
    return encoded.take(np.argsort([*places, *others]).tolist())
