"""A trial of three arms with drop-out goes the whole way, by every kind of candidate and every score."""

from __future__ import annotations

import json
from pathlib import Path

import optuna
import pandas as pd
import pytest
import yaml

from cohorts import load_participants
from tests.cohorts.lossy_trial import LOSSY_SCHEMA, lossy_cohort
from tests.conftest import THREE_ARMS
from tests.shared_ray import SharedRay
from tests.tuner.commands import Office

SPACE = {
    "candidate": {"categorical": ["gan", "measured", "copula", "moments"]},
    "generator_learning_rate": {"log_uniform": [1e-3, 1e-2]},
    "clip_norm": 1,
    "sampling_rate": 0.05,
    "width": 8,
    "depth": 1,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, shared_ray: SharedRay) -> Path:
    schema = {**LOSSY_SCHEMA, "name": "three-arms", "public": False, "nominal_size": 400, "label": THREE_ARMS}
    folder = tmp_path_factory.mktemp("arms")
    office = Office.with_schema(folder, schema, shared_ray, lambda schema: lossy_cohort(400, schema))
    (office.folder / "space.yaml").write_text(yaml.safe_dump(SPACE, sort_keys=False))
    asked = "--search-space space.yaml --policy composed --epsilon 20 --trials 6 --max-epochs 2"
    ran = office.begin("arms", *asked.split())
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert office.check("arms").returncode == 0
    return office.study("arms")


def test_every_arm_is_released_in_the_trials_own_codes(study):
    released = pd.read_csv(next((study / "release").glob("visits-synthetic.csv")))
    shares = released.drop_duplicates("id")["arm"].value_counts(normalize=True)
    for each in THREE_ARMS["classes"]:
        assert shares[each["value"]] == pytest.approx(each["share"], abs=0.1)


def test_scores_of_three_arms_steer_the_search(study):
    trials = optuna.load_study(study_name="arms", storage=f"sqlite:///{study / 'study.db'}").trials
    assert len({trial.params["candidate"] for trial in trials}) > 1  # drawn at random, but six times
    assert all(trial.values for trial in trials)


def test_the_statement_names_the_shares_of_all_arms_as_public(study):
    assert json.loads((study / "release" / "privacy_statement.json").read_text())["epsilon"] == 20
    datasheet = (study / "release" / "README.md").read_text()
    assert "50% control, 30% half the dose and 20% treated" in datasheet


def test_values_that_are_missing_are_empty_cells_and_whoever_leaves_has_no_more_rows(study):
    released = pd.read_csv(study / "release" / "visits-synthetic.csv")
    assert released["pressure"].isna().any() and released["dose"].notna().any()
    assert released["stage"][released["visit"] == "week 4"].isna().all()  # not measured there
    visits = released.groupby("id")["visit"].count()
    assert visits.nunique() > 1 and len(visits) == 400


def test_a_release_can_be_read_as_a_cohort_again(study):
    participants, _ = load_participants(str(study / "release" / "schema-synthetic.yaml"))
    assert len(participants) == 400
