"""Optuna chooses hyperparameters; every score and every ending of a trial stands in the study's database."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np
from optuna import Study, Trial
from optuna.samplers import TPESampler
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from ray.tune.result import AUTO_RESULT_KEYS
from ray.tune.search.optuna import OptunaSearch

from privacy.planning.allocation import Allocation
from search_spaces import SearchSpace
from trainables.candidate import START, candidate_of

# User attributes of an Optuna trial.
TUNE_TRIAL = "tune_trial"  # the name Tune has for it
FAILURE = "failure"  # why it has no value
ASKED_FOR = "asked_for"  # that its configuration was settled before the search
STOPPED_EARLY = "stopped_early"  # that ASHA did not let it go on
BEST_EPOCH = "best_epoch"  # that its value is the score of

LOST = "the study was interrupted before this trial was saved"
# Seconds to wait while optuna-dashboard holds the database.
DATABASE_PATIENCE_S = 60
NOT_METRICS = {*AUTO_RESULT_KEYS, "done", "trial_id", "experiment_tag", "checkpoint_dir_name", "score"}


class StudySearch(OptunaSearch):
    """Ray's ``OptunaSearch`` on a file, telling Optuna what Ray keeps from it.

    Each report is an intermediate value at step ``epoch``, the last one too. The value of a trial is the best of them,
    since a release takes the best epochs wherever a trial went afterwards; so one that was stopped early is COMPLETE
    too, with the attribute ``stopped_early``, and Optuna's best value is that of every other display. One that failed
    is FAIL. What else a trial last reported becomes user attributes.
    The database is the only memory: what Tune saves and restores is the list of trials it knows, so a trial that
    Optuna has and Tune lost is marked FAIL.

    Args:
        space: draws a configuration from an Optuna trial.
        database: SQLite file; ``optuna-dashboard sqlite:///DATABASE`` opens it.
        study_name: Optuna's name for the study.
        seed: makes the choices repeatable, also across an interrupt; None draws from the operating system.
        startup_trials: trials drawn at random before the sampler learns from results.
        allocation: settles what of a configuration follows from its price; None where the space says everything.
        shortlist: configurations to run in place of what the sampler proposes, by the trial they begin from.
        first: what is drawn for the first trials, by hyperparameter, before the sampler proposes anything.
        about: what the dashboard says of the study.
    """

    def __init__(
        self,
        space: SearchSpace,
        database: Path,
        study_name: str,
        seed: int | None = None,
        startup_trials: int = 10,
        allocation: Allocation | None = None,
        shortlist: Mapping[str, Mapping[str, Any]] | None = None,
        first: Sequence[Mapping[str, Any]] = (),
        about: Mapping[str, str | float] | None = None,
    ) -> None:
        self._allocation = allocation
        self._database = RDBStorage(
            f"sqlite:///{database.resolve()}", engine_kwargs={"connect_args": {"timeout": DATABASE_PATIENCE_S}}
        )
        self._startup_trials = startup_trials
        self._reconciled = False
        super().__init__(
            space,
            metric="score",
            mode="max",
            study_name=study_name,
            storage=self._database,
            sampler=self._sampler_with(seed),
        )
        self._seed = seed
        assert self._ot_study is not None  # made by Ray's constructor, because there is a space
        self._study: Study = self._ot_study
        if self._study.get_trials(deepcopy=False):
            return
        describe(self._study, about or {})
        for start, config in (shortlist or {}).items():
            self._study.enqueue_trial(dict(config), user_attrs={ASKED_FOR: True, START: start})
        for drawn in first:
            self._study.enqueue_trial(dict(drawn), user_attrs={ASKED_FOR: True})

    def _sampler_with(self, seed: int | None) -> TPESampler:
        # Several trials run at once: constant_liar (Optuna 5's default) keeps them from crowding one spot.
        return TPESampler(n_startup_trials=self._startup_trials, seed=seed)

    @property
    def ended(self) -> int:
        """How many trials have ended, finished or stopped or failed; lost ones are not counted."""
        return len(self._completed_trials)

    def suggest(self, trial_id: str) -> dict[str, Any] | None:
        """Draw the configuration of a new trial."""
        if not self._reconciled:
            self._reconcile(set())
        if self._seed is not None:
            # A sampler's random state would be lost with the process; one derived from the trial's place is not.
            state = np.random.SeedSequence([self._seed, self._drawn()]).generate_state(1)
            self._study.sampler = self._sampler_with(int(state[0]))
        trial = self._study.ask()
        trial.set_user_attr(TUNE_TRIAL, trial_id)
        self._ot_trials[trial_id] = trial
        return self._completed(super().suggest(trial_id), trial)

    def _completed(self, config: dict[str, Any] | None, trial: Trial) -> dict[str, Any] | None:
        """A configuration with what the space does not draw: what follows from its price, and where it begins."""
        if config is None:
            return None
        if self._allocation:
            config = candidate_of(config).priced(config, self._allocation)
        return {**config, START: trial.user_attrs[START]} if START in trial.user_attrs else config

    def _drawn(self) -> int:
        """How many configurations the study has drawn, less those of lost trials: they are drawn again."""
        trials = self._study.get_trials(deepcopy=False)
        return sum(trial.user_attrs.get(FAILURE) != LOST for trial in trials)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Record a score that did not end its trial."""
        if trial_id not in self._completed_trials:
            self._record(self._ot_trials[trial_id], result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Record how a trial ended, with its last score, which Ray reports here only."""
        if trial_id in self._completed_trials:  # told before an interrupt; Tune had to redo the trial's last step
            return
        trial = self._ot_trials[trial_id]
        if error or result is None or "score" not in result:
            self._tell_failed(trial, "the trial failed; error.txt in its folder says why")
        else:
            self._record(trial, result)
            for name, value in _metrics(result).items():
                trial.set_user_attr(name, value)
            scores = self._scores(trial)
            if scores:
                self._tell_best(trial, scores, stopped=result["epoch"] < result["planned_epochs"])
            else:
                self._tell_failed(trial, "no score is a number")
        del self._ot_trials[trial_id]
        self._completed_trials.add(trial_id)

    def _scores(self, trial: Trial) -> dict[int, float]:
        """Those that are numbers, by epoch."""
        recorded = self._database.get_trial(trial._trial_id).intermediate_values
        return {epoch: score for epoch, score in recorded.items() if not math.isnan(score)}

    def _tell_best(self, trial: Trial, scores: Mapping[int, float], stopped: bool) -> None:
        best = max(scores, key=scores.__getitem__)
        trial.set_user_attr(BEST_EPOCH, best)
        trial.set_user_attr(STOPPED_EARLY, stopped)
        self._study.tell(trial, scores[best])

    def _tell_failed(self, trial: Trial, reason: str) -> None:
        trial.set_user_attr(FAILURE, reason)
        self._study.tell(trial, state=TrialState.FAIL)

    def _record(self, trial: Trial, result: Mapping[str, Any]) -> None:
        # Trial.report keeps the first value of a step. A step redone after an interrupt has a new checkpoint, and
        # the score on record should be that checkpoint's.
        self._database.set_trial_intermediate_value(trial._trial_id, result["epoch"], float(result["score"]))

    def save(self, checkpoint_path: str) -> None:
        """Write which trials Tune knows; the rest is in the database."""
        known = sorted({*self._ot_trials, *self._completed_trials})
        Path(checkpoint_path).write_text(json.dumps(known))

    def restore(self, checkpoint_path: str) -> None:
        """Take up the database where Tune's saved state left it."""
        self._reconcile(set(json.loads(Path(checkpoint_path).read_text())))

    def _reconcile(self, known: set[str]) -> None:
        """Make Optuna's trials those that Tune knows."""
        self._reconciled = True
        for frozen in self._study.get_trials(deepcopy=False):
            trial_id = frozen.user_attrs.get(TUNE_TRIAL)
            if trial_id in known and frozen.state.is_finished():
                self._completed_trials.add(trial_id)
            elif trial_id in known:
                self._ot_trials[trial_id] = Trial(self._study, frozen._trial_id)
            elif frozen.state == TrialState.RUNNING:
                self._database.set_trial_user_attr(frozen._trial_id, FAILURE, LOST)
                self._study.tell(frozen.number, state=TrialState.FAIL)
                if ASKED_FOR in frozen.user_attrs:  # of these none may go missing
                    kept = {name: frozen.user_attrs[name] for name in (ASKED_FOR, START) if name in frozen.user_attrs}
                    self._study.enqueue_trial(frozen.params, user_attrs=kept)


def describe(study: Study, about: Mapping[str, str | float]) -> None:
    """Have Optuna's dashboard name what trials are compared by, and say what kind of study it shows."""
    study.set_metric_names(["best_score"])
    for name, value in about.items():
        study.set_user_attr(name, value)


def _metrics(result: Mapping[str, Any]) -> dict[str, Any]:
    """What the trainable itself reported, besides the score."""
    reported = {name: value for name, value in result.items() if name not in NOT_METRICS and "/" not in name}
    return {name: _as_json(value) for name, value in reported.items() if isinstance(value, Number | str)}


def _as_json(value: Any) -> Any:
    """A plain number, or words for one that the dashboard's JSON cannot hold (epsilon without noise is infinite)."""
    plain = value.item() if isinstance(value, np.generic) else value
    return str(plain) if isinstance(plain, float) and not math.isfinite(plain) else plain
