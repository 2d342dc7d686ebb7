"""A ledger that cannot be written to is no fault of the trial that was told so, and no reason to end one for good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ray import cloudpickle
from ray.tune.experiment import Trial

from privacy import LedgerError


def ledger_error(error: BaseException | None) -> LedgerError | None:
    """The ledger's error that another one was caused by, in however many processes in between."""
    found = None
    while error is not None:
        found = error if isinstance(error, LedgerError) else found
        error = getattr(error, "cause", None) or error.__cause__
    return found


def ledger_error_of(trial: Trial) -> LedgerError | None:
    """The same for a trial that Tune has just found to have failed."""
    written: Any = trial.pickled_error_file
    if not written or not Path(written).is_file():
        return None
    return ledger_error(cloudpickle.loads(Path(written).read_bytes()))  # this process wrote it a moment ago
