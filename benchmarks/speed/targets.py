"""Compare the measurements with our goals: a line for each goal, which says whether it was missed."""

from __future__ import annotations

import pandas as pd

# How many times as fast as alibi-detect skaae should be.
RATIOS = {
    "train table, an epoch": 45,
    "train table, 3 epochs from nothing": 8,
    "train images, an epoch": 2.3,
    "score 20,000 rows": 5,
    "score 100 batches of 64": 8,
    "score one row": 15,
    "score 1,280 images": 1.3,
}


def against_targets(speed: pd.DataFrame, startup: pd.Series, memory: pd.DataFrame) -> pd.DataFrame:
    """Compare all measurements with the goals.

    Parameters
    ----------
    speed : DataFrame
        Of results/speed.csv.
    startup : Series
        Seconds, by the work, of results/startup.csv.
    memory : DataFrame
        Of results/memory.csv.

    Returns
    -------
    compared : DataFrame
        Columns "measured", "goal" and "missed".
    """
    medians = speed.groupby(["work", "package"])["seconds"].median().unstack("package")
    lines = [
        (f"{work}: times as fast as alibi-detect", medians["alibi-detect"][work] / medians["skaae"][work], ">=", goal)
        for work, goal in (RATIOS.items() if "alibi-detect" in medians else ())
    ]
    lines += [*_times(medians["skaae"], startup), *_memory(memory)]
    shown = {
        what: (three_digits(value), f"{sign} {limit:g}", _missed(value, sign, limit))
        for what, value, sign, limit in lines
    }
    compared = pd.DataFrame.from_dict(shown, orient="index", columns=["measured", "goal", "missed"])
    return compared.rename_axis("measurement")


def _times(taken: pd.Series, startup: pd.Series) -> list[tuple[str, float, str, float]]:
    epoch, bare = "train table, an epoch", "train table, an epoch, bare TensorFlow"
    search = taken["GridSearchCV, 20 percentiles x 3 folds"]
    return [
        ("train table, an epoch: times a bare TensorFlow loop", taken[epoch] / taken[bare], "<=", 1.25),
        ("perturbed training: times plain training", taken[f"{epoch}, perturbed"] / taken[epoch], "<=", 3.5),
        ("score one row: milliseconds", 1000 * taken["score one row"], "<=", 0.3),
        ("GridSearchCV, 20 percentiles x 3 folds: times 4 fits", search / taken["4 fits"], "<=", 1.3),
        ("import skaae: times import sklearn", startup["import skaae"] / startup["import sklearn"], "<=", 1.2),
    ]


def _memory(memory: pd.DataFrame) -> list[tuple[str, float, str, float]]:
    found = memory.set_index(["measurement", "what"])["value"]
    rate = found["score", "million rows a second, memory map"] / found["score", "million rows a second, in memory"]
    growth = found["growth"].groupby(lambda what: what.split()[0]).agg(lambda times: times.max() / times.min())
    return [
        ("score a map of 10 million rows: MB at the peak", found["score", "MB, peak"], "<=", 400),
        # Runs of one measurement differ by some percent.
        ("score a map of 10 million rows: rows a second, times those in memory", rate, ">=", 0.95),
        ("fit on a map of 5 million rows: MB at the peak", found["fit", "MB, peak"], "<=", 600),
        *(
            (f"{work}, 10,000 to 1,000,000 rows: most time of a row, times the least", spread, "<=", 1.2)
            for work, spread in growth.items()
        ),
        ("100 fits: MB a fit left behind", found["fits", "MB a fit"], "<=", 1),
    ]


def _missed(value: float, sign: str, limit: float) -> str:
    return "" if (value >= limit if sign == ">=" else value <= limit) else "missed"


def three_digits(value: float) -> str:
    """Three digits of a number, and of a large one all before the point."""
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
