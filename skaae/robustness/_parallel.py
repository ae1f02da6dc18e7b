"""Attacks in several processes, each of which begins the evaluation anew."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import cloudpickle
import joblib

from skaae._keras.devices import is_op_determinism_enabled, op_determinism
from skaae.robustness._campaign import Campaign, Part
from skaae.robustness._clock import Clock
from skaae.robustness._gradient_attacks import quiet_libraries
from skaae.robustness._judging import Outcome
from skaae.robustness._plan import Plan

# Processes, also where joblib would use threads, as it does inside its own workers: they would share a campaign.
OPTIONS = {"backend": "loky", "return_as": "generator_unordered", "batch_size": 1}
# Of this process, where it is one of the workers: the last evaluation that it has begun.
_begun: dict[tuple[bytes, bool], Campaign] = {}


@dataclass(frozen=True, eq=False)
class Done:
    """What a worker returns: what the attack has done, and why it was stopped, if it was."""

    part: Part
    outcomes: list[Outcome]
    growing: list[Outcome]
    stopped: str | None


def run_in_processes(campaign: Campaign, plan: Plan, n_jobs: int) -> None:
    """Run all attacks of a campaign. An interruption or the time limit ends them; what is finished stays.

    Parameters
    ----------
    campaign : Campaign
        Gets the outcomes, which are those of one process.
    plan : Plan
        What the campaign was made from.
    n_jobs : int
        Number of processes.
    """
    parts = campaign.parts()
    campaign.clock.expect(len(parts))
    run = partial(
        run_elsewhere,
        cloudpickle.dumps(plan),
        deadline=_deadline(campaign.clock),
        n_jobs=n_jobs,
        deterministic=is_op_determinism_enabled(),
    )
    done: dict[Part, Done] = {}
    try:
        calls = (joblib.delayed(run)(part) for part in parts)
        for found in joblib.Parallel(n_jobs, **OPTIONS)(calls):
            done[found.part] = found
            campaign.clock.step(found.part[0])
    except KeyboardInterrupt:
        campaign.stopped = "interrupted"
    for part in parts:
        if part in done:
            campaign.outcomes += done[part].outcomes
            campaign.growing += done[part].growing
            campaign.stopped = campaign.stopped or done[part].stopped


def _deadline(clock: Clock) -> float | None:
    return None if clock.limit is None else time.time() + clock.limit - clock.seconds


def run_elsewhere(plan: bytes, part: Part, deadline: float | None, n_jobs: int, deterministic: bool) -> Done:
    """Run one attack in this process, which is a worker.

    Parameters
    ----------
    plan : bytes
        A pickled `Plan`.
    part : tuple of str and bool
    deadline : float or None
        When the time limit will have passed, in seconds since the epoch.
    n_jobs : int
        Number of processes, which share the processors.
    deterministic : bool
        Whether TensorFlow's operations are deterministic in the process that asks, as scikeras makes them: some round
        differently then.

    Returns
    -------
    done : Done
    """
    with quiet_libraries(), op_determinism(deterministic):
        campaign = _begin_once((plan, deterministic), n_jobs)
        campaign.outcomes, campaign.growing, campaign.stopped = [], [], None
        campaign.clock = Clock(None if deadline is None else deadline - time.time())
        campaign.run([part])
    return Done(part, campaign.outcomes, campaign.growing, campaign.stopped)


def _begin_once(key: tuple[bytes, bool], n_jobs: int) -> Campaign:
    if key not in _begun:
        _begun.clear()
        with _shared_processors(n_jobs):
            _begun[key] = cloudpickle.loads(key[0]).begin().campaign(Clock())
    return _begun[key]


@contextmanager
def _shared_processors(n_jobs: int) -> Iterator[None]:
    """Let TensorFlow, if it starts inside the block, take this process's share of the processors."""
    own = str(max(1, joblib.cpu_count() // n_jobs))
    names = [name for name in ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS") if name not in os.environ]
    os.environ.update(dict.fromkeys(names, own))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


def number_of_processes(n_jobs: Any) -> int:
    """The number of processes that `n_jobs` means, as in scikit-learn.

    Raises
    ------
    ValueError, TypeError
        If it is 0, or no integer.

    Examples
    --------
    >>> from skaae.robustness._parallel import number_of_processes
    >>> number_of_processes(None), number_of_processes(2)
    (1, 2)
    """
    if n_jobs is not None and (isinstance(n_jobs, bool) or not hasattr(n_jobs, "__index__")):
        raise TypeError(f"n_jobs must be an integer or None, got {n_jobs!r}.")
    if n_jobs == 0:
        raise ValueError("n_jobs must not be 0: pass a number of processes, or -1 for all processors.")
    return int(joblib.effective_n_jobs(n_jobs))
