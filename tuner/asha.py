"""ASHA stops the poor trials early, and decides alike after an interrupt."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment import Trial
from ray.tune.schedulers import ASHAScheduler, TrialScheduler

from analysis.machine import MachineError, machine_error
from privacy import LedgerError
from tuner.errors import StudyError
from tuner.failures import error_of, ledger_error

REDUCTION_FACTOR = 3
GRACE_EPOCHS = 1


class StudyASHA(ASHAScheduler):
    """Ray's ASHA on the score by epoch, with rungs that can be saved.

    Tune saves trials, search and callbacks of an experiment but not its scheduler (ray issue 30838): restored, the
    rungs would fill with late scores only and good trials would be stopped. ``SavedRungs`` carries them.

    Args:
        max_epochs: the longest a trial trains.
        reduction_factor: one in so many trials goes on past a rung.
        grace_epochs: the first rung.
    """

    def __init__(
        self, max_epochs: int, reduction_factor: int = REDUCTION_FACTOR, grace_epochs: int = GRACE_EPOCHS
    ) -> None:
        super().__init__(
            time_attr="epoch",
            metric="score",
            mode="max",
            max_t=max_epochs,
            grace_period=grace_epochs,
            reduction_factor=reduction_factor,
        )
        # The decision on every report, so that one redone after an interrupt is decided as it was.
        self._decisions: dict[str, dict[int, str]] = {}
        # What can save the experiment; Tune hands it out nowhere else.
        self.controller: TuneController | None = None
        self.stopped_by: LedgerError | MachineError | None = None
        """What no trial can help: the ledger or the machine. The search ends, and may be resumed from its snapshot."""

    @property
    def rungs(self) -> tuple[int, ...]:
        """Epochs at which a trial may be stopped, ascending."""
        return tuple(sorted(int(milestone) for milestone, _ in self._brackets[0]._rungs))

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Take in a trial, new or restored."""
        self.controller = getattr(tune_controller, "_tune_controller", tune_controller)
        super().on_trial_add(tune_controller, trial)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide whether a trial goes on after a report."""
        decisions = self._decisions.setdefault(trial.trial_id, {})
        epoch = result["epoch"]
        if epoch not in decisions:
            # A score that is no number compares as neither worse nor better, and would always go on.
            hopeless = math.isnan(result["score"])
            decisions[epoch] = (
                TrialScheduler.STOP if hopeless else super().on_trial_result(tune_controller, trial, result)
            )
        return decisions[epoch]

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Let a trial be tried again or given up, unless it was the ledger that failed, or the machine.

        Tune asks here first, so nothing of the failure is in Optuna's study, the log of trials or the snapshot yet.

        Raises:
            LedgerError: the ledger let the trial read nobody.
            MachineError: its disk is full, say.
        """
        error = error_of(trial)
        self.stopped_by = ledger_error(error) or machine_error(error)
        if self.stopped_by:
            raise self.stopped_by
        super().on_trial_error(tune_controller, trial)

    @contextmanager
    def stop_raised(self) -> Iterator[None]:
        """Have ``stopped_by`` leave this block as it is, whatever Tune makes of it on the way."""
        try:
            yield
        except Exception:
            if self.stopped_by:
                raise self.stopped_by from None
            raise

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Keep a finished trial's last score at its rung, if it is a number and that epoch's."""
        if not math.isnan(result.get("score", math.nan)) and "out_of_budget" not in result:
            super().on_trial_complete(tune_controller, trial, result)

    def state(self) -> dict[str, Any]:
        """The scores at each rung and the decisions so far."""
        return {
            "rungs": {milestone: dict(recorded) for milestone, recorded in self._brackets[0]._rungs},
            "decisions": {trial: dict(decided) for trial, decided in self._decisions.items()},
            "stopped": self._num_stopped,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state that ``state`` gave."""
        for milestone, recorded in self._brackets[0]._rungs:
            recorded.clear()
            recorded.update(state["rungs"][milestone])
        self._decisions = state["decisions"]
        self._num_stopped = state["stopped"]


class SavedRungs(Callback):
    """Has the rungs saved and restored with the experiment, as Tune does for a callback's state.

    Args:
        scheduler: whose rungs.
        resume: whether the study goes on from a snapshot. Tune begins anew, with a log line, when it cannot read
            one; participants would be read a second time, so here that is an error.
    """

    def __init__(self, scheduler: StudyASHA, resume: bool) -> None:
        self._scheduler = scheduler
        self._missing = resume

    def get_state(self) -> dict[str, Any]:
        """Called by Tune when it saves the experiment."""
        return {"asha": self._scheduler.state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Called by Tune when it restores the experiment, before it takes in the trials."""
        self._scheduler.load_state(state["asha"])
        self._missing = False

    def setup(self, *arguments: Any, **info: Any) -> None:
        """Called by Tune before the first trial, after restoring."""
        if self._missing:
            raise StudyError(
                "Ray Tune could not restore the study's snapshot, so resuming would train finished trials again. "
                "Nothing was run, and the study is as it was; begin a new one."
            )


def rungs(
    max_epochs: int, reduction_factor: int = REDUCTION_FACTOR, grace_epochs: int = GRACE_EPOCHS
) -> tuple[int, ...]:
    """Epochs after which a decision is taken, the last of all included: the epochs worth scoring.

    Args:
        max_epochs: the longest a trial trains.
        reduction_factor: one in so many trials goes on past a rung.
        grace_epochs: the first rung.

    Returns:
        Ascending epochs, ending with ``max_epochs``.

    Example:
        >>> rungs(20)
        (1, 3, 9, 20)
    """
    stops = StudyASHA(max_epochs, reduction_factor, grace_epochs).rungs
    return tuple(sorted({*stops, max_epochs}))
