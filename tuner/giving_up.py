"""Trials that would fail again are not tried again: what they train would be paid for again."""

from __future__ import annotations

from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial

from tuner.asha import StudyASHA
from tuner.failures import error_of, will_repeat


class GivesUp(Callback):
    """Has a trial fail for good whose own code failed: it would fail again, and its training be paid for again.

    Tune knows one number of attempts, for lost machines and for mistakes alike.

    Args:
        scheduler: knows what runs the trials.
    """

    def __init__(self, scheduler: StudyASHA) -> None:
        self._scheduler = scheduler

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Tune is about to try it again."""
        error, controller = error_of(trial), self._scheduler.controller
        if error is not None and will_repeat(error):
            assert controller is not None  # it has run a trial
            controller._process_trial_failure(trial, error)  # of a trial that waits, which ends it
