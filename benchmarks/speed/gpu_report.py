"""The page of the figures on a GPU: results/gpu.md, from gpu.csv.

python -m benchmarks.speed.gpu_report
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from benchmarks.speed.targets import three_digits

RESULTS = Path(__file__).parent / "results" / "gpu.csv"
HEAD = """# On a GPU

Written by `make bench-gpu`; from `gpu.csv`. Networks and rows are those of the page on speed: a table of 20,000 x 30
with AE 64-16-64 and M 64-64-5 in batches of 128, and 1,280 images of 32 x 32 x 3 with the autoencoder of the paper in
batches of 64. "Default" is everything that the detector does by default. A bare loop is one of TensorFlow alone,
without Keras' `fit`. The first 100 test images are attacked.
"""
TITLES = {
    "agreement": "The same as on a CPU",
    "table": "Training: a table",
    "images": "Training: small images",
    "scoring": "Scoring: rows of 30 columns from host memory",
    "mnist": "All of MNIST",
    "fashion": "All of Fashion-MNIST",
    "precision": "Mixed precision",
    "memory": "A full device",
    "alibi-detect": "alibi-detect on the same device",
}


def main() -> None:
    write(RESULTS)


def write(results: Path) -> None:
    """Write the page beside the figures."""
    results.with_suffix(".md").write_text(page(pd.read_csv(results)))


def page(figures: pd.DataFrame) -> str:
    """A section for each part that has figures."""
    parts = [HEAD]
    for part, lines in figures.groupby("part", sort=False):
        table = pd.DataFrame({"": lines["what"], "value": lines["value"].map(shown)})
        parts.append(f"## {TITLES[str(part)]}\n\n{table.to_markdown(index=False, disable_numparse=True)}\n")
    return "\n".join(parts)


def shown(value: object) -> str:
    """A number with three digits, anything else as it is."""
    try:
        number = float(str(value))
    except ValueError:
        return str(value)
    if number.is_integer() and abs(number) < 1e6:
        return f"{number:.0f}"
    return three_digits(number) if abs(number) >= 1e-3 else f"{number:.1e}"


if __name__ == "__main__":
    main()
