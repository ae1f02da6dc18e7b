"""The results of the benchmark as a page: results/defense.md and results/defense.png.

python -m benchmarks.defense.report
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from benchmarks.defense.ledger import Ledger
from benchmarks.defense.sections import markdown, sections
from benchmarks.defense.summaries import limit_section, lines_of, ours_first, summary, with_limit

LEDGER = Ledger.named("defense")
OURS = "#d55e00"

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

The methods called "labels" are no defense of M, but networks of their own, trained adversarially with labels: the limit
(see below). Their knowing attack is PGD on the network itself; under unaware attacks they get the rows that were made
for M.
"""


def picture(results: pd.DataFrame) -> plt.Figure:
    """Accuracy under unaware attacks of every method on every set."""
    lines = lines_of(ours_first(results))
    table = lines["unaware"].groupby(["set", "method"], sort=False).mean().unstack("method")
    table = table[[name for name in table if not name.startswith("skaae, ")]]
    table.insert(0, "without defense", lines["without"].groupby("set").mean())
    others = plt.colormaps["cividis"](np.linspace(0, 1, table.shape[1]))
    colors = [OURS if name == "skaae" else color for name, color in zip(table, others, strict=True)]
    figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
    table.plot.bar(ax=axes, rot=0, ylim=(0, 1), width=0.8, color=colors, ylabel="accuracy under unaware attacks")
    axes.set_xlabel("")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def main() -> None:
    results, limit = LEDGER.lines(), Ledger.named("limit").lines()
    table = markdown(summary(with_limit(results, limit)))
    shown = "![Accuracy under unaware attacks, by data set and method](defense.png)\n"
    page = [HEAD, table, shown, *limit_section(results, limit), *sections()]
    LEDGER.path.with_suffix(".md").write_text("\n".join(page))
    picture(results).savefig(LEDGER.path.with_suffix(".png"), dpi=110)
    print(table)


if __name__ == "__main__":
    main()
