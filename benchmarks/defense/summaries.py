"""What defense.csv and limit.csv say: a line for each set and method, and skaae's share of the limit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from benchmarks.defense.sections import markdown, with_spread

KEYS = ["set", "method", "seed"]
LIMIT = """## The limit

From `limit.csv`. How much is there to be had? Two networks of their own (3 x 512 on tables, M's convolutions with a
wider dense layer on images) are trained adversarially with labels, on the same rows and at the whole size of the
attacks: by TRADES (weight 6) and by the cross-entropy of attacked rows. PGD attacks them as it attacks skaae. The table
shows the accuracy of skaae, that of the better of the two networks, and the ratio, over the seeds that both have. skaae
uses no labels and leaves M as it is.
"""


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set and method."""
    lines = lines_of(ours_first(results))
    shown = with_spread(lines.groupby(["set", "method"], sort=False))
    shown["seconds"] = lines["seconds"].groupby(["set", "method"], sort=False).mean().map("{:.0f}".format)
    return shown


def ours_first(results: pd.DataFrame) -> pd.DataFrame:
    """The lines of skaae before those of the other methods, in the order of the sets."""
    sets = results["set"].map({name: place for place, name in enumerate(results["set"].unique())})
    return results.iloc[np.lexsort([np.arange(len(results)), results["method"] != "skaae", sets])]


def with_limit(results: pd.DataFrame, limit: pd.DataFrame) -> pd.DataFrame:
    """The lines of both, set by set, of those sets that the first has."""
    if not len(limit):
        return results
    order = {name: place for place, name in enumerate(results["set"].unique())}
    both = pd.concat([results, limit[limit["set"].isin(order)]])
    return both.sort_values("set", key=lambda sets: sets.map(order), kind="stable")


def lines_of(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set, method and seed."""
    groups = results.groupby(KEYS, sort=False)
    lines = {key: _line(rows) for key, rows in groups}
    return pd.DataFrame(lines.values(), index=pd.MultiIndex.from_tuples(lines, names=KEYS))


def _line(rows: pd.DataFrame) -> dict[str, float]:
    rows = rows.set_index("attack")
    clean, knowing = rows.loc["clean"], rows[rows.index.str.startswith("knowing")]
    unaware = rows.drop(index=["clean", *knowing.index])
    found = {
        "clean": clean["corrected"],
        "M": clean["without"],
        "false alarms": clean["flagged"],
        "unaware": unaware["corrected"].mean(),
        "without": unaware["without"].mean(),
        "reconstructed": unaware["reconstructed"].mean(),
        "AUC": unaware["auc"].mean(),
    }
    sizes = knowing.index.str.split().str[-1]
    worst = knowing["corrected"].groupby(sizes).min()
    found |= {
        f"knowing, {which}": worst[size] for which, size in zip(("half", "whole"), sorted(worst.index), strict=False)
    }
    return {**found, "seconds": clean["seconds"]}


def limit_section(results: pd.DataFrame, limit: pd.DataFrame) -> Iterator[str]:
    """The section of the limit, if it was measured."""
    if len(limit):
        yield LIMIT
        yield markdown(shares(results, limit))


def shares(results: pd.DataFrame, limit: pd.DataFrame) -> pd.DataFrame:
    """A line for each set: skaae, the better network trained with labels, and skaae's share of it."""
    measures = ["clean", "knowing, half", "knowing, whole"]
    lines = lines_of(with_limit(results, limit))[measures]
    ours = lines.xs("skaae", level="method")
    theirs = lines[lines.index.isin(limit["method"].unique(), level="method")]
    seeds = ours.index.intersection(theirs.index.droplevel("method").unique(), sort=False)
    ours = ours.loc[seeds].groupby("set", sort=False).mean()
    theirs = theirs[theirs.index.droplevel("method").isin(seeds)].groupby(["set", "method"]).mean()
    best = theirs.groupby("set").max().reindex(ours.index)
    shown = pd.DataFrame(index=ours.index)
    for measure in measures:
        columns = ours[measure].map("{:.3f}".format) + " / " + best[measure].map("{:.3f}".format)
        shown[measure] = columns + (ours[measure] / best[measure]).map(" = {:.0%}".format)
    n_seeds = seeds.to_frame(index=False).groupby("set", sort=False).size().map(str)
    return shown.assign(seeds=n_seeds).replace({r"\b0\.": "."}, regex=True)
