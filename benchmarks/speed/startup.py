"""What a new process waits for: imports, and a saved detector's first score.

    python -m benchmarks.speed.startup [--rounds 5]

Every process is new, and its files are in the system's cache. Medians go to results/startup.csv, in
seconds, whole processes included. alibi-detect 0.13 cannot load what it saved: its `save_detector` fails with
Keras 3, which wants weights in a file that ends in .weights.h5. Beside us stands what its users do instead: Keras
loads both networks, and the detector is made of them.
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

from benchmarks.common.peers import ENVIRONMENT

RESULTS = Path(__file__).parent / "results" / "startup.csv"
ROOT = Path(__file__).parents[2]
IMPORTS = {"import sklearn": "import sklearn", "import skaae": "import skaae", "nothing": "pass"}
NETWORKS = (
    "import sys; sys.path.insert(0, '{root}'); from benchmarks.speed.worker import Skaae, table, table_networks\n"
)
ONE_ROW = "import numpy as np; X = np.zeros((1, 30), np.float32)\n"
SAVE = """
import joblib
package = Skaae(table_networks(), 128)
package.fit(table()[:1000], 1)
joblib.dump(package.detector, '{path}.joblib')
"""
LOAD = "import joblib; detector = joblib.load('{path}.joblib'); detector.score_samples(X)"
PEER_SAVE = """
for name, network in zip(("model", "autoencoder"), table_networks()):
    network.save('{path}.' + name + '.keras')
"""
PEER_LOAD = """
import keras
from alibi_detect.ad import AdversarialAE
model, autoencoder = (keras.models.load_model('{path}.' + name + '.keras') for name in ("model", "autoencoder"))
AdversarialAE(threshold=0.5, model=model, ae=autoencoder).score(X)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        names = {"root": ROOT, "path": Path(folder) / "detector"}
        works = {name: (Path(sys.executable), code) for name, code in IMPORTS.items()}
        run(sys.executable, (NETWORKS + SAVE).format(**names))
        works["load a joblib file and score a row"] = (Path(sys.executable), ONE_ROW + LOAD.format(**names))
        if (ENVIRONMENT / "ready").exists():
            interpreter = ENVIRONMENT / "bin" / "python"
            run(interpreter, (NETWORKS + PEER_SAVE).format(**names))
            works["load two Keras files and score a row with alibi-detect"] = (
                interpreter,
                ONE_ROW + PEER_LOAD.format(**names),
            )
        lines = [(work, seconds(*command)) for _ in range(rounds) for work, command in works.items()]
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
