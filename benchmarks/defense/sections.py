"""Write the sections of the results page after the main table: trees, corruptions, harder adaptive attacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks.common.data import IMAGES
from benchmarks.defense.ledger import Ledger

# An AUC of fewer rows than this is omitted.
FEWEST = 10
COLORS = "#0072b2", "#d55e00"
EARLIER = "These figures are of the defaults before November 2026."
TREES = f"""## Trees

From `trees.csv`. HopSkipJump (L2) attacks the first 100 test rows that M classifies correctly, so M alone is always
right without the attack. It asks M for labels only and knows nothing of the defense. The columns are as above;
**corrected** is the accuracy after `correct` under the attack. {EARLIER}
"""
TABLES = """## Tables with a rare class

From `tables.csv`. **recall** and **precision** are those of the rare class on clean rows: of M alone and, after the
arrow, after `correct`. **alarms** are the shares of clean rows that are flagged, of those that M predicts to be common
and rare; 5 % are promised for each. **evasion** is the recall of rows of the rare class that M recognized before they
were altered, without defense and after `correct`. **flagged** is the share of these altered rows that are flagged; into
a class of less than a tenth, only few of them are repaired. **won back** is the share of the lost recall that `correct`
restores.
"""
CORRUPTIONS = f"""## Natural corruptions

From `corruptions.csv`. A corrupted image is harmful if M is right on the clean image and wrong on the corrupted one; it
is harmless if M stays right. **AUC 1** to **AUC 5** measure at severities 1 to 5 how well the score separates harmful
from harmless images, as the mean over the corruptions with at least {FEWEST} images of each kind. **without** and
**corrected** are the accuracies without defense and after `correct`, over all images. {EARLIER}
"""
BY_CORRUPTION = "The same AUC for each corruption, as the mean over its severities:\n"
ADAPTIVE = f"""## Check for masked gradients

From `adaptive.csv`. The table shows the accuracy of skaae after `correct` under the worst attack of each kind, all on
the same rows: PGD, the knowing attack of the first table; PGD with 4 times the steps; attacks transferred from
a detector with another seed; and Square, which needs no gradient. If gradients were masked, Square or the transfer
would succeed where PGD fails. The last column is the smallest size of a growing attack at which no row is right.
{EARLIER}
"""
STRONG = """## Attacks of AutoAttack's strength, and on the decision

From `strong.csv`. **PGD** is the share of rows that the knowing attack of the first table leaves right, on M(AE(x)) and
on both. The next columns show what is left of these rows if other attacks follow, each with 5 restarts: AutoPGD (ART)
on the cross-entropy, on the difference of logits ratio (DLR), and toward each of up to 9 wrong classes; PGD on the
decision of `correct`, which misleads M while it keeps S(x) below the threshold, by a penalty or by orthogonal
directions (Bryniarski et al. 2021); Square (ART), which needs no gradient; and AutoPGD transferred from a detector with
another seed. If gradients were masked, the last two would take many rows that PGD leaves. The last column is the
smallest size tried at which no row is right.
"""
SINGLE = "The share of rows that each attack leaves right by itself:\n"
PROMISE = """## False alarms that the threshold promises

