"""Compare the speed of an ONNX file and of the estimator: start of a process to the first score, one row, many rows.

    python -m benchmarks.deployment.deployment [--rounds 5]

Two detectors of the same table, 20,000 x 30, with M 64-64-5: the networks of `speed.py` (AE 64-16-64) and the
default autoencoder. The file and a joblib dump of the estimator take turns; each start is a process of its own.
Medians are printed and go to results/deployment.md.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import joblib
import numpy as np

RESULTS = Path(__file__).parent / "results" / "deployment.md"
LOAD = {
    "estimator": "import joblib; detector = joblib.load('detector.joblib')",
    "ONNX": "from skaae.onnx import OnnxDetector; detector = OnnxDetector('detector.onnx')",
}
FIRST_SCORE = "import numpy as np; detector.score_samples(np.zeros((1, 30), np.float32))"
HEAD = """# Speed of an ONNX file and of the estimator

Written by `benchmarks/deployment/deployment.py`. The times are medians in milliseconds on {machine},
for 30 features and M 64-64-5.

"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    lines = [
        "| autoencoder | task | estimator | ONNX | times as fast |",
        "|---|---|---|---|---|",
        *(line for kind in ("64-16-64", "default") for line in table(kind, rounds)),
    ]
    RESULTS.write_text(HEAD.format(machine=f"{os.cpu_count()} CPU cores") + "\n".join(lines) + "\n")
    print("\n".join(lines))


def table(kind: str, rounds: int) -> list[str]:
    """The lines of one autoencoder."""
    with tempfile.TemporaryDirectory() as folder:
        X, detectors, size = make_detectors(kind, Path(folder))
        works: dict[str, Callable[[str], float]] = {
            "start of a process to the first score": lambda name: first_score(name, folder),
            "score one row": lambda name: median(lambda: detectors[name].score_samples(X[:1]), 300),
            "score 20,000 rows": lambda name: median(lambda: detectors[name].score_samples(X), 5),
        }
        found = {work: measured(function, rounds) for work, function in works.items()}
    differences = np.abs(detectors["ONNX"].adversarial_score(X) - detectors["estimator"].adversarial_score(X))
    print(f"{kind}: file of {size / 2**20:.2f} MiB, scores differ by at most {differences.max():.1e}")
    return [
        f"| {kind} | {work} | {1000 * slow:.3g} | {1000 * quick:.3g} | {slow / quick:.1f} |"
        for work, (slow, quick) in found.items()
    ]


def make_detectors(kind: str, folder: Path) -> tuple[np.ndarray, dict[str, object], int]:
    import keras

    from skaae import AdversarialAEDetector
    from skaae.onnx import OnnxDetector, to_onnx

    X = np.random.default_rng(0).normal(size=(20_000, 30)).astype(np.float32)
    dense = keras.layers.Dense
    model = keras.Sequential([keras.Input((30,)), dense(64, "relu"), dense(64, "relu"), dense(5, "softmax")])
    narrow = [keras.Input((30,)), dense(64, "relu"), dense(16), dense(64, "relu"), dense(30)]
    autoencoder = keras.Sequential(narrow) if kind == "64-16-64" else None
    detector = AdversarialAEDetector(model, autoencoder=autoencoder, epochs=1, random_state=0).fit(X)
    to_onnx(detector, folder / "detector.onnx")
    joblib.dump(detector, folder / "detector.joblib")
    loaded = OnnxDetector(folder / "detector.onnx")
    return X, {"estimator": detector, "ONNX": loaded}, (folder / "detector.onnx").stat().st_size


def measured(work: Callable[[str], float], rounds: int) -> list[float]:
    """Median seconds of estimator and file, which take turns."""
    turns = [[work(name) for name in LOAD] for _ in range(rounds)]
    return [statistics.median(seconds) for seconds in zip(*turns, strict=True)]


def first_score(name: str, folder: str) -> float:
    command = [sys.executable, "-c", f"{LOAD[name]}; {FIRST_SCORE}"]
    start = time.perf_counter()
    subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def median(work: Callable[[], object], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
