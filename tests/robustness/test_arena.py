import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from skaae._keras.devices import op_determinism
from skaae.robustness._arena import Arena, row_loss
from skaae.robustness._budgets import moves_of
from skaae.robustness._target import target_of


def displacements(arena, size=0.4):
    return np.random.default_rng(0).uniform(-size, size, arena.start().shape).astype(np.float32)


@pytest.mark.parametrize("through", ["classifier", "defense", "corrected"])
def test_networks_see_the_rows_that_are_judged(iris_arena, through):
    z = displacements(iris_arena)
    expected = iris_arena.target.networks[through](iris_arena.moves.moved(z))
    assert np.asarray(iris_arena.logits(through)(z)) == pytest.approx(np.asarray(expected), abs=1e-3)


def test_both_networks_side_by_side(iris_arena):
    z = displacements(iris_arena)
    parts = [iris_arena.logits(name)(z) for name in ("classifier", "defense")]
    assert np.asarray(iris_arena.logits("both")(z)) == pytest.approx(np.concatenate(parts, axis=1), abs=1e-4)


def test_part_of_the_rows(iris_arena):
    z, rows = displacements(iris_arena), np.array([3, 7])
    part = iris_arena.take(rows)
    assert len(part) == 2
    whole = np.asarray(iris_arena.logits("classifier")(z))
    assert np.asarray(part.logits("classifier")(z[rows])) == pytest.approx(whole[rows], abs=1e-5)
    assert iris_arena.oracle("corrected", rows)(z[rows]) == pytest.approx(iris_arena.oracle("corrected")(z)[rows])


def raw_table():
    generator = np.random.default_rng(0)
    X = pd.DataFrame({"job": generator.choice(["a", "b"], 40), "age": generator.integers(18, 80, 40)})
    X["debt"] = generator.normal(size=40)
    return X, (X["debt"] + (X["job"] == "a") > 0.3).astype(int).to_numpy()


def test_behind_transformers_the_encoded_rows_move_as_the_columns_do():
    X, y = raw_table()
    encoder = make_column_transformer((OneHotEncoder(), ["job"]), (StandardScaler(), ["debt", "age"]))
    model = make_pipeline(encoder, LogisticRegression()).fit(X, y)
    arena = Arena.of(target_of(model, X), moves_of(X, None, None, False), y, 0.5)
    z = displacements(arena)
    expected = np.log(model.predict_proba(arena.moves.moved(z)))
    assert np.asarray(arena.logits("classifier")(z)) == pytest.approx(expected, abs=1e-4)


def test_gradient_passes_whole_numbers_and_ranges():
    X, y = raw_table()
    X = X[["age", "debt"]].to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
    arena = Arena.of(target_of(model, X), moves_of(X, None, None, False), y, 0.5)
    z = tf.constant(np.full((40, 2), 0.001, np.float32))  # less than a whole year
    with tf.GradientTape() as tape:
        tape.watch(z)
        value = arena.logits("classifier")(z)[:, 0]
    assert (tape.gradient(value, z).numpy() != 0).all()


def test_loss_does_not_depend_on_what_scikeras_left_behind():
    labels, logits = tf.constant([0, 1]), tf.Variable([[0.3, -1.2, 2.1], [7.3, 0.1, -90.0]])

    def loss_and_gradient(deterministic):
        with op_determinism(deterministic), tf.GradientTape() as tape:
            loss = row_loss(labels, logits)
        return loss.numpy(), tape.gradient(loss, logits).numpy()

    for found, wanted in zip(loss_and_gradient(True), loss_and_gradient(False), strict=True):
        np.testing.assert_array_equal(found, wanted)
        assert np.isfinite(found).all()
    np.testing.assert_allclose(loss_and_gradient(False)[0], [2.0, 7.2], atol=0.1)