From `promise.csv`. The table shows the false alarms on fresh rows for three nominal rates, as the mean with the
standard deviation between single thresholds, for different kinds of calibration rows. M and AE are trained again for
each of 20 seeds.
"""


def sections() -> Iterator[str]:
    """Those whose CSV exists."""
    makers: dict[str, Callable[[pd.DataFrame], Iterator[str]]] = {
        "trees": trees,
        "tables": tables,
        "corruptions": corruptions,
        "adaptive": adaptive,
        "strong": strong,
        "promise": promise,
    }
    for name, make in makers.items():
        results = Ledger.named(name).lines()
        if len(results):
            yield from make(results)


def trees(results: pd.DataFrame) -> Iterator[str]:
    yield TREES
    yield markdown(trees_table(results))


def tables(results: pd.DataFrame) -> Iterator[str]:
    yield TABLES
    yield markdown(tables_table(results))


def corruptions(results: pd.DataFrame) -> Iterator[str]:
    yield CORRUPTIONS
    yield markdown(corruptions_table(results))
    yield BY_CORRUPTION
    yield markdown(by_corruption(results))


def adaptive(results: pd.DataFrame) -> Iterator[str]:
    yield ADAPTIVE
    yield markdown(adaptive_table(results))
    budget_picture(results).savefig(Ledger.named("budget").path.with_suffix(".png"), dpi=110)
    yield "![Accuracy against the size of the attack](budget.png)\n"


def strong(results: pd.DataFrame) -> Iterator[str]:
    yield STRONG
    yield markdown(strong_table(results))
    yield SINGLE
    yield markdown(single_attacks(results))


def promise(results: pd.DataFrame) -> Iterator[str]:
    yield PROMISE
    yield markdown(promise_table(results))


def markdown(table: pd.DataFrame) -> str:
    return table.reset_index().to_markdown(index=False, disable_numparse=True) + "\n"


def with_spread(groups: pd.api.typing.DataFrameGroupBy) -> pd.DataFrame:
    """Means over the seeds, with the standard deviation between them where there are several."""
    mean, spread = groups.mean(), groups.std(ddof=0)
    shown = mean.map("{:.3f}".format) + spread.map(lambda value: f" ± {value:.3f}" if value > 0 else "")
    # Without the zeros before the points the widest table fits a page.
    return shown.replace({"nan": "", r"\b0\.": "."}, regex=True)


def trees_table(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set, classifier and method."""
    keys = ["set", "classifier", "method"]
    is_clean = results["attack"] == "clean"
    clean = results[is_clean].set_index([*keys, "seed"])[["corrected", "without", "flagged", "seconds"]]
    clean.columns = ["clean", "M", "false alarms", "seconds"]
    attacked = results[~is_clean].set_index([*keys, "seed"])[["auc", "corrected", "reconstructed", "without"]]
    both = attacked.rename(columns={"auc": "AUC"}).join(clean)
    shown = with_spread(both.groupby(keys, sort=False))
    shown["seconds"] = both["seconds"].groupby(keys, sort=False).mean().map("{:.0f}".format)
    return shown


