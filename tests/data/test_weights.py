import numpy as np
import pytest

from skaae._data.weights import (
    check_class_weight,
    check_sample_weight,
    rows_with_weight,
    weights_of_rows,
    with_mean_one,
)

CLASSES = np.array(["cat", "dog", "owl"])


def test_weights_of_classes():
    labels = np.array([0, 0, 0, 1])
    assert weights_of_rows({"dog": 5, "owl": 9}, CLASSES, labels).tolist() == [1, 1, 1, 5]
    balanced = weights_of_rows("balanced", CLASSES, labels)
    assert balanced[:3].sum() == pytest.approx(balanced[3])
    assert balanced.mean() == pytest.approx(1)


def test_weights_keep_their_proportions():
    assert with_mean_one(np.array([1.0, 3.0])).tolist() == [0.5, 1.5]


def test_rows_with_weight():
    assert rows_with_weight(np.array([0.0, 2.0, 0.0, 1e-9]), 4).tolist() == [1, 3]
    assert rows_with_weight(None, 3).tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1, 2], r"sample_weight.shape == \(2,\), expected \(3,\)"),
        ([1, -1, 1], "Negative values in data passed to `sample_weight`"),
        ([1, np.nan, 1], "Input sample_weight contains NaN"),
        ([0, 0, 0], "[Ww]eight"),
    ],
)
def test_bad_sample_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        check_sample_weight(weights, np.zeros((3, 2)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"cow": 2}, r"class_weight has weights for \['cow'\], which are no classes of the classifier"),
        ({"cat": -1}, "class_weight must have finite weights of at least 0"),
        ({"cat": np.inf}, "class_weight must have finite weights of at least 0"),
        ({"cat": 0, "dog": 0, "owl": 0}, "of which one is above 0"),
    ],
)
def test_bad_class_weights(weights, message):
    with pytest.raises(ValueError, match=message):
        check_class_weight(weights, CLASSES)


def test_no_weight_left():
    with pytest.raises(ValueError, match="leave no training row with a weight above 0"):
        with_mean_one(np.zeros(3))
