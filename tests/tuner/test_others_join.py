"""Other candidates and other policies join the search by being registered, and by nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest
import yaml
from ray import cloudpickle

from cohorts import Schema, write_cohort
from privacy.__main__ import main as check_ledger
from privacy.policies import _known as known_policies
from privacy.policies import register as register_policy
from tests.conftest import SMALL_SCHEMA, small_cohort
from tests.tuner import toys
from tests.tuner.toys import Centres, OneAfterAnother
from trainables.candidate import _known as known_candidates
from trainables.candidate import register as register_candidate
from tuner.run import main as run_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A private trial's files, and a search over three kinds of candidate."""
    folder = tmp_path_factory.mktemp("toys")
    description = {**SMALL_SCHEMA, "name": "toys", "public": False}
    write_cohort(small_cohort(Schema.model_validate(description), 400, 1), folder)
    (folder / "small.yaml").write_text(yaml.safe_dump(description))
    return folder


@pytest.fixture(scope="module")
def registered():
    """The toys, known while they are needed, and sent to Ray's processes whole, as a script's own classes would be."""
    cloudpickle.register_pickle_by_value(toys)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("privacy.policies._known", dict(known_policies))
        patch.setattr("trainables.candidate._known", dict(known_candidates))
        register_policy(OneAfterAnother())
        register_candidate(Centres)
        yield
    cloudpickle.unregister_pickle_by_value(toys)


@pytest.fixture(scope="module")
def study(folder: Path, registered) -> Path:
    """A whole study in which toys take part."""
    space = {
        "candidate": {"categorical": ["centres", "moments", "copula"]},
        "spread": {"uniform": [0.1, 0.4]},
    }
    (folder / "space.yaml").write_text(yaml.safe_dump(space, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPGAN_TUNE_DATA", str(folder / "data"))
        patch.chdir(folder)
        asked = "--cohort small.yaml --search-space space.yaml --policy one-after-another --study toy --epsilon 20"
        status = run_study([*asked.split(), "--trials", "8", "--max-epochs", "4"])
        assert status == 0
        assert check_ledger([str(folder / "results" / "toy")]) == 0
    return folder / "results" / "toy"


def test_a_study_by_toys_ends_in_a_release_under_its_epsilon(study):
    statement = json.loads((study / "release" / "privacy_statement.json").read_text())
    assert (statement["policy"], statement["epsilon"]) == (OneAfterAnother.name, 20)
    assert 0 < max(statement["spent"].values()) <= 20
    assert "It measured two centres per trial." in (study / "release" / "privacy_statement.md").read_text()
    assert len(pd.read_csv(next((study / "release").glob("*toy*.csv")))) == 400 * 3


def test_candidates_of_several_kinds_were_tried_and_scored(study):
    storage = f"sqlite:///{study / 'study.db'}"
    trials = optuna.load_study(study_name="toy", storage=storage).trials
    tried = {trial.params["candidate"] for trial in trials}
    assert tried <= {"centres", "moments", "copula"} and len(tried) > 1  # drawn at random, but eight times
    assert all(trial.state == optuna.trial.TrialState.COMPLETE and trial.values for trial in trials)
