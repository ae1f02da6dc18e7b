"""Speed of skaae and of alibi-detect, side by side: the packages take turns.

    python -m benchmarks.speed.speed [--rounds 3]

A process of its own for each package and round (worker.py). Every timing goes to results/speed.csv, from
which report.py makes the page. Without `.venv-peers`, which `make bench-peers` builds, only skaae is timed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks.common.peers import ENVIRONMENT
from benchmarks.speed.report import compare

RESULTS = Path(__file__).parent / "results" / "speed.csv"
WORKER = Path(__file__).with_name("worker.py")


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
    searches = timings("search", Path(sys.executable))  # minutes: once
    lines += [{"round": 0, "package": "skaae", "work": work, "seconds": seconds} for work, seconds in searches]
    results = pd.DataFrame(lines)
    results.to_csv(RESULTS, index=False, float_format="%.6f")
    print(compare(results).to_string())


def timings(package: str, interpreter: Path) -> list[tuple[str, float]]:
    command = [interpreter, WORKER, package]
    found = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
    return [tuple(json.loads(line)) for line in found.splitlines() if line.startswith("[")]


if __name__ == "__main__":
    main()
