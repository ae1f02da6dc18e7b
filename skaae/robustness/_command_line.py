"""The command line: a joblib file and a table in, a report and an exit code out."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib

from skaae._constraints import FeatureConstraints
from skaae._utils.extras import import_extra
from skaae.robustness._battery import NAMES, PRESETS
from skaae.robustness._evaluation import evaluate_robustness

PASSED, FAILED, INVALID = 0, 1, 2
DESCRIPTION = """Attack a fitted estimator on a table, print what is left, and write a report.

A joblib file runs code when it is loaded: pass only files that you trust."""
EPILOG = f"""exit codes: {PASSED} all checks passed (with --strict without a warning), {FAILED} a check failed,
{INVALID} the input is invalid."""


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    found = argparse.ArgumentParser(
        prog="python -m skaae.robustness",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("model", type=Path, help="joblib file of a detector, a classifier or a Pipeline; it runs code")
    found.add_argument("data", type=Path, help="CSV or Parquet file with a column for each feature, and the classes")
    found.add_argument("--target", required=True, help="name of the column with the classes")
    found.add_argument("--attacks", default="fast", help=f"{', '.join(PRESETS)}, or names separated by commas")
    found.add_argument("--sizes", type=float, nargs="+", help="largest moves, in standard deviations of each feature")
    found.add_argument("--immutable", nargs="*", default=[], help="columns that an attacker cannot alter")
    found.add_argument("--text", nargs="*", default=[], help="columns of a CSV file that are text, such as codes")
    found.add_argument("--n-samples", type=int, help="rows to attack")
    found.add_argument("--n-jobs", type=int, help="processes that attack side by side; -1: all processors")
    found.add_argument("--time-limit", type=float, help="seconds after which no further attack begins")
    found.add_argument("--random-state", type=int, default=0)
    found.add_argument("--html", type=Path, help="file for the report")
    found.add_argument("--csv", type=Path, help="file for the table of all attacks")
    found.add_argument("--strict", action="store_true", help="warnings fail too")
    found.add_argument("--verbose", action="store_true", help="show a progress bar")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str or None, default=None
        None: those of the process.

    Returns
    -------
    code : int
        0: passed, 1: failed, 2: invalid input.
    """
    given = parser().parse_args(arguments)
    try:
        report = _report(given)
        print(report)
        if given.html:
            report.to_html(given.html)
        if given.csv:
            report.frame.to_csv(given.csv, index=False)
    except (ValueError, TypeError, OSError, ImportError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        if "isnan" in str(error) or "unknown categories" in str(error):
            print(
                "Is text read as numbers or as missing? Name its columns with --text, or pass Parquet.", file=sys.stderr
            )
        return INVALID
    return PASSED if report.passed(strict=given.strict) else FAILED


def _report(given: argparse.Namespace) -> Any:
    for path in (given.html, given.csv):
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"{path} cannot be written, because there is no folder {path.parent}.")
        if path is not None and (path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK)):
            raise ValueError(f"{path} cannot be written: it is a folder, or writing there is not allowed.")
    X, y = _table(given.data, given.target, given.text)
    estimator = _loaded(given.model)
    attacks = given.attacks if given.attacks in PRESETS else _names(given.attacks)
    return evaluate_robustness(
        estimator,
        X if hasattr(estimator, "feature_names_in_") else X.to_numpy(),
        y,
        attacks=attacks,
        sizes=given.sizes,
        constraints=_constraints(X, given.immutable),
        n_samples=given.n_samples,
        n_jobs=given.n_jobs,
        time_limit=given.time_limit,
        random_state=given.random_state,
        verbose=int(given.verbose),
    )


def _names(attacks: str) -> list[str]:
    """Names separated by commas, of which some contain one."""
    parts = [part.strip() for part in attacks.split(",")]
    behind = dict(name.split(", ", 1)[::-1] for name in NAMES if ", " in name)
    found: list[str] = []
    for part in filter(None, parts):
        if part in behind and found:
            found[-1] += f", {part}"
        else:
            found.append(part)
    return found


def _loaded(path: Path) -> Any:
    try:
        return joblib.load(path)
    except OSError:
        raise
    except Exception as error:  # whatever the code in a file raises
        raise ValueError(f"{path} cannot be loaded with joblib: {error!r}") from error


def _table(path: Path, target: str, text: Sequence[str]) -> tuple[Any, Any]:
    """The rows and the classes."""
    pandas = import_extra("pandas", "attacks")
    table = pandas.read_parquet(path) if path.suffix == ".parquet" else pandas.read_csv(path)
    if text:  # never read as numbers, nor as missing unless empty
        read = {"usecols": list(text), "dtype": str, "keep_default_na": False, "na_values": [""]}
        table = table.assign(**pandas.read_csv(path, **read))
    if target not in table.columns:
        raise ValueError(f"{path} has no column {target!r}. Its columns are {table.columns.tolist()[:20]}.")
    return table.drop(columns=target), table[target]


def _constraints(X: Any, immutable: Sequence[str]) -> Any:
    """None unless columns are immutable: those of the detector hold then."""
    if not immutable:
        return None
    unknown = sorted(set(immutable) - set(X.columns))
    if unknown:
        raise ValueError(f"--immutable names columns that the data has not: {unknown}.")
    return FeatureConstraints.from_data(X, [name for name in X.columns if name not in immutable])
