"""The benchmarks of the limit and of strong attacks, on rows made up here: nothing is fetched."""

from functools import partial

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.support.models import QUICK


@pytest.fixture(scope="module")
def sign(split):
    """A network that knows the classes of `split`: the sign of the first feature."""
    dense = keras.layers.Dense(2, use_bias=False)
    network = keras.Sequential([keras.Input(split.X_test.shape[1:]), dense])
    dense.set_weights([np.array([[-2.0, 2.0], [0, 0], [0, 0], [0, 0]])])
    return network


@pytest.fixture(scope="module")
def defense(bench, split, sign):
    from skaae import AdversarialAEDetector, FrozenKerasModel

    options = {**QUICK, "threshold": 1.0, "random_state": 0}
    detector = AdversarialAEDetector(FrozenKerasModel(sign, from_logits=True), **options).fit(split.X_train)
    return bench.checks.Defense(sign, detector.infer_threshold(split.X_calibration, 90), split, seed=0)


@pytest.fixture
def quick(bench, monkeypatch):
    """Attacks of a few steps."""
    monkeypatch.setattr(bench.checks, "KNOWING_STEPS", 4)
    monkeypatch.setattr(bench.checks, "GROWTH", 8)
    monkeypatch.setattr(bench.strong, "KNOWING_RESTARTS", 2)
    monkeypatch.setattr(bench.auto_pgd, "STEPS", 5)
    monkeypatch.setattr(bench.decision, "STEPS", 5)
    monkeypatch.setitem(bench.strong.QUESTIONS, "table", 5)
    monkeypatch.setitem(bench.attacks.KNOWING_SIZES, "table", (0.3,))


@pytest.mark.slow
@pytest.mark.parametrize("beta", [0.0, 6.0])
def test_adversarial_training_keeps_rows_that_the_attack_cannot_move(bench, split, monkeypatch, beta):
    monkeypatch.setattr(bench.limit, "N_ROWS", 40)
    monkeypatch.setattr(bench.limit, "KNOWING_STEPS", 5)
    monkeypatch.setattr(bench.adversarial_training, "ASCENT_STEPS", 2)
    net = bench.adversarial_training.train(split, 0, beta, steps=40)
    far = np.mean(np.abs(split.X_test[:, 0]) > 0.3)
    assert bench.limit.under_pgd(net, split, 0.3) > far - 0.2


def test_network_of_the_limit_for_images(bench):
    X = np.zeros((3, 8, 8, 1), np.float32)
    images = bench.data.Split(X, np.arange(3), X, X, np.arange(3), (0.0, 1.0))
    assert bench.adversarial_training.network(images)(X).shape == (3, 3)


def test_batches_of_an_epoch_hold_other_rows_each(bench, monkeypatch):
    monkeypatch.setattr(bench.adversarial_training, "BATCH_SIZE", 4)
    found = list(bench.adversarial_training.batches(10, 4, np.random.default_rng(0)))
    assert [len(rows) for rows in found] == [4, 4, 4, 4]
    assert len(np.unique(np.concatenate(found[:2]))) == 8
    assert len(np.unique(np.concatenate(found[2:]))) == 8


@pytest.mark.slow
def test_limit_goes_on_where_it_stopped(bench, split, sign, results, monkeypatch):
    trained = []

    def train(split, seed, beta):
        trained.append(beta)
        return sign

    monkeypatch.setattr(bench.defense, "load", lambda name, seed: split)
    monkeypatch.setattr(bench.limit, "train", train)
    monkeypatch.setattr(bench.limit, "KNOWING_STEPS", 3)
    monkeypatch.setattr(bench.limit, "N_ROWS", 40)
    monkeypatch.setattr(bench.victims, "network", lambda *_: sign)
    monkeypatch.setattr(bench.attacks, "unaware", lambda *_: {"FGSM": split.X_test * [-1, 1, 1, 1]})
    bench.limit.run_set("some", 0)
    assert trained == [6.0, 0.0]
    found = bench.limit.LEDGER.lines()
    assert found["attack"].tolist() == 2 * ["clean", "FGSM", "knowing, PGD 0.15", "knowing, PGD 0.3"]
    first = found[:4]["corrected"]
    assert first[:2].tolist() == [1, 0]
    assert first[3] == pytest.approx(np.mean(np.abs(split.X_test[:, 0]) > 0.3), abs=1e-4)
    found[found["method"] != "labels, TRADES"].to_csv(bench.limit.LEDGER.path, index=False)
    bench.limit.run_set("some", 0)
    assert trained == [6.0, 0.0, 6.0]


