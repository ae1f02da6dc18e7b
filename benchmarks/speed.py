"""Speed of skaae and of alibi-detect, side by side: the packages take turns, medians and ratios are printed.

    python benchmarks/speed.py [--rounds 3]

A process of its own for each package and round (speed_worker.py). Every timing goes to results/speed.csv, the
table to results/speed.md. Without `.venv-peers`, which `make bench-peers` builds, only skaae is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
from peers import ENVIRONMENT

FOLDER = Path(__file__).parent / "results"
WORKER = Path(__file__).with_name("speed_worker.py")
TARGETS = {
    "train table, 3 epochs from nothing": 8,
    "train table, an epoch": 45,
    "score 20,000 rows": 5,
    "score 100 batches of 64": 8,
    "score one row": 15,
    "train images, an epoch": 2.3,
    "score 1,280 images": 1.3,
}
HEAD = """# Speed

Written by `benchmarks/speed.py`: medians of {rounds} rounds, in which the packages take turns, each in a process of
its own, with the same networks and rows on the same machine ({machine}). Times in milliseconds. "wanted" is what we set
out to reach, and not what a test asks for.

Table: 20,000 x 30, float32, AE 64-16-64, M 64-64-5, batches of 128. Images: 1,280 of 32 x 32 x 3, the autoencoder of
the paper for CIFAR-10, batches of 64. The published training, but for the line that says "perturbed".
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    interpreters = {"skaae": Path(sys.executable)}
    if (ENVIRONMENT / "ready").exists():
        interpreters["alibi-detect"] = ENVIRONMENT / "bin" / "python"
    else:
        print("alibi-detect is not timed: `make bench-peers` builds its environment")
    lines = [
        {"round": turn, "package": package, "work": work, "seconds": seconds}
        for turn in range(rounds)
        for package, interpreter in interpreters.items()
        for work, seconds in timings(package, interpreter)
    ]
    results = pd.DataFrame(lines)
    results.to_csv(FOLDER / "speed.csv", index=False, float_format="%.6f")
    table = compare(results).to_markdown(disable_numparse=True)
    head = HEAD.format(rounds=rounds, machine=f"{os.cpu_count()} CPU cores")
    (FOLDER / "speed.md").write_text(f"{head}\n{table}\n")
    print(table)


def timings(package: str, interpreter: Path) -> list[tuple[str, float]]:
    command = [interpreter, WORKER, package]
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return [tuple(json.loads(line)) for line in found.splitlines() if line.startswith("[")]


def compare(results: pd.DataFrame) -> pd.DataFrame:
    """A line for each work: medians in milliseconds, and how many times as fast skaae is."""
    medians = 1000 * results.groupby(["work", "package"], sort=False)["seconds"].median().unstack("package")
    shown = medians.map("{:.3g}".format).replace("nan", "")
    if "alibi-detect" in medians:
        ratio = medians["alibi-detect"] / medians["skaae"]
        shown["times as fast"] = ratio.map("{:.1f}".format).replace("nan", "")
        shown["wanted"] = [TARGETS.get(work, "") for work in shown.index]
    return shown


if __name__ == "__main__":
    main()
