"""Samples are checked with NumPy alone, as the estimator checks them."""

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

from skaae._data.samples import as_samples, check_feature_names, check_float32_range

WRONG = {
    "Expected 2D array, got 1D array": [1.0, 2.0],
    "Expected 2D array, got 0D array": 1.0,
    "Expected 2D array, got 3D array": [[[1.0, 2.0]]],
    "X has 3 features, but Detector is expecting 2 features as input": [[1.0, 2.0, 3.0]],
    "Input X contains NaN": [[1.0, np.nan]],
    "Input X contains infinity": [[1.0, np.inf]],
    "could not convert string to float": [["a", "b"]],
    "must be an array of numbers": [[1.0, 2.0], [1.0]],
    "complex data is not supported": [[1j, 2.0]],
    "int too large to convert to float": [[10**400, 2.0]],
    "not 'dict'": [[{}, 2.0]],
    "X must have at least 1 sample": np.empty((0, 2)),
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_rows(message):
    with pytest.raises(ValueError, match=message):
        as_samples(WRONG[message], (2,), "Detector")


def test_sparse_rows():
    with pytest.raises(TypeError, match="X is sparse"):
        as_samples(csr_array(np.eye(2)), (2,), "Detector")


def test_images_of_another_size():
    with pytest.raises(ValueError, match=r"samples of shape \(4, 4, 1\), but Detector was fitted with .* \(8, 8, 1\)"):
        as_samples(np.zeros((1, 4, 4, 1)), (8, 8, 1), "Detector")


def test_floats_are_not_copied_and_integers_become_float64():
    X = np.ones((1, 2), np.float32)
    assert as_samples(X, (2,), "Detector") is X
    assert as_samples([[1, 2]], (2,), "Detector").dtype == np.float64


def test_a_sum_that_overflows_is_no_infinity():
    X = np.full((2, 2), 1e308)
    assert as_samples(X, (2,), "Detector") is X
    with pytest.raises(ValueError, match=r"beyond 3\.4e\+38"):
        check_float32_range(X)


def test_feature_names():
    frame = pd.DataFrame(np.ones((1, 2)), columns=["a", "b"])
    check_feature_names(frame, ["a", "b"])
    check_feature_names(frame, None)
    check_feature_names(np.ones((1, 2)), ["a", "b"])
    with pytest.raises(ValueError, match=r"unseen at fit time: \['b'\]. .* missing: \['c'\]"):
        check_feature_names(frame, ["a", "c"])
    with pytest.raises(ValueError, match=r"same order as they were in fit, \['b', 'a'\], but X has \['a', 'b'\]"):
        check_feature_names(frame, ["b", "a"])
    check_feature_names(frame.set_axis([0, 1], axis=1), ["a", "b"])  # not names, as scikit-learn sees it
    with pytest.raises(ValueError, match=r"unseen at fit time: \[1\]\. .* missing: \['b'\]"):
        check_feature_names(frame.set_axis(["a", 1], axis=1), ["a", "b"])