def tables_table(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set and classifier, with the means over the seeds."""
    keys = ["set", "classifier"]
    means = results.drop(columns="seed").groupby([*keys, "rows"], sort=False).mean().unstack("rows")
    shown = pd.DataFrame(index=means.index)
    for name, rows in {"recall": "clean", "precision": "clean", "evasion": "evasion"}.items():
        measure = "recall" if name == "evasion" else name
        before, after = (means[f"{measure}, {which}", rows] for which in ("without", "corrected"))
        shown[name] = before.map("{:.3f}".format) + " → " + after.map("{:.3f}".format)
    for which in ("common", "rare"):
        shown[f"alarms, {which}"] = means[f"false alarms, {which}", "clean"].map("{:.3f}".format)
    shown["flagged"] = means["flagged", "evasion"].map("{:.2f}".format)
    lost = 1 - means["recall, without", "evasion"]
    won = means["recall, corrected", "evasion"] - means["recall, without", "evasion"]
    shown["won back"] = (won / lost).map("{:.2f}".format)
    seeds = results.groupby(keys, sort=False)["seed"].nunique()
    return shown.assign(seeds=seeds.astype(str)).replace({"nan": "", r"\b0\.": "."}, regex=True)


def corruptions_table(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set and method."""
    keys = ["set", "method", "seed"]
    aucs = enough(results).groupby([*keys, "severity"], sort=False)["auc"].mean().unstack("severity").sort_index(axis=1)
    aucs.columns = [f"AUC {severity}" for severity in aucs.columns]
    accuracies = results.groupby(keys, sort=False)[["without", "corrected"]].mean()
    return with_spread(accuracies.join(aucs)[[*aucs.columns, *accuracies.columns]].groupby(keys[:2], sort=False))


def by_corruption(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set and corruption."""
    means = enough(results).groupby(["set", "corruption", "method"], sort=False)["auc"].mean().unstack("method")
    return means[results["method"].unique()].map("{:.3f}".format).replace("nan", "")


def enough(results: pd.DataFrame) -> pd.DataFrame:
    """Lines with enough rows of both kinds for an AUC."""
    return results[results[["harmful", "harmless"]].min(axis=1) >= FEWEST]


def adaptive_table(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set and size."""
    fixed = results[results["check"] != "growing budget"]
    worst = fixed.groupby(["set", "size", "check", "seed"], sort=False)["corrected"].min()
    table = with_spread(worst.unstack("check")[fixed["check"].unique()].groupby(["set", "size"], sort=False))
    return with_last_size(table, results, "growing budget")


def with_last_size(table: pd.DataFrame, results: pd.DataFrame, check: str) -> pd.DataFrame:
    """The table with a column for the size at which this check leaves no row right."""
    fallen = first_without_survivors(results, check).map("{:.2f}".format).replace("nan", "none tried")
    return table.assign(**{"no row is right at": fallen.reindex(table.index, level="set").fillna("")})


def strong_table(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set and size: what PGD leaves right, and what each check leaves of that."""
    keys = ["set", "size", "seed"]
    pgd = results[results["attack"] == "PGD"].drop_duplicates(keys).set_index(keys)["corrected"]
    left = results[results["attack"] == "all, with PGD"]
    table = left.set_index([*keys, "check"])["corrected"].unstack("check")[left["check"].unique()]
    table.columns = [f"then {check}" for check in table]
    table.insert(0, "PGD", pgd)
    return with_last_size(with_spread(table.groupby(["set", "size"], sort=False)), results, "growing size")


def single_attacks(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each attack, a column for each set and size."""
    single = results[~results["check"].eq("growing size") & ~results["attack"].isin(["PGD", "all, with PGD"])]
    means = single.groupby(["attack", "set", "size"], sort=False)["corrected"].mean().unstack(["set", "size"])
    means.columns = [f"{name} {size:g}" for name, size in means]
    return means.map("{:.3f}".format).replace({"nan": "", r"\b0\.": "."}, regex=True)


def first_without_survivors(results: pd.DataFrame, check: str = "growing budget") -> pd.Series:
    """The smallest size of a growing attack that leaves no row right, the mean over the seeds."""
    budget = results[results["check"] == check]
    worst = budget.groupby(["set", "seed", "size"], sort=False)["corrected"].min().reset_index()
    fallen = worst["size"].where(worst["corrected"] == 0)
    return fallen.groupby([worst["set"], worst["seed"]], sort=False).min().groupby("set", sort=False).mean()


def promise_table(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set and kind of calibration rows, a column for each nominal rate."""
    keys = ["set", "calibration rows", "nominal"]
    rates = with_spread(results.groupby(keys, sort=False)[["false alarms"]])
    return rates["false alarms"].unstack("nominal")[[0.1, 0.05, 0.01]]


def budget_picture(results: pd.DataFrame) -> plt.Figure:
    """Accuracy against the size of the attack, an axis for each set."""
    budget = results[results["check"] == "growing budget"]
    means = budget.groupby(["set", "attack", "size"], sort=False)["corrected"].mean()
    sets = budget["set"].unique()
    figure, axes = plt.subplots(
        1, len(sets), figsize=(3.6 * len(sets) + 0.6, 3.2), sharey=True, squeeze=False, layout="constrained"
    )
    for axis, name in zip(axes[0], sets, strict=True):
        draw_curves(axis, means[name], "share of the range" if name in IMAGES else "standard deviations")
        axis.set_title(name)
    axes[0, 0].set(ylabel="accuracy after correct", ylim=(-0.03, 1))
    axes[0, -1].legend(frameon=False)
    return figure


def draw_curves(axis: plt.Axes, means: pd.Series, unit: str) -> None:
    for color, (attack, curve) in zip(COLORS, means.groupby("attack", sort=False), strict=False):
        curve = curve.droplevel("attack")
        axis.plot(curve.index, curve, marker="o", markersize=4, color=color, label=attack, clip_on=False)
    axis.set_xscale("log")
    doublings = means.index.unique("size").sort_values()[::2]
    axis.set_xticks(doublings, [f"{size:.2g}" for size in doublings])
    axis.minorticks_off()
    axis.set_xlabel(f"size (Linf), {unit}")
    axis.spines[["top", "right"]].set_visible(False)
