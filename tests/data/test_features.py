"""Features by name, index or mask."""

import numpy as np
import pandas as pd
import pytest

from skaae._data.features import mask_of_features

NAMES = np.array(["a", "b", "c"], dtype=object)


@pytest.mark.parametrize(
    "features",
    [["a", "c"], [0, 2], [0, -1], [True, False, True], np.array([True, False, True]), np.array(["c", "a"]), ("a", 2)],
)
def test_ways_to_say_it(features):
    assert mask_of_features(features, 3, NAMES).tolist() == [True, False, True]


def test_series_and_none():
    assert mask_of_features(pd.Series(["b"]), 3, NAMES).tolist() == [False, True, False]
    assert mask_of_features(None, 3).all()


@pytest.mark.parametrize(
    ("features", "error", "message"),
    [
        (["a", "x"], ValueError, r"names that are no features of X: \['x'\]"),
        ([0, 3], ValueError, r"indices \[3\], but X has 3 features"),
        ([-4], ValueError, r"indices \[-4\]"),
        ([True, False], ValueError, "a mask of 2 features, but X has 3"),
        ([], ValueError, "at least one feature"),
        ([False] * 3, ValueError, "at least one feature"),
        ("a", TypeError, "a list of names"),
        ([0.5], TypeError, "names, indices or a boolean mask"),
        ([True, "a"], TypeError, "names, indices or a boolean mask"),
    ],
)
def test_refused(features, error, message):
    with pytest.raises(error, match=f"mutable_features.*{message}"):
        mask_of_features(features, 3, NAMES)


def test_names_where_there_are_none():
    with pytest.raises(ValueError, match="X has none"):
        mask_of_features(["a"], 3)