def lines_of_a_method(name, method, whole):
    lines = [
        {"attack": "clean", "corrected": 0.9, "without": 0.95, "seconds": 3.0, "flagged": 0.05},
        {"attack": "FGSM", "corrected": 0.5, "without": 0.1, "reconstructed": 0.5, "auc": 0.9},
        {"attack": "knowing, PGD 0.15", "corrected": 0.6},
        {"attack": "knowing, PGD 0.3", "corrected": whole},
    ]
    return pd.DataFrame([{"set": name, "seed": 0, "method": method, **line} for line in lines])


def test_share_of_the_limit(bench):
    results = pd.concat([lines_of_a_method(name, "skaae", 0.2) for name in ("a", "b", "c")])
    limit = pd.concat(
        lines_of_a_method(*line)
        for line in (
            ("b", "labels, TRADES", 0.5),
            ("a", "labels, TRADES", 0.8),
            ("b", "labels, cross-entropy", 0.4),
        )
    ).drop(columns=["flagged", "auc"])
    shown = bench.summaries.shares(results, limit)
    assert shown["knowing, whole"].to_dict() == {"a": ".200 / .800 = 25%", "b": ".200 / .500 = 40%"}
    assert shown["seeds"].tolist() == ["1", "1"]
    table = bench.report.summary(bench.summaries.with_limit(results, limit))
    assert table.index.get_level_values("set").tolist() == ["a", "a", "b", "b", "b", "c"]
    assert table.loc[("b", "labels, TRADES"), "false alarms"] == ""
    assert bench.summaries.with_limit(results, pd.DataFrame()) is results
    assert len(list(bench.summaries.limit_section(results, limit))) == 2
    assert list(bench.summaries.limit_section(results, pd.DataFrame())) == []


@pytest.mark.parametrize("loss", ["cross_entropy", "logits_ratio"])
@pytest.mark.parametrize("targeted", [False, True])
def test_auto_pgd_takes_the_rows_within_its_size(bench, split, sign, quick, loss, targeted):
    predict = partial(bench.methods.probabilities, sign)
    attack = bench.auto_pgd.AutoPGD(sign, getattr(bench.auto_pgd, loss), split, 0.5, predict, targeted)
    moved = attack(np.arange(40))
    assert np.abs(moved - split.X_test).max() <= 0.5 + 1e-6
    lost = (moved[:, 0] > 0) != split.y_test
    np.testing.assert_array_equal(lost, np.abs(split.X_test[:, 0]) < 0.5)


def test_losses_of_auto_pgd(bench):
    one_hot, logits = tf.constant([[0.0, 1, 0, 0]]), tf.constant([[5.0, 3, 1, 0]])
    assert bench.auto_pgd.logits_ratio(one_hot, logits).numpy() == pytest.approx((5 - 3) / (5 - 1))
    assert bench.auto_pgd.logits_ratio(one_hot[:, :2], logits[:, :2]).numpy() == pytest.approx(2)
    assert bench.auto_pgd.cross_entropy(one_hot, logits).numpy() == pytest.approx(2.149, abs=1e-3)
    assert bench.auto_pgd.wrong_classes(logits, np.array([1])).tolist() == [[0, 2, 3]]


@pytest.mark.parametrize("label_change_first", [True, False])
@pytest.mark.parametrize("percentile", [50, 90])
def test_the_attacker_sees_the_decision(bench, split, sign, label_change_first, percentile):
    from skaae import AdversarialAEDetector, FrozenKerasModel

    options = {**QUICK, "threshold": 1.0, "random_state": 0, "label_change_first": label_change_first}
    detector = AdversarialAEDetector(FrozenKerasModel(sign, from_logits=True), **options).fit(split.X_train)
    for chosen in (0.05, 1000.02) if label_change_first else (0.05,):
        detector.threshold_ = chosen
        X = split.X_test * [[percentile / 50, 1, 1, 1]]
        X = X.astype(np.float32)
        seen = bench.decision.see(detector, tf.constant(X), tf.constant(split.y_test.astype(np.int64)))
        found = detector.correct(X)
        np.testing.assert_array_equal(seen.excess.numpy() > 0, found.is_adversarial)
        np.testing.assert_array_equal(seen.lost.numpy(), found.corrected != split.y_test)


