import numpy as np
import pytest

from skaae._displays.chosen_samples import check_features, check_lengths, checked_image_shape, chosen_samples


def test_chosen_samples():
    assert chosen_samples(3, 10).tolist() == [0, 1, 2]
    assert chosen_samples(30, 2).tolist() == [0, 1]
    assert chosen_samples([7, 2], 10).tolist() == [7, 2]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (0, "samples must be an integer of at least 1 or a list of indices, got 0"),
        (True, "samples must be an integer of at least 1 or a list"),
        (2.5, "samples must be an integer of at least 1 or a list"),
        ([], "samples must be an integer of at least 1 or a list"),
        ([True, False], "samples must be an integer of at least 1 or a list"),
        ([1, 10], "samples contains indices from 1 to 10, but X has 10 samples"),
        ([-1], "samples contains indices from -1 to -1"),
    ],
)
def test_bad_samples(samples, message):
    with pytest.raises(ValueError, match=message):
        chosen_samples(samples, 10)


def test_lengths():
    check_lengths(np.zeros((3, 2)), y=[1, 2, 3], corrected=None)
    with pytest.raises(ValueError, match="y has 2 entries, but X has 3 samples"):
        check_lengths(np.zeros((3, 2)), y=[1, 2])


@pytest.mark.parametrize(
    ("image_shape", "shape", "wanted"),
    [
        (None, (5, 64), None),
        (None, (5, 20, 3), None),
        (None, (5, 8, 8, 1), (8, 8, 1)),
        (None, (5, 8, 8, 3), (8, 8, 3)),
        ([8, 8], (5, 64), (8, 8)),
        ((4, 4, 3), (5, 48), (4, 4, 3)),
        ((28, 28), (5, 28, 28), (28, 28)),
    ],
)
def test_image_shape(image_shape, shape, wanted):
    assert checked_image_shape(image_shape, shape) == wanted


@pytest.mark.parametrize(
    ("image_shape", "shape", "message"),
    [
        (None, (5, 3, 8, 8), r"Images must have 1 or 3 channels in the last dimension, but X has shape \(5, 3, 8, 8\)"),
        ((8, 8), (5, 65), r"image_shape=\(8, 8\) does not match samples of shape \(65,\)"),
        ((64,), (5, 64), r"image_shape must be \(height, width\) or \(height, width, 1 or 3\), got \(64,\)"),
        ((4, 8, 2), (5, 64), r"image_shape must be"),
    ],
)
def test_bad_image_shape(image_shape, shape, message):
    with pytest.raises(ValueError, match=message):
        checked_image_shape(image_shape, shape)


def test_features():
    check_features((5, 2, 2), list("abcd"), [1.0, 2.0, 3.0, 4.0])
    with pytest.raises(
        ValueError, match=r"feature_names must have one entry for each of the 4 features, got shape \(3,\)"
    ):
        check_features((5, 4), list("abc"), None)
    with pytest.raises(ValueError, match="standard_deviations must have one entry"):
        check_features((5, 4), None, np.ones((1, 4)))
    with pytest.raises(ValueError, match="Use 1 for a constant feature"):
        check_features((5, 2), None, [0.0, 1.0])
