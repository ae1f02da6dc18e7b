"""The benchmark's code, on rows made up here: nothing is fetched, and no result of the repository is touched."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier


class Sign:
    """A classifier that knows the classes of `split`."""

    classes_ = np.array([0, 1])

    def predict_proba(self, X):
        share = 1 / (1 + np.exp(-np.asarray(X, np.float64)[:, 0]))
        return np.stack([1 - share, share], axis=1)


@pytest.fixture
def moved(split):
    """The first 10 test rows, three of them with the other sign; their second feature is out of the ordinary."""
    X = split.X_test[:10].copy()
    X[:3, 0] *= -1
    X[:3, 1] = 5
    return X


def is_odd(X):
    return (X[:, 1] == 5).astype(float)


def test_a_perfect_method_is_judged_so(bench, split, moved):
    perfect = bench.methods.Fitted(is_odd, lambda X: ((X[:, 0] > 0) ^ (X[:, 1] == 5)).astype(int), seconds=2.0)
    clean, attacked = bench.judging.judge_unaware(perfect, Sign(), split, {"three": moved}, slice(10))
    assert clean == {
        **{"attack": "clean", "seconds": 2.0, "without": 1.0},
        **{"corrected": 1.0, "reconstructed": 1.0, "flagged": 0.0},
    }
    assert attacked == {
        **{"attack": "three", "auc": 1.0, "without": 0.7},
        **{"corrected": 1.0, "reconstructed": 1.0, "flagged": 0.3},
    }


def test_a_useless_method_is_judged_so(bench, split, moved):
    useless = bench.methods.Fitted(lambda X: np.zeros(len(X)))
    _, attacked = bench.judging.judge_unaware(useless, Sign(), split, {"three": moved}, slice(10))
    assert attacked == {
        **{"attack": "three", "auc": 0.5, "without": 0.7},
        **{"corrected": 0.7, "reconstructed": 0.7, "flagged": 0.0},
    }


def test_rows_chosen_by_number(bench, split, moved):
    rows = np.arange(10)
    perfect = bench.methods.Fitted(is_odd)
    lines = [list(bench.judging.judge_unaware(perfect, Sign(), split, {"three": moved}, r)) for r in (slice(10), rows)]
    assert lines[0] == lines[1]


def test_no_changed_label_has_no_auc(bench):
    assert np.isnan(bench.judging.separation(np.ones(3), np.ones(0)))


@pytest.mark.slow
def test_defense(bench, split, monkeypatch):
    monkeypatch.setattr(bench.defense, "KNOWING_STEPS", 2)
    monkeypatch.setattr(bench.defense, "KNOWING_RESTARTS", 1)
    monkeypatch.setattr(bench.defense, "N_ROWS", 10)
    monkeypatch.setitem(bench.attacks.KNOWING_SIZES, "table", (0.3,))
    model = bench.victims.train(split, seed=0)
    attacked = {"FGSM": bench.attacks.run(bench.attacks.attacks.FGSM(), model, split, slice(10), 0.3)}
    fitted = bench.methods.skaae(model, split, 0, epochs=0)
    lines = list(bench.defense.judge(fitted, model, split, attacked))
    knowing = "knowing, composite 0.3", "knowing, joint 0.3"
    assert [line["attack"] for line in lines] == ["clean", "FGSM", *knowing]
    assert all(0 <= line["corrected"] <= 1 for line in lines)


def test_trees_and_resuming(bench, split, results, monkeypatch):
    fitted = []

    def method(model, split, seed):
        fitted.append(model)
        return bench.methods.maximum_probability(model, split, seed)

    monkeypatch.setattr(bench.trees, "load", lambda name, seed: split)
    monkeypatch.setattr(bench.trees, "METHODS", dict.fromkeys(bench.trees.JUDGED, method))
    monkeypatch.setattr(bench.trees, "N_ROWS", 4)
    monkeypatch.setattr(bench.attacks, "JUMPS", bench.arenas.effort_of(jumps=1, evaluations=20))
    small = lambda random_state: RandomForestClassifier(5, random_state=random_state)  # noqa: E731
    monkeypatch.setattr(bench.trees, "CLASSIFIERS", {"forest": small})
    bench.trees.run_set("some", 0, ["forest"])
    found = bench.trees.LEDGER.lines()
    assert found["method"].tolist() == np.repeat(bench.trees.JUDGED, 2).tolist()
    attacked = found[found["attack"] == "HopSkipJump L2"]
    assert (attacked["without"] == 0).all(), "M was right, and every label has changed"
    bench.trees.run_set("some", 0, ["forest"])
    assert len(fitted) == len(bench.trees.JUDGED), "what is done is not done again"
    found[found["method"] != "skaae"].to_csv(bench.trees.LEDGER.path, index=False)
    bench.trees.run_set("some", 0, ["forest"])
    assert len(fitted) == len(bench.trees.JUDGED) + 1
    assert len(bench.trees.LEDGER.lines()) == len(found)


def raw_rows(*_):
    """Numbers, whole numbers, categories with gaps, and a rare class that the amount tells."""
    random, n = np.random.default_rng(0), 400
    X = pd.DataFrame(
        {
            "amount": random.lognormal(size=n),
            "job": random.choice(["cook", "baker", None], n),
            "age": random.integers(18, 80, n),
            "hours": random.integers(1, 60, n),
        }
    )
    return X, (X["amount"] > 2.5).to_numpy(int)


@pytest.mark.slow
@pytest.mark.parametrize("classifier", ["logistic regression", "histogram boosting"])
@pytest.mark.filterwarnings("ignore:Rows that the classifier assigns", "ignore:.* rows are too few")
@pytest.mark.filterwarnings("ignore:The surrogate predicts", "ignore:The defense cannot repair well")
def test_tables(bench, results, monkeypatch, classifier):
    monkeypatch.setattr(bench.raw_tables, "adult_frame", raw_rows)
    monkeypatch.setattr(bench.tables, "N_ROWS", 3)
    monkeypatch.setattr(bench.tables, "EPOCHS", 1)
    bench.tables.run_set("adult", 0, [classifier])
    clean, evasion = bench.tables.LEDGER.lines().to_dict("records")
    assert clean["recall, without"] > 0.5
    assert evasion["n"] == 3
    assert evasion["recall, without"] < 1
    bench.tables.run_set("adult", 0, [classifier])
    assert len(bench.tables.LEDGER.lines()) == 2, "what is done is not done again"
    shown = bench.sections.tables_table(bench.tables.LEDGER.lines()).loc[("adult", classifier)]
    assert shown["seeds"] == "1"
    assert shown["evasion"].startswith(f"{evasion['recall, without']:.3f}".removeprefix("0"))


def test_a_rare_class_is_thinned_out(bench, monkeypatch):
    monkeypatch.setattr(bench.raw_tables, "keel_frame", lambda name: raw_rows())
    table = bench.raw_tables.load_table("magic 1:25", 0)
    labels = np.concatenate([table.y_train, table.y_test])
    assert 20 < np.sum(labels == 0) / np.sum(labels == 1) < 30


def test_evasion_alters_mutable_numbers_within_their_range(bench, monkeypatch):
    monkeypatch.setattr(bench.raw_tables, "adult_frame", raw_rows)
    table = bench.raw_tables.load_table("adult", 0)
    assert table.mutable == ["amount", "hours"]
    model = bench.raw_tables.pipeline("logistic regression", table, 0).fit(table.X_train, table.y_train)
    arena = bench.arenas.arena_of_table(model, table, np.arange(5), 0.3, 0)
    rows, moved = table.X_test[:5], arena.moves.moved(np.full((5, 2), 3.3))
    pd.testing.assert_frame_equal(moved[["job", "age"]], rows[["job", "age"]])
    assert (moved["hours"] == moved["hours"].round()).all()
    assert moved["amount"].max() <= table.X_train["amount"].max()
    assert (moved["amount"] > rows["amount"]).any()


@pytest.mark.slow
def test_arena_of_a_set(bench, split):
    """PGD of skaae.robustness on a set of the benchmark stays in the box and in the bounds."""
    model = bench.victims.train(split, seed=0)
    arena = bench.arenas.arena_of(split, np.arange(20), 0.5, {"classifier": model})
    z = bench.attacks.projected_gradient(arena, "classifier", 0.5, 0, bench.arenas.effort_of(steps=5))
    moved = arena.moves.moved(z)
    assert np.abs(moved - split.X_test[:20]).max() <= 0.5 + 1e-6
    assert moved.dtype == np.float32
    before, after = (bench.victims.accuracy(model, X, split.y_test[:20]) for X in (split.X_test[:20], moved))
    assert after < before


def test_ledger(bench, results):
    ledger = bench.ledger.Ledger.named("some")
    assert not ledger.done(set="a", seed=0)
    ledger.write([{"set": "a", "seed": 0, "auc": 0.5}])
    ledger.write([{"set": "b", "seed": 0}, {"set": "b", "seed": 1}])
    assert len(ledger.lines()) == 3
    assert ledger.done(set="b", seed=1)
    assert not ledger.done(set="a", seed=1)
    assert [path.name for path in results.iterdir()] == ["some.csv"]


def test_corruptions(bench, split, moved):
    perfect = bench.methods.Fitted(is_odd)
    (line,) = bench.corruptions.judge(perfect, Sign(), split, {("fog", 2): moved})
    assert line["corruption"] == "fog"
    assert line["severity"] == 2
    assert (line["harmful"], line["harmless"], line["auc"], line["without"]) == (3, 7, 1.0, 0.7)


def test_square_stays_within_its_size(bench, split):
    X, y = split.X_test[:20], split.y_test[:20]
    attacked = bench.attacks.square(Sign().predict_proba, split, 20, 0.5, seed=0, questions=30)
    assert np.abs(attacked - X).max() <= 0.5 + 1e-6
    undecided = np.abs(X[:, 0]) < 0.5
    assert undecided.any()
    np.testing.assert_array_equal((attacked[:, 0] > 0) == y, ~undecided)


def test_the_budget_grows_until_no_row_is_right(bench, split, monkeypatch):
    def falling(defense, restarts, sizes):
        yield {"attack": "composite", "size": sizes[0], "corrected": max(0.0, 1 - sizes[0])}
        yield {"attack": "joint", "size": sizes[0], "corrected": 1.0}

    monkeypatch.setattr(bench.adaptive, "pgd", falling)
    defense = bench.checks.Defense(None, None, split, 0)
    lines = list(bench.adaptive.growing_budget(defense))
    sizes = [line["size"] for line in lines[::2]]
    assert sizes == sorted(sizes)
    assert sizes[0] == pytest.approx(0.3 / 4)
    assert sizes[-2] < 1 <= sizes[-1]


def test_adaptive_runs_the_checks_asked_for_that_are_not_done(bench, split, results, monkeypatch):
    done = []

    def check(name):
        def lines(defense):
            done.append(name)
            return [{"attack": name, "size": 0.3, "corrected": 0.5}]

        return lines

    monkeypatch.setattr(bench.checks, "load", lambda name, seed: split)
    monkeypatch.setattr(bench.victims, "network", lambda name, split, seed: None)
    monkeypatch.setattr(bench.checks, "trained", lambda model, split, seed: None)
    monkeypatch.setattr(bench.adaptive, "CHECKS", {name: check(name) for name in ("PGD", "transfer", "more steps")})
    bench.adaptive.run_set("some", 0, ["PGD"])
    bench.adaptive.run_set("some", 0, ["PGD", "transfer"])
    assert done == ["PGD", "transfer"]
    assert bench.adaptive.LEDGER.lines()["check"].tolist() == done


def defense_lines(seed, corrected):
    """The lines of one method: clean, two unaware attacks, and two knowing ones at two sizes."""
    common = {"set": "some", "seed": seed, "method": "skaae"}
    lines = [
        {"attack": "clean", "corrected": 0.9, "without": 0.95, "flagged": 0.05, "seconds": 3.0},
        {"attack": "FGSM", "corrected": corrected, "without": 0.1, "reconstructed": 0.9, "auc": 0.9},
        {"attack": "PGD", "corrected": corrected + 0.2, "without": 0.3, "reconstructed": 0.7, "auc": 1.0},
        *({"attack": f"knowing, composite {size}", "corrected": 0.5 - size} for size in (0.1, 0.2)),
        *({"attack": f"knowing, joint {size}", "corrected": 0.35} for size in (0.1, 0.2)),
    ]
    return [{**common, **line} for line in lines]


def test_summary(bench):
    results = pd.DataFrame(defense_lines(0, 0.5) + defense_lines(1, 0.7))
    lines = bench.report.lines_of(results)
    first = lines.loc[("some", "skaae", 0)]
    assert first["unaware"] == pytest.approx(0.6)
    assert first["without"] == pytest.approx(0.2)
    assert first["AUC"] == pytest.approx(0.95)
    assert first["knowing, half"] == pytest.approx(0.35), "joint is the worse at half the size"
    assert first["knowing, whole"] == pytest.approx(0.3), "composite at the whole"
    shown = bench.report.summary(results).loc[("some", "skaae")]
    assert shown["unaware"] == ".700 ± .100"
    assert shown["clean"] == ".900"
    assert shown["seconds"] == "3"


def test_sections(bench, results):
    assert list(bench.sections.sections()) == []
    bench.corruptions.LEDGER.write(corruption_lines())
    bench.adaptive.LEDGER.write(adaptive_lines())
    page = "\n".join(bench.sections.sections())
    assert "## Trees" not in page
    assert "| some" in page
    assert (results / "budget.png").stat().st_size > 5_000


def corruption_lines():
    common = {"set": "some", "seed": 0, "method": "skaae", "harmless": 50, "without": 0.5, "corrected": 0.75}
    lines = [
        {"corruption": "fog", "severity": 1, "harmful": 20, "auc": 0.8},
        {"corruption": "snow", "severity": 1, "harmful": 20, "auc": 0.6},
        {"corruption": "frost", "severity": 1, "harmful": 2, "auc": 0.0},
    ]
    return [{**common, **line} for line in lines]


def test_few_harmful_rows_do_not_count(bench):
    shown = bench.sections.corruptions_table(pd.DataFrame(corruption_lines())).loc[("some", "skaae")]
    assert shown["AUC 1"] == ".700"
    assert shown["corrected"] == ".750"


def adaptive_lines():
    fixed = [("PGD", 0.3, 0.4), ("more steps", 0.3, 0.39), ("transfer", 0.3, 0.6)]
    lines = [
        {"check": check, "attack": attack, "size": size, "corrected": corrected + more}
        for check, size, corrected in [*fixed, ("growing budget", 0.6, 0.2), ("growing budget", 0.85, 0.0)]
        for attack, more in (("composite", 0.0), ("joint", 0.1))
    ]
    return [{"set": "some", "seed": 0, **line} for line in lines]


def test_adaptive_table(bench):
    shown = bench.sections.adaptive_table(pd.DataFrame(adaptive_lines())).loc[("some", 0.3)]
    assert shown.to_dict() == {
        **{"PGD": ".400", "more steps": ".390", "transfer": ".600"},
        "no row is right at": "0.85",
    }


def test_adaptive_table_leaves_what_was_not_run_empty(bench):
    other = {"set": "other", "seed": 0, "check": "PGD", "attack": "joint", "size": 0.3, "corrected": 0.5}
    shown = bench.sections.adaptive_table(pd.DataFrame([*adaptive_lines(), other])).loc[("other", 0.3)]
    assert shown.to_dict() == {"PGD": ".500", "more steps": "", "transfer": "", "no row is right at": ""}


def test_trees_table(bench):
    common = {"set": "some", "seed": 0, "classifier": "forest", "method": "skaae"}
    clean = {"attack": "clean", "corrected": 0.9, "without": 0.95, "flagged": 0.05, "seconds": 3.0}
    attacked = {"attack": "HopSkipJump L2", "auc": 0.8, "corrected": 0.7, "reconstructed": 0.75, "without": 0.0}
    shown = bench.sections.trees_table(pd.DataFrame([{**common, **line} for line in (clean, attacked)]))
    found = shown.loc[("some", "forest", "skaae")]
    assert found[["AUC", "corrected", "clean", "M"]].tolist() == [".800", ".700", ".900", ".950"]


def test_promise_table(bench):
    lines = [
        {"set": "some", "seed": seed, "calibration rows": "200 unseen", "nominal": nominal, "false alarms": rate}
        for nominal in (0.1, 0.05, 0.01)
        for seed, rate in enumerate((nominal, 3 * nominal))
    ]
    shown = bench.sections.promise_table(pd.DataFrame(lines)).loc[("some", "200 unseen")]
    assert shown.tolist() == [".200 ± .100", ".100 ± .050", ".020 ± .010"]


def test_sets_are_run_seed_by_seed_and_what_cannot_be_had_is_skipped(bench, monkeypatch, capsys):
    def run_set(name, seed):
        if name == "magic":
            raise bench.data.UnavailableError("no network")
        ran.append((name, seed))

    ran = []
    monkeypatch.setattr(sys, "argv", ["defense.py", "--seeds", "2", "magic", "letter"])
    parser = bench.commands.parser_of("", ["spambase"], seeds=3)
    bench.commands.for_each_set(bench.commands.parsed(parser, ["magic", "letter"]), run_set)
    assert ran == [("letter", 0), ("letter", 1)]
    assert capsys.readouterr().out == 2 * "skipped magic: no network\n"
    with pytest.raises(SystemExit):
        bench.commands.parsed(parser, ["letter"])


def test_page_of_speed(bench):
    lines = [("score one row", "skaae", 0.001), ("score one row", "alibi-detect", 0.02), ("4 fits", "skaae", 3.0)]
    compared = bench.speed_report.compare(pd.DataFrame(lines, columns=["work", "package", "seconds"]))
    assert compared.loc["score one row", ["skaae", "times as fast", "goal"]].tolist() == ["1", "20.0", 15]
    assert compared.loc["4 fits", "times as fast"] == ""
    (bar,) = bench.speed_report.draw_ratios(compared).axes[0].patches
    assert bar.get_width() == 20


def test_targets_of_speed_say_what_is_missed(bench):
    times = {"train table, an epoch": 2.0, "score one row": 0.0004, "4 fits": 10.0}
    times |= {"train table, an epoch, bare TensorFlow": 2.0, "train table, an epoch, perturbed": 6.0}
    times |= {"GridSearchCV, 20 percentiles x 3 folds": 14.0}
    speed = pd.DataFrame(
        [(work, "skaae", taken) for work, taken in times.items()], columns=["work", "package", "seconds"]
    )
    startup = pd.Series({"import sklearn": 1.0, "import skaae": 0.1})
    lines = [("score", "million rows a second, memory map", 3.0), ("score", "million rows a second, in memory", 3.0)]
    lines += [("score", "MB, peak", 500.0), ("fit", "MB, peak", 500.0), ("fits", "MB a fit", 0.5)]
    lines += [("growth", f"{work} {rows}", taken) for work, rows, taken in (("train", 1, 3), ("train", 2, 2))]
    memory = pd.DataFrame(lines, columns=["measurement", "what", "value"])
    found = bench.speed_targets.against_targets(speed, startup, memory)
    assert found.loc["perturbed training: times plain training", ["measured", "goal", "missed"]].tolist() == [
        "3",
        "<= 3.5",
        "",
    ]
    missed = found.index[found["missed"] == "missed"]
    assert [what.split(":")[0] for what in missed] == [
        "score one row",
        "GridSearchCV, 20 percentiles x 3 folds",
        "score a map of 10 million rows",
        "train, 10,000 to 1,000,000 rows",
    ]


def test_growth_is_drawn_over_the_rows(bench):
    growth = pd.DataFrame({"what": ["train 10,000", "score 10,000", "train 100,000"], "value": [3.0, 0.5, 2.0]})
    train, score = bench.speed_report.draw_growth(growth).axes[0].lines
    assert train.get_xydata().tolist() == [[10_000, 3.0], [100_000, 2.0]]
    assert score.get_xydata().tolist() == [[10_000, 0.5]]


@pytest.mark.slow
def test_gpu_benchmark_runs_on_a_cpu(tmp_path):
    """Every part, with few rows."""
    results = tmp_path / "gpu.csv"
    command = [sys.executable, "-m", "benchmarks.speed.gpu", "--small", "--results", str(results)]
    root = Path(__file__).parent.parent
    subprocess.run(command, cwd=root, check=True, env={**os.environ, "PYTHONPATH": str(root)})
    figures = pd.read_csv(results).set_index(["part", "what"])["value"]
    assert "error" not in figures.index.get_level_values("what")
    assert figures.index.get_level_values("part").nunique() == 8
    for kind in ("table", "images"):
        assert float(figures["agreement", f"{kind}: largest relative difference of a score"]) < 1e-5
    same_seed = figures[figures.index.get_level_values("what").str.contains("two fits with one random_state")]
    assert same_seed.astype(float).tolist() == [0, 0, 0]
    assert float(figures["precision", "batches of 128, mixed_bfloat16: milliseconds a step"]) > 0
    assert float(figures["fashion", "FGSM 0.2: accuracy after correct"]) >= 0
    assert float(figures["scoring", "default: million rows a second"]) > 0
    assert figures["memory", "error where the device is full"] == "no GPU"
    assert "## Scoring" in results.with_suffix(".md").read_text()
