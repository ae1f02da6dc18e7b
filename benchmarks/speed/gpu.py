"""What a GPU makes of skaae: correctness, training, scoring, and default fits of all of MNIST and Fashion-MNIST.

    python -m benchmarks.speed.gpu [--minutes 8] [--small] [PART ...]

The parts run in the order of their importance in a process of their own (gpu_parts.py). Each figure goes to
results/gpu.csv as soon as it is known, so that a run that ends early keeps what it has measured. gpu_report.py makes
the page. Without a GPU everything runs on the CPU; `--small` takes few rows and steps, as a test does.
"""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common.peers import ENVIRONMENT
from benchmarks.speed import gpu_report

ROOT = Path(__file__).parents[2]
RESULTS = Path(__file__).parent / "results" / "gpu.csv"
# One process for most of them: TensorFlow takes 10 seconds or more to start on a GPU.
GROUPS = (("agreement",), ("memory",), ("precision", "mnist", "fashion", "table", "images", "scoring"))
PARTS = [part for group in GROUPS for part in group]
# Lines of the peer's worker that have a counterpart here.
PEER = "alibi-detect"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"some of {', '.join(PARTS)}; all by default")
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--small", action="store_true", help="few rows and steps")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    unknown = set(arguments.parts) - set(PARTS)
    if unknown:
        parser.error(f"unknown parts {sorted(unknown)}: choose from {PARTS}")
    end = time.monotonic() + 60 * arguments.minutes
    with arguments.results.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["part", "what", "value"])
        for line in measurements(arguments.parts or PARTS, end, arguments.small):
            writer.writerow(line)
            file.flush()
            print(*line, sep=" | ", flush=True)
    gpu_report.write(arguments.results)


def measurements(parts: list[str], end: float, small: bool) -> Iterator[list[str]]:
    """Part, what was measured and its value, one after the other until the time is over."""
    for group in GROUPS:
        chosen = [part for part in group if part in parts]
        if chosen:
            command = [sys.executable, "-m", "benchmarks.speed.gpu_parts", *chosen]
            yield from lines_of([*command, "--small"] if small else command, end)
    if (ENVIRONMENT / "ready").exists() and not small:
        command = [str(ENVIRONMENT / "bin" / "python"), str(Path(__file__).with_name("worker.py")), PEER]
        yield from ([PEER, *line] for line in lines_of(command, end))


def lines_of(command: list[str], end: float) -> Iterator[list[str]]:
    """The lines of JSON that a process prints, until it ends or the time is over."""
    limit = ["timeout", f"{max(1, end - time.monotonic()):.0f}"]
    with subprocess.Popen([*limit, *command], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout or ():
            if line.startswith("["):
                yield json.loads(line)
    if process.returncode:
        name = command[command.index("-m") + 1] if "-m" in command else command[1]
        what = "ran out of time" if process.returncode == 124 else f"ended with {process.returncode}"
        print(f"{name} {what}", file=sys.stderr)


if __name__ == "__main__":
    main()
