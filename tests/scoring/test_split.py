import numpy as np
import pytest

from skaae._scoring.split import split_by_class, split_rows


def test_split_parts_all_rows_once():
    training, calibration = split_rows(103, 0.2, seed=0)
    assert len(calibration) == 21
    np.testing.assert_array_equal(np.sort(np.r_[training, calibration]), np.arange(103))
    np.testing.assert_array_equal(split_rows(103, 0.2, seed=0)[1], calibration)
    assert not np.array_equal(split_rows(103, 0.2, seed=1)[1], calibration)


def test_split_is_exact_where_floats_are_not():
    assert len(split_rows(30, 0.1, seed=0)[1]) == 3


def test_fraction_zero_is_the_published_way():
    training, calibration = split_rows(10, 0.0, seed=0)
    assert training.tolist() == calibration.tolist() == list(range(10))


def test_fraction_that_leaves_nothing_to_train_on():
    with pytest.raises(ValueError, match=r"calibration_fraction=0\.99 of 10 rows of X leaves no row for training"):
        split_rows(10, 0.99, seed=0)


def counts(labels, rows):
    return np.bincount(labels[rows], minlength=labels.max() + 1).tolist()


@pytest.mark.parametrize(
    ("sizes", "calibration"),
    [
        ([500, 300, 200], [100, 60, 40]),  # its share of each class
        ([1000, 100], [200, 40]),  # a rare class: up to 40
        ([1000, 30, 1], [200, 15, 0]),  # at most half of it
        ([50, 50, 50], [10, 10, 10]),  # few rows, but no class is rare
    ],
)
def test_calibration_rows_of_each_class(sizes, calibration):
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    rest, rows = split_by_class(labels, 0.2, seed=0)
    assert counts(labels, rows) == calibration
    np.testing.assert_array_equal(np.sort(np.r_[rest, rows]), np.arange(len(labels)))
    np.testing.assert_array_equal(split_by_class(labels, 0.2, seed=0)[1], rows)
    assert not np.array_equal(split_by_class(labels, 0.2, seed=1)[1], rows)


def test_rows_of_a_class_are_drawn_at_random():
    labels = np.repeat([0, 1], [500, 500])
    drawn = np.concatenate([split_by_class(labels, 0.1, seed)[1] for seed in range(200)])
    assert np.bincount(drawn, minlength=1000).max() < 45, "20 on average; a standard deviation is 4"


def test_two_rows_of_two_classes():
    """A frozen classifier needs no training row of each class."""
    assert [len(rows) for rows in split_by_class(np.array([0, 1]), 0.2, seed=0)] == [1, 1]
    with pytest.raises(ValueError, match="leaves too few rows to train on each of the 2 classes"):
        split_by_class(np.array([0, 1]), 0.2, seed=0, train_each_class=True)


@pytest.mark.slow
def test_the_percentile_does_not_change_the_rows(cancer, cancer_model):
    """A search over it with `memory` trains once."""
    from skaae import AdversarialAEDetector
    from tests.support.models import QUICK

    weights = [
        AdversarialAEDetector(cancer_model, **QUICK, threshold_percentile=percentile)
        .fit(cancer[0])
        .autoencoder_.get_weights()
        for percentile in (50, 99)
    ]
    for first, second in zip(*weights, strict=True):
        np.testing.assert_array_equal(first, second)


def test_without_calibration_rows_all_rows_do_both():
    training, calibration = split_by_class(np.array([0, 1, 1]), 0, seed=0)
    assert training.tolist() == calibration.tolist() == [0, 1, 2]
