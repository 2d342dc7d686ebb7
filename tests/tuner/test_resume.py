"""A study killed again and again goes on as if nothing had happened."""

from __future__ import annotations

import json
import multiprocessing
import signal
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest

from tests.shared_ray import SharedRay
from tests.tuner import interrupted_study
from tests.tuner.interrupted_study import MAX_EPOCHS, TRIALS
from tuner.optuna_search import FAILURE, LOST

# In Optuna but not yet in Tune; reported but not yet saved; saved; Ctrl-C.
INTERRUPTIONS = (("suggest", 2), ("result", 4), ("save", 3), ("interrupt", 2))
# Studies are forked from one process that has imported everything.
FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload([interrupted_study.__name__])


@dataclass(frozen=True)
class Ended:
    """How a study's process ended, and what it said."""

    status: int | None
    stdout: str
    stderr: str


def study(shared_ray: SharedRay, directory: Path, event: str = "never", count: int = 0) -> Ended:
    """Begin the study in a directory, or go on with it, until an event."""
    directory.mkdir(exist_ok=True)
    fate = interrupted_study.Fate(event, count)
    process = FORKS.Process(target=interrupted_study.main, args=(directory, fate, shared_ray))
    process.start()
    process.join()
    return Ended(process.exitcode, *((directory / said).read_text() for said in ("stdout", "stderr")))


@pytest.fixture(scope="module")
def uninterrupted(shared_ray: SharedRay, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("studies") / "uninterrupted"
    finished = study(shared_ray, directory)
    assert finished == Ended(0, "", ""), "neither Ray nor Optuna says a word"
    return directory


@pytest.fixture(scope="module")
def interrupted(shared_ray: SharedRay, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("studies") / "interrupted"
    for event, count in INTERRUPTIONS:
        ended = study(shared_ray, directory, event, count)
        if event == "interrupt":
            assert (ended.status, ended.stdout) == (0, "interrupted\n"), ended.stderr
        else:
            assert ended.status == -signal.SIGKILL, f"the study was over before {event} {count}: {ended.stderr}"
    finished = study(shared_ray, directory)
    assert finished.status == 0, finished.stderr
    return directory


def optuna_trials(directory: Path) -> list[optuna.trial.FrozenTrial]:
    bump = optuna.load_study(study_name="bump", storage=f"sqlite:///{directory}/study.db")
    return [trial for trial in bump.trials if trial.user_attrs.get(FAILURE) != LOST]


def outcome(directory: Path) -> list[tuple[object, ...]]:
    """What each trial was, every score of it, and how it ended, in the order of the trials."""
    return [
        (trial.params, trial.intermediate_values, trial.state.name, trial.value) for trial in optuna_trials(directory)
    ]


def events(directory: Path) -> list[tuple[str, str, int]]:
    return [tuple(json.loads(line)) for line in (directory / "events.jsonl").read_text().splitlines()]


def test_the_study_put_to_the_test_stops_some_trials_early_and_not_others(uninterrupted):
    ends = {trial.last_step for trial in optuna_trials(uninterrupted)}
    assert MAX_EPOCHS in ends
    assert len(ends) >= 3, "decisions were taken at several rungs"


def test_a_killed_and_resumed_study_decides_as_an_uninterrupted_one(uninterrupted, interrupted):
    assert outcome(interrupted) == outcome(uninterrupted)


def test_no_finished_trial_is_repeated(interrupted):
    ended = set()
    for event, trial, epoch in events(interrupted):
        assert trial not in ended, f"trial {trial} reported epoch {epoch} after it had ended"
        if event == "end":
            ended.add(trial)
    assert len(ended) == TRIALS


def test_an_interruption_costs_at_most_one_report_of_a_running_trial(uninterrupted, interrupted):
    def reports(directory: Path) -> int:
        return sum(event == "report" for event, _, _ in events(directory))

    assert reports(interrupted) - reports(uninterrupted) <= len(INTERRUPTIONS)


def test_a_trial_that_only_optuna_knew_is_marked_failed_and_its_configuration_run(interrupted):
    bump = optuna.load_study(study_name="bump", storage=f"sqlite:///{interrupted}/study.db")
    (lost,) = [trial for trial in bump.trials if trial.user_attrs.get(FAILURE) == LOST]
    assert lost.state == optuna.trial.TrialState.FAIL
    assert lost.params in [trial.params for trial in optuna_trials(interrupted)]
