"""Other candidates and other policies join the search by being registered, and by nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest
import yaml
from ray import cloudpickle

from privacy.policies import _known as known_policies
from privacy.policies import register as register_policy
from tests.shared_ray import SharedRay
from tests.tuner import toys
from tests.tuner.commands import Office
from tests.tuner.toys import Centres, OneAfterAnother
from trainables.candidate import _known as known_candidates
from trainables.candidate import register as register_candidate


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
def study(tmp_path_factory: pytest.TempPathFactory, shared_ray: SharedRay, registered) -> Path:
    """A whole study in which toys take part, of three kinds of candidate."""
    office = Office.of(tmp_path_factory.mktemp("toys"), "toys", shared_ray)
    space = {
        "candidate": {"categorical": ["centres", "moments", "copula"]},
        "spread": {"uniform": [0.1, 0.4]},
    }
    (office.folder / "space.yaml").write_text(yaml.safe_dump(space, sort_keys=False))
    asked = "--search-space space.yaml --policy one-after-another --epsilon 20 --trials 8 --max-epochs 4"
    ran = office.begin("toy", *asked.split())
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert office.check("toy").returncode == 0
    return office.study("toy")


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
