"""A study killed again and again goes on as if nothing had happened."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import optuna
import pytest

from tests.tuner.interrupted_study import MAX_EPOCHS, TRIALS
from tuner.optuna_search import FAILURE, LOST

# In Optuna but not yet in Tune; reported but not yet saved; saved; Ctrl-C.
INTERRUPTIONS = (("suggest", 2), ("result", 4), ("save", 3), ("interrupt", 2))
HEAD = """
import sys, ray
print(ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False).address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True)
class Cluster:
    """A Ray of this test's own, which outlives the studies that are killed on it."""

    environment: dict[str, str]

    def study(self, directory: Path, event: str = "never", count: int = 0) -> subprocess.CompletedProcess[str]:
        """Begin the study in a directory, or go on with it, until an event."""
        directory.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, "-m", "tests.tuner.interrupted_study", str(directory), event, str(count)],
            env=self.environment,
            start_new_session=True,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    environment = {**os.environ, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
    head = subprocess.Popen(
        [sys.executable, "-c", HEAD],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert head.stdin and head.stdout
    try:
        address = head.stdout.readline().strip()
        assert address, "Ray did not start"
        yield Cluster({**environment, "STUDY_CLUSTER": address})
    finally:
        head.stdin.close()  # it was waiting for this, and takes Ray down with it
        try:
            head.wait(timeout=60)
        except subprocess.TimeoutExpired:
            head.kill()


@pytest.fixture(scope="module")
def uninterrupted(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("studies") / "uninterrupted"
    finished = cluster.study(directory)
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout == finished.stderr == "", "neither Ray nor Optuna says a word"
    return directory


@pytest.fixture(scope="module")
def interrupted(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("studies") / "interrupted"
    for event, count in INTERRUPTIONS:
        ended = cluster.study(directory, event, count)
        if event == "interrupt":
            assert (ended.returncode, ended.stdout) == (0, "interrupted\n"), ended.stderr
        else:
            assert ended.returncode == -signal.SIGKILL, f"the study was over before {event} {count}: {ended.stderr}"
    finished = cluster.study(directory)
    assert finished.returncode == 0, finished.stderr
    return directory


def optuna_trials(directory: Path) -> list[optuna.trial.FrozenTrial]:
    study = optuna.load_study(study_name="bump", storage=f"sqlite:///{directory}/study.db")
    return [trial for trial in study.trials if trial.user_attrs.get(FAILURE) != LOST]


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
    study = optuna.load_study(study_name="bump", storage=f"sqlite:///{interrupted}/study.db")
    (lost,) = [trial for trial in study.trials if trial.user_attrs.get(FAILURE) == LOST]
    assert lost.state == optuna.trial.TrialState.FAIL
    assert lost.params in [trial.params for trial in optuna_trials(interrupted)]
