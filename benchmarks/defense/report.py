"""The results of the benchmark as a page: results/defense.md and results/defense.png.

python -m benchmarks.defense.report
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd

from benchmarks.defense.ledger import Ledger
from benchmarks.defense.sections import markdown, sections, with_spread

LEDGER = Ledger.named("defense")

HEAD = """# Results of the benchmark of the defense

Written by `benchmarks/defense/report.py` from `defense.csv`, which has a line for every attack. The figures are means
over the seeds, with the standard deviation between seeds if there are several. All methods use the same networks and
training rows, and thresholds at 5 % false alarms set on the same held-out rows.

- **clean**: accuracy on clean rows after `correct`. **M**: accuracy of M alone on clean rows. **false alarms**: share
  of clean rows that are flagged.
- **unaware**: mean accuracy over the attacks that know nothing of the defense, after `correct`. **without**: the same
  without defense. **reconstructed**: the same if every row is reconstructed. **AUC**: separation of attacked rows whose
  label changed from clean rows.
- **knowing**: accuracy after `correct` under PGD through M(AE(x)) or through both, whichever is worse, with 100 steps;
  a row counts as wrong if any of 5 restarts makes it wrong. The size is half of that of the unaware attack, or the
  whole.
- **seconds**: time of the fit.
"""


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set and method."""
    lines = lines_of(results)
    shown = with_spread(lines.groupby(["set", "method"], sort=False))
    shown["seconds"] = lines["seconds"].groupby(["set", "method"], sort=False).mean().map("{:.0f}".format)
    return shown


def lines_of(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each set, method and seed."""
    groups = results.groupby(["set", "method", "seed"], sort=False)
    lines = {key: _line(rows) for key, rows in groups}
    return pd.DataFrame(lines.values(), index=pd.MultiIndex.from_tuples(lines, names=["set", "method", "seed"]))


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


def picture(results: pd.DataFrame) -> plt.Figure:
    """Accuracy under unaware attacks of every method on every set."""
    lines = lines_of(results)
    table = lines["unaware"].groupby(["set", "method"], sort=False).mean().unstack("method")
    table.insert(0, "without defense", lines["without"].groupby("set").mean())
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    table.plot.bar(ax=axes, rot=0, ylim=(0, 1), width=0.8, colormap="cividis", ylabel="accuracy under unaware attacks")
    axes.set_xlabel("")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    results = LEDGER.lines()
    table = markdown(summary(results))
    page = [HEAD, table, "![Accuracy under unaware attacks, by data set and method](defense.png)\n", *sections()]
    LEDGER.path.with_suffix(".md").write_text("\n".join(page))
    picture(results).savefig(LEDGER.path.with_suffix(".png"), dpi=110)
    print(table)


if __name__ == "__main__":
    main()
