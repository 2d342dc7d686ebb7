"""A person's own callbacks of Ray Tune beside a study's: they are handed what was paid for, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ray.tune import Callback, ExperimentAnalysis, Result, ResultGrid
from ray.tune.experiment import Trial

from analysis.epochs import reported
from privacy.policies.policy import Policy
from tuner.errors import StudyError

OF_TUNE = ("training_iteration", "trial_id", "experiment_tag", "config", "done")
"""What loggers of Ray need of a result besides; none of it depends on participants."""


class PaidFor(Callback):
    """Hands on to a callback when trials begin, report and end, with a report's paid-for values.

    A report also holds Ray's times, host and processes. How long a step takes depends a little on how many participants
    were in its batch, so these stay here; and so do checkpoints, which hold what training goes on from.

    Args:
        callback: a person's own.
    """

    def __init__(self, callback: Callback) -> None:
        self._callback, self._known = callback, dict[str, Shown]()

    def setup(self, *arguments: Any, **info: Any) -> None:
        """A search begins."""
        self._callback.setup(*arguments, **info)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial begins."""
        self._callback.on_trial_start(iteration, self._all(trials), self._one(trial), **info)

    def on_trial_restore(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial goes on."""
        self._callback.on_trial_restore(iteration, self._all(trials), self._one(trial), **info)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial was scored."""
        self._callback.on_trial_result(iteration, self._all(trials), self._one(trial), paid_for(result), **info)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial ended, or was stopped."""
        self._callback.on_trial_complete(iteration, self._all(trials), self._one(trial), **info)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial failed."""
        self._callback.on_trial_error(iteration, self._all(trials), self._one(trial), **info)

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """A search ended."""
        self._callback.on_experiment_end(self._all(trials), **info)

    def _all(self, trials: Iterable[Trial]) -> list[Trial]:
        return [self._one(each) for each in trials]

    def _one(self, trial: Trial) -> Trial:
        """The same object for the same trial each time, as loggers expect it."""
        shown = self._known.setdefault(trial.trial_id, Shown())
        shown.take_over(trial)
        return shown


class Shown(Trial):
    """A trial as a person's callback sees it: its last report without times and host, and no checkpoint."""

    def __init__(self) -> None:
        """Nothing is known yet."""

    def take_over(self, trial: Trial) -> None:
        """Be as that trial is now."""
        self.__dict__.update(trial.__dict__)
        metadata = type(trial.run_metadata)()
        metadata.num_failures = trial.run_metadata.num_failures
        metadata.last_result = paid_for(trial.run_metadata.last_result)
        self.__dict__.update(run_metadata=metadata, temporary_state=type(trial.temporary_state)())

    @property
    def last_result(self) -> dict[str, Any]:
        """What was paid for of its last report."""
        result: dict[str, Any] = self.run_metadata.last_result
        return result

    @property
    def latest_checkpoint_result(self) -> None:
        """None: it holds what training goes on from."""
        return


def paid_for(result: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a trial reports, the scores and figures that were paid for, and what tells trials apart."""
    return {name: result[name] for name in (*reported(), "planned_epochs", *OF_TUNE) if name in result}


def watched_by(callbacks: Iterable[Callback], policy: Policy, public: bool) -> list[PaidFor]:
    """A person's callbacks, as a study may be given them.

    Raises:
        StudyError: reports of such a study are not paid for.
    """
    given = [PaidFor(each) for each in callbacks]
    if given and not public and not policy.declares_budget:
        raise StudyError(
            f"Under the policy {policy.name} scores are computed from participants without noise and nothing pays for "
            "them, so no callback is handed any. Leave callbacks out, or choose another policy."
        )
    return given


class Results(ResultGrid):
    """Ray Tune's own results, of which the best is the trial with the best epoch, as everywhere else."""

    def get_best_result(
        self,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "all",
        filter_nan_and_inf: bool = True,
    ) -> Result:
        """The trial with the best report; with scope ``last``, the one whose last report is best, as Ray has it."""
        return super().get_best_result(metric, mode, scope, filter_nan_and_inf)


class Ended(Callback):
    """Keeps the trials of the last search that ended, for Ray Tune's own results."""

    def __init__(self) -> None:
        self._trials: list[Trial] = []

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """A search ended."""
        self._trials = trials

    def results(self) -> ResultGrid | None:
        """Ray Tune's own results; None where no trial was seen."""
        if not self._trials:
            return None
        place = self._trials[0].storage
        assert place is not None  # Tune gave each trial one
        analysis = ExperimentAnalysis(
            place.experiment_fs_path,
            storage_filesystem=place.storage_filesystem,
            trials=self._trials,
            default_metric="score",
            default_mode="max",
        )
        return Results(analysis)
