"""Every scored epoch of a study, read from its log of trials without a running Ray."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import dp_accounting
import torch
from pyarrow.fs import FileSystem, FileType
from pydantic import ValidationError
from ray.train import Checkpoint

from analysis.errors import AnalysisError
from analysis.study import TRIALS, WINNER, WINNER_FILE, StudyDirectory, StudySettings
from cohorts import Schema
from privacy.accounting.rdp import epsilon_by_rdp
from privacy.policies.policy import Stage
from trainables.candidate import CANDIDATE, DEFAULT, Setting, candidate_of, hyperparameters_of
from trainables.generators import GENERATOR_FILE
from trainables.scoring import likenesses, require_scored_by, steering
from trainables.trial_log import Line, SavedEpoch, TrialLog, TrialLogError


def steering_scores() -> tuple[str, ...]:
    """Names of the scores that every scored epoch has, where there is a label to predict."""
    return tuple(each.score.name for each in steering().values())


def other_scores() -> tuple[str, ...]:
    """Names of those that some have besides."""
    return ("score", "misfit", *(f"accuracy_{name}" for name in steering()), *likenesses())


def reported() -> tuple[str, ...]:
    """What is read of a trial's report."""
    return (*steering_scores(), *other_scores(), "epoch", "epsilon", "ledger")


@dataclass(frozen=True)
class ScoredEpoch:
    """One epoch of one trial that was scored and can still generate.

    Args:
        trial_id: Ray Tune's name of the trial.
        epoch: how many epochs the trial had trained; from 1, or 0 for one that went on from another trial's end.
        scores: scores on validation participants, each in [0, 1]. Sensitive: not private.
        epsilon: of the trial's training up to here; infinity without noise.
        checkpoint: where the epoch's generator is kept, on any file system that Tune can use.
        config: the trial's configuration: its candidate and hyperparameters.
        training: what its training up to here ran on participants.
        receipt: of the cohort's ledger, as the trial was told when it paid for the scores; empty where it paid none.
    """

    trial_id: str
    epoch: int
    scores: Mapping[str, float]
    epsilon: float
    checkpoint: Checkpoint
    config: Mapping[str, Any]
    training: dp_accounting.DpEvent
    receipt: str = ""

    @property
    def key(self) -> tuple[str, int]:
        """Which epoch of which trial it is: an epoch that is picked twice is one all the same."""
        return self.trial_id, self.epoch


def scored_epochs(
    directory: StudyDirectory,
    settings: StudySettings,
    schema: Schema,
    experiment_name: str = TRIALS,
    trials_begun: int | None = None,
) -> tuple[ScoredEpoch, ...]:
    """Gather the scored epochs of all trials of a finished search.

    Trials that stopped early, or that failed after some epochs, give the epochs they were scored at. An epoch
    whose generator is missing (its writing was interrupted) is left out.

    Args:
        directory: the study.
        settings: what it was asked to do.
        schema: of the cohort.
        experiment_name: of Ray Tune's experiment.
        trials_begun: how many trials that experiment has; as many as the study by default.

    Returns:
        Epochs ordered by trial, then epoch; at least one.

    Raises:
        AnalysisError: the study has no trials, is not finished, is unreadable, or no epoch can generate.
    """
    expected, lines = trials_begun or settings.trials, trial_lines(TrialLog(directory.trial_log(experiment_name)))
    ended = {line.trial for line in lines if not isinstance(line, SavedEpoch)}
    if len(ended) < expected:
        raise AnalysisError(
            f"The study {settings.study} is not finished: {expected - len(ended)} of its {expected} trials have not "
            f"ended. Resume it first: python tuner/run.py --study {settings.study} --resume"
        )
    experiment = directory.experiment(settings, experiment_name)
    scored = [line for line in lines if isinstance(line, SavedEpoch) and _is_scored(line)]
    latest = {(line.trial, line.report["epoch"]): line for line in scored}  # one that was redone counts as redone
    epochs = _that_can_generate(latest.values(), experiment, schema, settings)
    if not epochs:
        raise AnalysisError(
            f"The study {settings.study} has nothing to release: none of its {len(ended)} trials has a scored "
            f"epoch with its generator under {experiment}. Either every trial failed (see error.txt there) or the "
            "budget was too small for a single epoch, or another study of the cohort used it meanwhile; choose a "
            "larger --epsilon, or a search space with more noise or smaller sampling rates."
        )
    return tuple(sorted(epochs, key=lambda each: (each.trial_id, each.epoch)))


def releasable_epochs(
    directory: StudyDirectory, settings: StudySettings, schema: Schema, stage: Stage
) -> tuple[ScoredEpoch, ...]:
    """The epochs that a release may be made of: those of the study's last search, or the best of its secret runs.

    Raises:
        AnalysisError: there are none.
        ExtensionError: other scores are installed than the study was planned with.
    """
    require_scored_by(directory.declared_plan().plan.scored_by, schema)
    if stage.runs:
        return (winning_epoch(directory, settings, schema),)
    trials = 1 if stage.configurations == "shortlisted" else stage.schedule.trials  # a shortlist may be shorter
    return scored_epochs(directory, settings, schema, stage.name, trials)


