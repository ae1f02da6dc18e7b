"""What a new process waits for: imports, and a saved detector's first score, beside alibi-detect's.

    python benchmarks/startup.py [--rounds 5]

The packages take turns; every process is new, and its files are in the system's cache. Medians go to
results/startup.csv, in seconds, whole processes included. `.venv-peers` comes from `make bench-peers`.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from peers import ENVIRONMENT

RESULTS = Path(__file__).parent / "results" / "startup.csv"
FOLDER = Path(__file__).parent
IMPORTS = {"import sklearn": "import sklearn", "import skaae": "import skaae", "nothing": "pass"}
SAVE = {
    "skaae": "import joblib; joblib.dump(package.detector, '{path}')",
    "alibi-detect": "from alibi_detect.saving import save_detector; save_detector(package.detector, '{path}')",
}
LOAD = {
    "skaae": "import joblib; detector = joblib.load('{path}'); detector.score_samples(X)",
    "alibi-detect": "from alibi_detect.saving import load_detector; load_detector('{path}').score(X)",
}
FIT = """
import sys; sys.path.insert(0, '{folder}')
from speed_worker import PACKAGES, table, table_networks
package = PACKAGES['{package}'](table_networks(), 128)
package.fit(table()[:1000], 1)
"""
ONE_ROW = "import numpy as np; X = np.zeros((1, 30), np.float32)\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    interpreters = {"skaae": Path(sys.executable)}
    if (ENVIRONMENT / "ready").exists():
        interpreters["alibi-detect"] = ENVIRONMENT / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        works = {work: (Path(sys.executable), code) for work, code in IMPORTS.items()}
        for package, interpreter in interpreters.items():
            path = Path(folder) / package
            fit = FIT.format(folder=FOLDER, package=package)
            run(interpreter, fit + SAVE[package].format(path=path))
            works[f"load and score a row, {package}"] = interpreter, ONE_ROW + LOAD[package].format(path=path)
        lines = [(work, seconds(*how)) for _ in range(rounds) for work, how in works.items()]
    medians = pd.DataFrame(lines, columns=["work", "seconds"]).groupby("work", sort=False)["seconds"].median()
    medians.to_csv(RESULTS, float_format="%.4f")
    print(medians.to_string())


def seconds(interpreter: Path, code: str) -> float:
    start = time.perf_counter()
    run(interpreter, code)
    return time.perf_counter() - start


def run(interpreter: Path, code: str) -> None:
    subprocess.run([interpreter, "-W", "ignore", "-c", code], check=True, capture_output=True)


if __name__ == "__main__":
    main()
