"""What comes of a trial that fails: lost processes are made up for, mistakes made once, and a full disk stops all."""

from __future__ import annotations

import errno
import json
from collections import Counter
from pathlib import Path
from typing import Any

import optuna
import pytest
import ray
import torch
from optuna.trial import TrialState
from ray import cloudpickle, tune
from ray.exceptions import (
    ActorDiedError,
    LocalRayletDiedError,
    NodeDiedError,
    ObjectLostError,
    RayActorError,
    RayTaskError,
)

from analysis.machine import MachineError
from search_spaces import Domain, load_search_space
from tests.tuner import test_failures
from trainables.service.answers import LOST, PackLost
from trainables.service.trials import DPGANTrial
from trainables.trial_log import Ended, TrialLog
from tuner.asha import StudyASHA
from tuner.failures import will_repeat
from tuner.giving_up import GivesUp
from tuner.optuna_search import StudySearch
from tuner.own_machine import EndsWithMachine
from tuner.trial_log import LoggedTrials

RESTARTS = 3


class Failing(tune.Trainable):
    """Notes each attempt; the first ones fail as the file says, those after them do not."""

    def setup(self, config: dict[str, Any], folder: Path) -> None:  # type: ignore[override]
        self._attempts, self._failures = folder / "attempts", json.loads((folder / "failures.json").read_text())

    def step(self) -> dict[str, Any]:
        before = self._attempts.read_text().count("\n") if self._attempts.exists() else 0
        with self._attempts.open("a") as file:
            print(self.trial_id, file=file)
        if before < len(self._failures):
            raise ERRORS[self._failures[before]]
        return {"epoch": 1, "planned_epochs": 1, "score": 0.5, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "epoch").write_text("1")

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """There is nothing to go on from."""


ERRORS = {
    "mistake": ZeroDivisionError("of the trial's own"),
    "lost": PackLost(LOST),
    "full": OSError(errno.ENOSPC, "No space left on device", "/results"),
}


@pytest.fixture(scope="module", autouse=True)
def on_ray(shared_ray):
    cloudpickle.register_pickle_by_value(test_failures)
    with shared_ray.connected():
        yield
    cloudpickle.unregister_pickle_by_value(test_failures)


class LostAtTheBeginning:
    """Where trials run; the second one's process is lost as it begins there."""

    def __init__(self, folder: Path) -> None:
        self._begun = folder / "begun"

    def begin(self, name: str, config: dict[str, Any]) -> Brief:
        begun = self._begun.read_text() if self._begun.exists() else ""
        self._begun.write_text(f"{begun}{name}\n")
        if begun.count("\n") == 1:
            raise PackLost(LOST)
        return Brief()


class Brief:
    """A trial of one epoch."""

    def step(self) -> dict[str, Any]:
        return {"epoch": 1, "planned_epochs": 1, "score": 0.5, "done": True}

    def save(self, directory: Path) -> None:
        (directory / "epoch").write_text("1")

    def load(self, directory: Path) -> None:
        """There is nothing to go on from."""

    def end(self) -> None:
        """There is nothing to forget."""


def search(folder: Path, trials: int, *failures: str) -> None:
    """Run a search, one trial after another, of which the first attempts fail."""
    (folder / "failures.json").write_text(json.dumps(failures))
    run(folder, trials, tune.with_parameters(Failing, folder=folder))


def run(folder: Path, trials: int, trainable: Any) -> None:
    """Run a search, one trial after another."""
    (folder / "space.yaml").write_text("x: {uniform: [0, 1]}\n")
    space, scheduler = load_search_space(folder / "space.yaml", {"x": Domain("float")}), StudyASHA(1)
    with scheduler.stop_raised():
        tune.run(
            trainable,
            name="trials",
            storage_path=str(folder),
            num_samples=trials,
            search_alg=StudySearch(space, folder / "study.db", "study"),
            scheduler=scheduler,
            callbacks=[LoggedTrials(folder / "trials.jsonl", folder / "losses.jsonl"), GivesUp(scheduler)],
            max_concurrent_trials=1,
            max_failures=RESTARTS,
            reuse_actors=True,
            raise_on_failed_trial=False,
            verbose=0,
        )


def states(folder: Path) -> dict[str, TrialState]:
    trials = optuna.load_study(study_name="study", storage=f"sqlite:///{folder / 'study.db'}").trials
    return {trial.user_attrs["tune_trial"]: trial.state for trial in trials}


def test_a_mistake_is_made_once_and_a_lost_process_is_made_up_for(tmp_path):
    search(tmp_path, 2, "mistake", "lost", "lost")
    attempts = Counter((tmp_path / "attempts").read_text().split())
    mistaken, unlucky = attempts
    assert attempts == {mistaken: 1, unlucky: 3}
    assert states(tmp_path) == {mistaken: TrialState.FAIL, unlucky: TrialState.COMPLETE}
    ended = {line.trial: line.ended for line in TrialLog(tmp_path / "trials.jsonl").lines() if isinstance(line, Ended)}
    assert ended == {mistaken: "failed", unlucky: "completed"}


def test_a_process_that_is_lost_as_a_trial_begins_there_is_made_up_for(tmp_path):
    run(tmp_path, 2, tune.with_parameters(DPGANTrial, trials=LostAtTheBeginning(tmp_path)))
    first, second, again = (tmp_path / "begun").read_text().split()
    assert first != second == again
    assert set(states(tmp_path).values()) == {TrialState.COMPLETE}


def test_a_trial_that_meets_a_full_disk_stops_the_study_and_is_not_given_up(tmp_path):
    with pytest.raises(MachineError, match=r"No space left on device \(/results\)"):
        search(tmp_path, 2, "full")
    assert TrialState.FAIL not in states(tmp_path).values()
    assert not (tmp_path / "trials.jsonl").exists()


def test_a_search_does_not_wait_for_a_machine_that_ray_has_lost(monkeypatch):
    monkeypatch.setattr("tuner.own_machine.LOOK_EVERY_S", 0.0)
    EndsWithMachine().on_step_end(1, [])
    lost = [{**node, "Alive": False} for node in ray.nodes()]
    monkeypatch.setattr(ray, "nodes", lambda: lost)
    with pytest.raises(MachineError, match="raylet"):
        EndsWithMachine().on_step_end(1, [])


def test_a_trial_that_cannot_begin_is_judged_by_why():
    began = "The actor died because of an error raised in its creation task, ray::_Inner.__init__()\n"
    for said, repeats in (("ValueError: width must be positive", True), (f"PackLost: {LOST}", False)):
        assert will_repeat(RayActorError(error_msg=began + said, actor_init_failed=True)) is repeats
    assert not will_repeat(ActorDiedError()) and not will_repeat(ObjectLostError("", None, ""))


def test_what_others_take_from_a_trial_is_no_mistake_of_its_own():
    away = [NodeDiedError("gone"), LocalRayletDiedError(), torch.OutOfMemoryError("CUDA out of memory"), OSError("S3")]
    for error in away:
        assert not will_repeat(RayTaskError("step", "traceback", error)), error
    for error in (ValueError("width"), FileNotFoundError(errno.ENOENT, "missing")):
        assert will_repeat(RayTaskError("step", "traceback", error))