def trial_lines(log: TrialLog) -> tuple[Line, ...]:
    """What the trials of a search reported.

    Raises:
        AnalysisError: it is missing or cannot be read.
    """
    try:
        return tuple(log.lines())
    except TrialLogError as error:
        raise AnalysisError(str(error)) from error


def winning_epoch(directory: StudyDirectory, settings: StudySettings, schema: Schema) -> ScoredEpoch:
    """The best of a secret number of runs, the only one there is to be read.

    Raises:
        AnalysisError: it was not chosen yet, or cannot be read.
    """
    file = directory.winner / WINNER_FILE
    try:
        found = json.loads(file.read_text())
        training = training_event(found["config"], found["epoch"], schema, settings)
        return ScoredEpoch(
            trial_id=WINNER,
            epoch=found["epoch"],
            scores=found["scores"],
            epsilon=epsilon_by_rdp(training, settings.delta),
            checkpoint=Checkpoint(str(directory.winner.resolve())),
            config=configuration(found["config"]),
            training=training,
        )
    except FileNotFoundError as error:
        raise AnalysisError(
            f"The study {settings.study} is not finished: its best run has not been chosen yet. Resume it first: "
            f"python tuner/run.py --study {settings.study} --resume"
        ) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AnalysisError(f"The study's best run cannot be read from {file}: {first_line(error)}.") from error


def training_event(
    config: Mapping[str, Any], epoch: int, schema: Schema, settings: StudySettings
) -> dp_accounting.DpEvent:
    """What a trial's training up to an epoch ran on participants, as the accountant knows it."""
    if epoch == 0:
        return dp_accounting.NoOpDpEvent()
    setting = Setting(schema, settings.shares.train, settings.engine, torch.device("cpu"))
    return candidate_of(config).mechanism(config, setting, epoch).event


def configuration(config: Mapping[str, Any]) -> dict[str, Any]:
    """A trial's candidate and hyperparameters, defaults included."""
    hyperparameters = candidate_of(config).hyperparameters(**hyperparameters_of(config))
    return {CANDIDATE: str(config.get(CANDIDATE, DEFAULT)), **hyperparameters.model_dump()}


def last_epochs(epochs: Iterable[ScoredEpoch]) -> dict[str, ScoredEpoch]:
    """The last scored epoch of each trial, by trial."""
    last: dict[str, ScoredEpoch] = {}
    for epoch in epochs:
        if epoch.trial_id not in last or epoch.epoch > last[epoch.trial_id].epoch:
            last[epoch.trial_id] = epoch
    return last


def _that_can_generate(
    scored: Iterable[SavedEpoch], experiment: str, schema: Schema, settings: StudySettings
) -> list[ScoredEpoch]:
    """Those whose generator is there."""
    try:
        files, folder = FileSystem.from_uri(experiment)
    except (OSError, ValueError) as error:
        raise AnalysisError(f"The study's trials cannot be read from {experiment}: {first_line(error)}.") from error
    epochs = []
    for each in scored:
        checkpoint = Checkpoint(f"{folder}/{each.folder}/{each.checkpoint}", files)
        if _can_generate(checkpoint):
            epochs.append(_scored_epoch(each, checkpoint, schema, settings))
    return epochs


def _scored_epoch(saved: SavedEpoch, checkpoint: Checkpoint, schema: Schema, settings: StudySettings) -> ScoredEpoch:
    numbers = _numbers(saved)
    epoch = int(numbers["epoch"])
    try:
        return ScoredEpoch(
            trial_id=saved.trial,
            epoch=epoch,
            scores={name: numbers[name] for name in steering_scores() + other_scores() if name in numbers},
            epsilon=numbers["epsilon"],
            checkpoint=checkpoint,
            config=configuration(saved.config),
            training=training_event(saved.config, epoch, schema, settings),
            receipt=str(saved.report.get("ledger") or ""),
        )
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        raise AnalysisError(
            f"Trial {saved.trial} has a configuration that this version cannot read: "
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}. Rebuild the release with the version that ran "
            "the study; study.json names it."
        ) from error


def _can_generate(checkpoint: Checkpoint) -> bool:
    files = checkpoint.filesystem
    found = files and files.get_file_info(f"{checkpoint.path}/{GENERATOR_FILE}")
    return bool(found and found.type == FileType.File and found.size)


def _numbers(saved: SavedEpoch) -> dict[str, float]:
    """What a report says in numbers."""
    return {name: float(value) for name, value in saved.report.items() if isinstance(value, int | float)}


def _is_scored(saved: SavedEpoch) -> bool:
    """Whether every AUC was reported, or without a label the misfit.

    A trial whose budget allows no more reports that last, at the epoch it has come to, without scores.
    """
    numbers, aucs = _numbers(saved), steering_scores()
    by = aucs if any(name in numbers for name in aucs) else ("misfit",)
    return not any(math.isnan(numbers.get(name, math.nan)) for name in (*by, "epoch", "epsilon"))


def first_line(error: Exception) -> str:
    """What an exception of another library says, without its trace."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
