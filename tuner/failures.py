"""What a trial's failure asks for: that it goes on, that it is given up, or that the whole study stops for now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)
from ray.tune.experiment import Trial
from torch import OutOfMemoryError

from analysis.machine import causes
from privacy import LedgerError
from trainables.service.answers import PackLost

LOST = (
    PackLost,
    RayActorError,
    WorkerCrashedError,
    ObjectLostError,
    NodeDiedError,
    LocalRayletDiedError,
    OutOfMemoryError,
)
"""What is raised where a process or a machine went away, or a GPU had no memory left beside what others use of it."""


def ledger_error(error: BaseException | None) -> LedgerError | None:
    """The ledger's error that another one was caused by."""
    return next((each for each in reversed(list(causes(error))) if isinstance(each, LedgerError)), None)


def will_repeat(error: BaseException | None) -> bool:
    """Whether a trial failed by its own code or configuration, and not because something went away beneath it."""
    for each in causes(error):
        if isinstance(each, RayActorError) and each.actor_init_failed:  # of what it raised, the text alone is kept
            return not any(f"{kind.__name__}:" in str(each) for kind in LOST)
        if isinstance(each, LOST) or (isinstance(each, OSError) and each.errno is None):  # a store that did not answer
            return False
    return error is not None


def error_of(trial: Trial) -> RayTaskError | RayActorError | None:
    """The error of a trial that Tune has just found to have failed."""
    written: Any = trial.pickled_error_file
    if not written or not Path(written).is_file():
        return None
    content = Path(written).read_bytes()  # this process wrote it a moment ago
    error: RayTaskError | RayActorError = cloudpickle.loads(content)
    return error
