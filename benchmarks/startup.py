"""What a new process waits for: imports, and a saved detector's first score.

    python benchmarks/startup.py [--rounds 5]

Every process is new, and its files are in the system's cache. Medians go to results/startup.csv, in
seconds, whole processes included. alibi-detect 0.13 is not beside us here: its `save_detector` fails with
Keras 3, which wants weights in a file that ends in .weights.h5.
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

RESULTS = Path(__file__).parent / "results" / "startup.csv"
FOLDER = Path(__file__).parent
IMPORTS = {"import sklearn": "import sklearn", "import skaae": "import skaae", "nothing": "pass"}
SAVE = """
import sys; sys.path.insert(0, '{folder}')
import joblib
from speed_worker import Skaae, table, table_networks
package = Skaae(table_networks(), 128)
package.fit(table()[:1000], 1)
joblib.dump(package.detector, '{path}')
"""
LOAD = "import joblib; detector = joblib.load('{path}'); detector.score_samples(X)"
ONE_ROW = "import numpy as np; X = np.zeros((1, 30), np.float32)\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "detector.joblib"
        run(SAVE.format(folder=FOLDER, path=path))
        works = {**IMPORTS, "load a joblib file and score a row": ONE_ROW + LOAD.format(path=path)}
        lines = [(work, seconds(code)) for _ in range(rounds) for work, code in works.items()]
    medians = pd.DataFrame(lines, columns=["work", "seconds"]).groupby("work", sort=False)["seconds"].median()
    medians.to_csv(RESULTS, float_format="%.4f")
    print(medians.to_string())


def seconds(code: str) -> float:
    start = time.perf_counter()
    run(code)
    return time.perf_counter() - start


def run(code: str) -> None:
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True, capture_output=True)


if __name__ == "__main__":
    main()
