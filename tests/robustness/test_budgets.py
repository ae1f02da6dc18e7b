import numpy as np
import pandas as pd
import polars as pl
import pytest

from skaae import FeatureConstraints
from skaae.robustness._budgets import inside, moves_of, radius


@pytest.fixture
def loans():
    """Mixed columns, one of whole numbers, one with a missing value."""
    return pd.DataFrame(
        {"age": [20, 30, 40, 50], "debt": [1.0, np.nan, 3.0, 5.0], "job": ["a", "b", "a", "b"], "one": [1.0] * 4}
    )


def moves(X, constraints=None, mutable=None, images=False, unit="auto"):
    return moves_of(X, constraints, mutable, images, unit)


def test_radius_of_the_ball_with_the_volume_of_the_box():
    assert radius(0.5, "l2", 2) == pytest.approx(1 / np.sqrt(np.pi))  # a disk of area 1
    assert radius(0.5, "l1", 2) == pytest.approx(np.sqrt(0.5))  # a diamond of area 1
    assert radius(0.5, "linf", 2) == 0.5


@pytest.mark.parametrize(("norm", "order"), [("l2", 2), ("l1", 1)])
def test_inside_scales_what_is_outside(norm, order):
    z = np.array([[3.0, 4.0], [0.1, 0.0]])
    assert np.linalg.norm(inside(z, 1.0, norm)[0], order) == pytest.approx(1)
    assert inside(z, 1.0, norm)[1] == pytest.approx(z[1])


def test_frame_moves_numbers_in_range_and_keeps_the_rest(loans):
    found = moves(loans)
    assert found.columns == ["age", "debt"]
    moved = found.moved(np.array([[9.0, 9.0]] * 2 + [[-9.0, -9.0]] * 2))
    assert moved["age"].tolist() == [50, 50, 20, 20]
    assert moved["age"].dtype == loans["age"].dtype
    assert moved["debt"].tolist()[2:] == [1.0, 1.0]
    assert np.isnan(moved["debt"][1])
    pd.testing.assert_frame_equal(moved[["job", "one"]], loans[["job", "one"]])
    pd.testing.assert_frame_equal(found.moved(np.zeros((4, 2))), loans)


def test_whole_numbers_never_move_farther_than_asked(loans):
    found = moves(loans)
    z = np.full((4, 2), 0.3)
    assert found.moved(z)["age"].tolist() == [23, 33, 43, 50]  # 0.3 of 11.18 years is 3.35
    assert (np.abs(found.distance(z)) <= 0.3 + 1e-9).all()


def test_moves_of_exactly_one_step_are_not_lost_to_rounding():
    X = np.array([[0.0], [2.0], [0.0], [2.0]])  # whole numbers with a standard deviation of 1
    assert moves(X).moved(np.full((4, 1), 1.0, np.float32) * np.float32(0.99999997)).ravel().tolist() == [1, 2, 1, 2]


def test_constraints_and_mutable_features(loans):
    constraints = FeatureConstraints.from_data(loans, ["debt"])
    assert moves(loans, constraints).columns == ["debt"]
    assert moves(loans, mutable=["age"]).columns == ["age"]
    ranges = pd.DataFrame({"feature": ["age", "debt"], "type": ["int", "real"], "min": [0, 0], "max": [99, None]})
    moved = moves(loans, FeatureConstraints(ranges)).moved(np.full((4, 2), 99.0))
    assert moved["age"].tolist() == [99] * 4
    assert moved["debt"].max() == 5, "where there is no bound, the largest value of X"


def test_rows_that_would_violate_a_relation_stay(loans):
    constraints = FeatureConstraints.from_data(loans, relations=lambda X: X["age"] < 45)
    moved = moves(loans, constraints).moved(np.full((4, 2), 1.0))
    assert moved["age"].tolist() == [31, 41, 40, 50], "the third would be 51, and the fourth is 50 as it is"


def test_a_row_that_violates_one_relation_keeps_the_others(loans):
    relations = {"never": lambda X: X["age"] > 1000, "young": lambda X: X["age"] < 45}
    moved = moves(loans, FeatureConstraints.from_data(loans, relations=relations)).moved(np.full((4, 2), 1.0))
    assert moved["age"].tolist() == [31, 41, 40, 50]


def test_polars_stays_polars(loans):
    moved = moves(pl.from_pandas(loans)).moved(np.zeros((4, 2)))
    assert isinstance(moved, pl.DataFrame)
    assert moved["age"].to_list() == loans["age"].tolist()


def test_array_with_missing_values():
    X = np.array([[1.5, np.nan], [2.0, 3.5], [4.0, 1.0]])
    moved = moves(X).moved(np.full((3, 2), 9.0))
    assert np.isnan(moved[0, 1])
    assert np.nanmax(moved, axis=0).tolist() == [4.0, 3.5]


def test_images_have_one_unit_and_one_range(digit_images):
    X = digit_images[0][:10]
    found = moves(X, images=True)
    assert found.unit_name == "range"
    assert set(found.unit) == {1.0}
    assert found.moved(np.ones((10, 64))).min() == 1.0


def test_images_take_no_constraints(digit_images):
    """They would be those of a table, and would not hold."""
    with pytest.raises(ValueError, match="constraints must be None for images and sequences"):
        moves(digit_images[0][:10], FeatureConstraints.from_data(np.eye(3)), images=True)


def test_sequences_have_a_unit_for_each_channel():
    X = np.random.default_rng(0).normal(size=(20, 5, 2)) * [1.0, 10.0]
    assert moves(X).unit.reshape(5, 2)[0] == pytest.approx([1, 10], rel=0.2)


def test_range_as_unit(loans):
    assert moves(loans, unit="range").unit.tolist() == [30, 4]


def test_nothing_to_move():
    with pytest.raises(ValueError, match="at least one mutable column of numbers that differ"):
        moves(pd.DataFrame({"job": ["a", "b"], "one": [1, 1]}))


def test_take(loans):
    part = moves(loans).take(np.array([2]))
    assert len(part) == 1
    assert part.moved(np.zeros((1, 2)))["age"].tolist() == [40]
