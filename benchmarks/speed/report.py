"""The page of the timings: results/speed.md, speed.png and growth.png, from the files of this folder's scripts.

python -m benchmarks.speed.report
"""

from __future__ import annotations

import os
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.ticker import LogLocator, StrMethodFormatter

from benchmarks.speed.targets import RATIOS, against_targets, three_digits

FOLDER = Path(__file__).parent / "results"
PAGE = """# Speed

Written by `benchmarks/speed/report.py`. The table shows medians of {rounds} rounds, in milliseconds. The packages take
turns, each in a process of its own, with the same networks and rows on the same machine ({machine}). The goals are
those that we set ourselves; no test checks them.

The table has 20,000 x 30 float32 values, with AE 64-16-64, M 64-64-5 and batches of 128. The images are 1,280 of
32 x 32 x 3, with the autoencoder of the paper for CIFAR-10 and batches of 64. Training is the published one, except
that the line "perturbed" and the search use the defaults.

{speed}

![Speed relative to alibi-detect, for each task](speed.png)

## Goals

{targets}

## Where the time goes

The times are milliseconds, on the same tabular data. Parts overlap, because the graph and the batches run on other
threads.

{parts}

## Start of a new process

The times are seconds from the start of the process to its end. "nothing" starts Python alone.

{startup}

## Memory and time for growing numbers of rows

{memory}

![Time per row against the number of rows](growth.png)
"""
COLORS = {"train": "#0072B2", "score": "#D55E00"}


def main() -> None:
    speed = pd.read_csv(FOLDER / "speed.csv")
    compared = compare(speed)
    memory = pd.read_csv(FOLDER / "memory.csv")
    growth = memory[memory["measurement"] == "growth"]
    startup = pd.read_csv(FOLDER / "startup.csv", index_col="work")["seconds"]
    targets = against_targets(speed, startup, memory)
    print(targets.to_string())
    others = memory.drop(index=growth.index)
    others["value"] = others["value"].map(three_digits)
    parts = pd.read_csv(FOLDER / "parts.csv", index_col="part")["milliseconds"].map(three_digits)
    page = PAGE.format(
        rounds=speed["round"].nunique(),
        machine=f"{os.cpu_count()} CPU cores",
        speed=compared.to_markdown(disable_numparse=True),
        parts=parts.to_markdown(disable_numparse=True),
        targets=targets.to_markdown(disable_numparse=True),
        startup=startup.map("{:.2f}".format).to_markdown(disable_numparse=True),
        memory=others.to_markdown(index=False, disable_numparse=True),
    )
    (FOLDER / "speed.md").write_text(page)
    draw_ratios(compared).savefig(FOLDER / "speed.png", dpi=120)
    draw_growth(growth).savefig(FOLDER / "growth.png", dpi=120)


def compare(results: pd.DataFrame) -> pd.DataFrame:
    """Return a line for each task: medians in milliseconds, and how many times as fast skaae is."""
    medians = 1000 * results.groupby(["work", "package"], sort=False)["seconds"].median().unstack("package")
    shown = medians.map(three_digits).replace("nan", "")
    if "alibi-detect" in medians:
        ratio = medians["alibi-detect"] / medians["skaae"]
        shown["times as fast"] = ratio.map("{:.1f}".format).replace("nan", "")
        shown["goal"] = [RATIOS.get(work, "") for work in shown.index]
    return shown


def draw_ratios(compared: pd.DataFrame) -> plt.Figure:
    """Draw a bar for each ratio, with a mark at its goal."""
    ratios = pd.to_numeric(compared["times as fast"]).dropna().iloc[::-1]
    figure, axes = plt.subplots(figsize=(8, 3.6), layout="constrained")
    axes.barh(ratios.index, ratios, color=COLORS["train"], label="measured")
    wanted = [RATIOS[work] for work in ratios.index]
    for place, (measured, mark) in enumerate(zip(ratios, wanted, strict=True)):
        axes.text(1.08 * max(measured, mark), place, f"{measured:.1f}", va="center")
    axes.plot(wanted, ratios.index, "|", markersize=18, markeredgewidth=2.5, color=COLORS["score"], label="goal")
    axes.axvline(1, color="gray", linewidth=1)
    axes.set(xscale="log", xlabel="times as fast as alibi-detect", xlim=(0.8, 2 * max(*ratios, *wanted)))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.minorticks_off()
    axes.legend(loc="lower right", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_growth(growth: pd.DataFrame) -> plt.Figure:
    """Draw the microseconds per row against the number of rows."""
    lines = growth["what"].str.split(" ", n=1, expand=True)
    figure, axes = plt.subplots(figsize=(6, 3.4), layout="constrained")
    for (work, marker), title in zip({"train": "o-", "score": "s--"}.items(), ("an epoch", "scoring"), strict=True):
        chosen = lines[0] == work
        rows = lines.loc[chosen, 1].str.replace(",", "").astype(int)
        axes.plot(rows, growth.loc[chosen, "value"], marker, color=COLORS[work], label=title)
    axes.set(xscale="log", xlabel="rows of X", ylabel="microseconds per row", ylim=(0, None))
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


if __name__ == "__main__":
    main()
