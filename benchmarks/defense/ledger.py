"""The results of a benchmark: a CSV file that grows as they are known, so that a run goes on where it stopped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Ledger:
    """One CSV file."""

    path: Path

    @classmethod
    def named(cls, name: str) -> Ledger:
        return cls(FOLDER / f"{name}.csv")

    def lines(self) -> pd.DataFrame:
        return pd.read_csv(self.path) if self.path.exists() else pd.DataFrame()

    def done(self, **keys: str | float) -> bool:
        """Whether there is a line with these values in these columns."""
        found = self.lines()
        return len(found) > 0 and bool((found[list(keys)] == pd.Series(keys)).all(axis=1).any())

    def write(self, lines: list[dict]) -> None:
        """Add lines, all or none: a whole new file takes the place of the old one."""
        self.path.parent.mkdir(exist_ok=True)
        frame = pd.concat([self.lines(), pd.DataFrame(lines)])
        temporary = self.path.with_suffix(".part")
        frame.to_csv(temporary, index=False, float_format="%.4f")
        temporary.rename(self.path)
