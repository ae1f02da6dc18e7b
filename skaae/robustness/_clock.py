"""How long an evaluation may take, and what it shows meanwhile."""

from __future__ import annotations

import time
from typing import Any

from skaae._utils.extras import import_extra


class OutOfTimeError(Exception):
    """The time limit has passed."""


class Clock:
    """Stops an evaluation at a time limit, and shows a progress bar.

    Parameters
    ----------
    limit : float or None
        Seconds; None: no limit.
    verbose : int, default=0
        1: a progress bar.
    """

    def __init__(self, limit: float | None = None, verbose: int = 0) -> None:
        self.begin, self.limit = time.perf_counter(), limit
        self.bar: Any = import_extra("tqdm.auto", "attacks").tqdm() if verbose else None

    def expect(self, n_steps: int) -> None:
        """Set the length of the progress bar."""
        if self.bar is not None:
            self.bar.reset(n_steps)

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.perf_counter() - self.begin

    def check(self) -> None:
        """Raise an OutOfTimeError if the limit has passed."""
        if self.limit is not None and self.seconds > self.limit:
            raise OutOfTimeError

    def step(self, what: str) -> None:
        """Move the progress bar."""
        if self.bar is not None:
            self.bar.set_description(what)
            self.bar.update()

    def __enter__(self) -> Clock:
        return self

    def __exit__(self, *error: object) -> None:
        """Leave the progress bar as it is."""
        if self.bar is not None:
            self.bar.close()
