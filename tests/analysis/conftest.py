"""A small study, really run by Ray Tune: trials that end, stop early and fail."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from ray import tune

from analysis import StudyDirectory, StudySettings
from cohorts import Schema, load_cohort, split_cohort, split_key, write_cohort
from privacy.accounting.budget import Budget
from privacy.ledger.actor import serve_ledger
from privacy.ledger.ledger import Ledger
from privacy.ledger.study_record import keep_record
from privacy.planning.allocation import DeclaredPlan
from privacy.planning.choice import PlanInputs
from privacy.policies import policy_named
from privacy.policies.unaccounted import Freely
from tests.conftest import SMALL_SCHEMA, small_cohort
from tests.shared_ray import SharedRay
from trainables.progress import LocalTrials
from trainables.scoring import steering
from trainables.service.trials import DPGANTrial
from trainables.trial import TrialPlan
from tuner.trial_log import LoggedTrials

TRIALS = 4
FAILING, STOPPED = 0.6, 0.7  # clip norms that mark the trial that fails and the one that stops early


def write_trial_files(directory: Path, seed: int) -> None:
    """A clinical trial's table and schema, small.yaml."""
    schema = Schema.model_validate(SMALL_SCHEMA)
    write_cohort(small_cohort(schema, 400, seed), directory)
    (directory / "small.yaml").write_text(yaml.safe_dump(SMALL_SCHEMA))


def run_trials(directory: StudyDirectory, settings: StudySettings, shared_ray: SharedRay) -> None:
    """Search over four fixed configurations, scored after epochs 1 and 2."""
    cohort = load_cohort(settings.cohort, settings.data_dir)
    splits = split_cohort(cohort, split_key(cohort.schema))
    ledger = Ledger.for_cohort(cohort, adopt=True)

    class Trial(DPGANTrial):
        def step(self) -> dict:
            trial = self._running.trial
            if trial.epoch and trial.config["clip_norm"] == FAILING:
                raise RuntimeError("out of luck")
            return super().step()

    clip_norms = tune.grid_search([FAILING, STOPPED, 1.0, 1.1])
    with shared_ray.connected():
        plan = TrialPlan(
            cohort.schema,
            Freely(settings.study, serve_ledger(ledger), splits.train, splits.validation),
            train_share=0.75,
            epsilon=settings.epsilon,
            delta=settings.delta,
            scored_epochs=(1, 2),
            engine="opacus",
            seed=3,
        )
        tune.Tuner(
            tune.with_parameters(Trial, trials=LocalTrials(plan)),
            param_space={"sampling_rate": 0.1, "width": 8, "latent_size": 4, "depth": 1, "clip_norm": clip_norms},
            run_config=tune.RunConfig(
                name="trials",
                storage_path=directory.storage_path(settings),
                checkpoint_config=tune.CheckpointConfig(checkpoint_frequency=1),
                stop=lambda _, result: result["config"]["clip_norm"] == STOPPED,
                callbacks=[LoggedTrials(directory.trial_log(), directory.losses)],
                verbose=0,
            ),
            tune_config=tune.TuneConfig(metric="score", mode="max", reuse_actors=True),
        ).fit()
    keep_record(ledger, directory.path, settings.study, settings.delta)
    ledger.close()


def write_plan(directory: StudyDirectory, settings: StudySettings, schema: Schema) -> None:
    """plan.json, as the tuner has it."""
    budget = Budget(settings.epsilon, settings.delta)
    inputs = PlanInputs(budget, schema, settings.trials, (1, 2), 3, (0.1,), tuple(steering()))
    declared = DeclaredPlan(plan=policy_named(settings.policy).plan(inputs), allocation=None)
    directory.plan_file.write_text(declared.model_dump_json())


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Directory with the trial's files in data/, its ledger in home/ and a finished study in results/small.

    Not to be changed.
    """
    base = tmp_path_factory.getbasetemp()
    base = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base  # one study for all of pytest's processes
    root, done = base / "finished", base / "finished.done"
    with FileLock(base / "finished.lock"), pytest.MonkeyPatch.context() as patch:
        if not done.exists():
            root.mkdir()
            patch.setenv("DPGAN_TUNE_DATA", str(root / "home"))
            finish(root, request.getfixturevalue("shared_ray"))
            done.touch()
    return root


def finish(root: Path, shared_ray: SharedRay) -> None:
    """Make what ``finished`` holds."""
    write_trial_files(root / "data", seed=0)
    settings = StudySettings(
        study="small",
        cohort=str(root / "data" / "small.yaml"),
        search_space="smoke",
        policy="unaccounted",
        epsilon=20.0,
        delta=1e-5,
        trials=TRIALS,
        max_epochs=2,
        engine="opacus",
        seed=3,
        created=datetime.now(UTC),
    )
    directory = StudyDirectory(root / "results" / "small")
    settings.write(directory.path)
    write_plan(directory, settings, Schema.model_validate(SMALL_SCHEMA))
    run_trials(directory, settings, shared_ray)


@pytest.fixture
def study(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StudyDirectory:
    """The finished study in a place of its own, with its own copy of the trial's files and of the ledger."""
    return placed(finished, tmp_path, monkeypatch)


def placed(root: Path, place: Path, patch: pytest.MonkeyPatch) -> StudyDirectory:
    """A study with everything that belongs to it, copied."""
    for folder in ("results", "data", "home"):
        shutil.copytree(root / folder, place / folder)
    patch.setenv("DPGAN_TUNE_DATA", str(place / "home"))
    directory = StudyDirectory(place / "results" / "small")
    change_settings(directory, cohort=str(place / "data" / "small.yaml"))
    return directory


def change_settings(directory: StudyDirectory, **changes: object) -> StudySettings:
    """Rewrite study.json."""
    settings = directory.settings().model_copy(update=changes)
    settings.write(directory.path)
    return settings
