"""A trial whose label is a time to an event goes the whole way."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from cohorts import Schema, load_participants
from tests.cohorts.outcome_trials import SURVIVAL, survival_cohort, trial
from tests.shared_ray import SharedRay
from tests.tuner.commands import Office


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, shared_ray: SharedRay) -> Path:
    schema = {**trial(SURVIVAL), "name": "survival", "nominal_size": 400}
    folder = tmp_path_factory.mktemp("survival")
    office = Office.with_schema(folder, schema, shared_ray, lambda schema: survival_cohort(400, schema))
    (office.folder / "network.yaml").write_text("candidate: {categorical: [measured]}\nwidth: 32\n")
    ran = office.begin(
        "followed",
        *[
            "--search-space",
            "network.yaml",
            "--epsilon",
            "20",
            "--trials",
            "2",
            "--max-epochs",
            "1",
            "--release-anyway",
        ],
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert office.check("followed").returncode == 0
    return office.study("followed")


def test_times_and_events_are_released_in_the_trials_own_columns(study):
    people = pd.read_csv(study / "release" / "people-synthetic.csv")
    assert people["days"].between(0, 400).all() and set(people["state"]) == {0, 1}
    assert not people.loc[people["days"] == 400, "state"].any() and (people["days"] == 400).any()
    early = (people["days"] < 100) & (people["state"] == 1)
    died_early = survival_cohort(400, Schema.model_validate({**trial(SURVIVAL), "nominal_size": 400})).labels == 0
    assert early.mean() == pytest.approx(died_early.mean(), abs=0.05)  # as was measured, where 30 % were expected
    assert died_early.mean() > 0.4
    said = " ".join((study / "release" / "README.md").read_text().split())
    assert "draws as many of each class as was measured" in said and "as many as were expected, 30% " in said


def test_survival_by_group_is_released_of_synthetic_participants_and_copies_alone(study):
    table = pd.read_csv(study / "release" / "survival-synthetic-estimates.csv")
    assert table["participants"].tolist() == ["synthetic"] * 2 + ["10 copies, combined"] * 2
    assert table["sex"].tolist() == ["f", "m"] * 2
    assert table.loc[table["participants"] == "synthetic", "number"].sum() == 400
    assert "hazard ratio" in (study / "release" / "report.html").read_text()
    assert (study / "release" / "survival-synthetic.png").exists()
    assert "survival-synthetic-estimates.csv" in (study / "release" / "README.md").read_text()


def test_the_steward_sees_it_beside_the_real_one_and_what_differs_differs_in_both(study):
    table = pd.read_csv(study / "internal" / "survival.csv").set_index(["participants", "sex"])
    assert (study / "internal" / "survival-internal.png").exists()
    assert (table.xs("m", level="sex")["hazard_ratio"] > 1.2).all()  # men die three times as fast


def test_the_release_can_be_read_as_a_cohort_again(study):
    participants, _ = load_participants(str(study / "release" / "schema-synthetic.yaml"))
    assert len(participants) == 400