def test_no_part_along_the_other_direction_is_left(bench):
    random = tf.random.stateless_normal((2, 5, 3), seed=(0, 0))
    left = bench.decision.without_part_along(random[0], random[1])
    np.testing.assert_allclose(tf.reduce_sum(left * random[1], axis=1), 0, atol=1e-5)
    np.testing.assert_array_equal(bench.decision.without_part_along(random[0], 0 * random[1]), random[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["penalty 10", "selective", "orthogonal"])
def test_attacks_on_the_decision_stay_within_their_size(bench, defense, quick, name):
    attack = bench.decision.attack(defense.detector, defense.split, 0.5, bench.strong.DIRECTIONS[name])
    moved = attack(np.arange(40))
    assert np.abs(moved - defense.split.X_test).max() <= 0.5 + 1e-6
    before, after = (defense.is_right(X, defense.split.y_test).mean() for X in (defense.split.X_test, moved))
    assert after < before


@pytest.mark.slow
def test_strong_runs_the_checks_that_are_not_done(bench, defense, quick, results, monkeypatch):
    trained = []
    monkeypatch.setattr(bench.strong, "DIRECTIONS", {"orthogonal": bench.strong.DIRECTIONS["orthogonal"]})

    def trained_on(name, seed):
        trained.append(name)
        return defense

    monkeypatch.setattr(bench.strong, "trained_on", trained_on)
    monkeypatch.setattr(bench.strong, "trained", lambda *_: defense.detector)
    for _ in range(2):
        bench.strong.run_set("some", 0, list(bench.strong.CHECKS))
    assert trained == ["some"]
    found = bench.strong.LEDGER.lines()
    assert found["check"].unique().tolist() == list(bench.strong.CHECKS)
    together = found[found["attack"] == bench.strong.TOGETHER].set_index(["check", "size"])["corrected"]
    alone = found[found["check"] != "growing size"].groupby(["check", "size"])["corrected"].min()
    assert (together <= alone[together.index]).all()
    growing = found.loc[found["check"] == "growing size", "corrected"]
    assert growing.is_monotonic_decreasing
    assert growing.iloc[-1] < 0.1
    page = "\n".join(bench.sections.sections())
    assert "| decision, orthogonal" in page


def test_strong_table(bench):
    line = partial(dict, set="some", seed=0, size=0.3)
    results = pd.DataFrame(
        [
            line(check="AutoPGD", attack="PGD", corrected=0.5),
            line(check="AutoPGD", attack="AutoPGD DLR", corrected=0.45),
            line(check="AutoPGD", attack="all, with PGD", corrected=0.44),
            line(check="growing size", attack="all", size=1.2, corrected=0.0),
        ]
    )
    shown = bench.sections.strong_table(results).loc[("some", 0.3)]
    assert shown.to_dict() == {"PGD": ".500", "then AutoPGD": ".440", "no row is right at": "1.20"}
    assert bench.sections.single_attacks(results).to_dict() == {"some 0.3": {"AutoPGD DLR": ".450"}}


@pytest.mark.slow
def test_front(bench, split, results, monkeypatch, tmp_path):
    """Two pairs of shares, each once, and a picture that marks the default."""
    model = bench.victims.train(split, seed=0)
    attacked = {"FGSM": split.X_test[:10]}
    monkeypatch.setattr(bench.front, "prepared", lambda name, seed: (split, model, attacked))
    monkeypatch.setattr(bench.front, "skaae", partial(bench.methods.skaae, epochs=1))
    for name, value in {"SHARES": ((0.8, 0.0), (0.4, 0.3)), "N_ROWS": 10, "STEPS": 2}.items():
        monkeypatch.setattr(bench.front, name, value)
    for _ in range(2):
        bench.front.run_set("some", 0)
    lines = bench.front.LEDGER.lines()
    assert lines[["first", "second", "default"]].to_numpy().tolist() == [[0.8, 0.0, False], [0.4, 0.3, True]]
    assert lines["knowing"].between(0, 1).all()
    (legend,) = bench.front.draw(lines).legends
    assert [text.get_text() for text in legend.get_texts()] == ["(0.8, 0)", "(0.4, 0.3), default"]


def test_rows(bench, split, results, monkeypatch):
    """Each number of rows once, up to all that there are."""
    model = bench.victims.train(split, seed=0)
    monkeypatch.setattr(bench.rows, "prepared", lambda name, seed: (split, model, {"FGSM": split.X_test[:10]}))
    monkeypatch.setattr(bench.front, "skaae", partial(bench.methods.skaae, epochs=1))
    monkeypatch.setattr(bench.front, "N_ROWS", 10)
    monkeypatch.setattr(bench.front, "STEPS", 2)
    monkeypatch.setattr(bench.rows, "N_ROWS", (50, 10**6))
    for _ in range(2):
        bench.rows.run_set("some", 0)
    assert bench.rows.LEDGER.lines()["rows"].tolist() == [50, len(split.X_train)]
