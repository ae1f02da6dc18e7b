"""The command line that the benchmarks over several data sets and seeds share."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from benchmarks.common.data import UnavailableError


def parser_of(description: str, sets: Sequence[str], seeds: int) -> argparse.ArgumentParser:
    """A parser of `[--seeds SEEDS] [SET ...]` with these defaults."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(sets))
    parser.add_argument("--seeds", type=int, default=seeds)
    return parser


def parsed(parser: argparse.ArgumentParser, known: Sequence[str]) -> argparse.Namespace:
    """The arguments; ends with an error if a set is none of those known."""
    arguments = parser.parse_args()
    unknown = set(arguments.sets) - set(known)
    if unknown:
        parser.error(f"unknown sets: {sorted(unknown)}")
    return arguments


def for_each_set(arguments: argparse.Namespace, run_set: Callable[[str, int], None]) -> None:
    """Run every set, seed by seed; one that cannot be had is skipped with a line saying so."""
    for seed in range(arguments.seeds):
        for name in arguments.sets:
            try:
                run_set(name, seed)
            except UnavailableError as error:
                print(f"skipped {name}: {error}")
