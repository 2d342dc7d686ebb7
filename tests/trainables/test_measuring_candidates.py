"""Candidates that measure once: what they pay, what they draw, and that a checkpoint holds all of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cohorts import Schema
from privacy.ledger.ledger import Ledger
from privacy.policies.unaccounted import Freely
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort
from trainables.generators import load_generator
from trainables.trial import Trial, TrialPlan

SCHEMA = Schema.model_validate(SMALL_SCHEMA)
KINDS = ("moments", "measured")


@pytest.fixture
def plan(tmp_path) -> TrialPlan:
    people = small_cohort(SCHEMA, 400)
    train, validation = sealed(people, "train"), sealed(small_cohort(SCHEMA, 100, seed=1), "validation")
    ledger = Ledger.for_cohort(sealed(people), tmp_path / "ledger.db")
    return TrialPlan(SCHEMA, Freely("first", ledger, train, validation), 0.75, 5.0, 1e-5, (1, 2), "opacus", None)


@pytest.fixture(params=KINDS)
def trial(plan, request) -> Trial:
    return Trial("only", {"candidate": request.param, "rho": 0.5}, plan)


def test_it_ends_after_one_epoch_which_is_charged_as_one_measurement(trial):
    assert trial.planned_epochs == 1
    trial.train_to(1)
    (charge,) = [each for _, each in trial.plan.access.books.books.release_charges() if each.split == "train"]
    assert charge.kind == "measurement"
    assert charge.event == trial.training(1).event
    assert trial.score()["score"] > 0.8


def test_a_checkpoint_draws_the_participants_that_the_trial_draws(trial, plan, tmp_path):
    trial.train_to(1)
    trial.save(tmp_path)
    kept, schema = load_generator(tmp_path)
    again = Trial("again", trial.config, plan)
    again.load(tmp_path)
    drawn = [
        each.generate(300, torch.Generator().manual_seed(5)) for each in (trial.generator(), kept, again.generator())
    ]
    assert schema == SCHEMA
    for each in drawn[1:]:
        assert np.array_equal(each.values, drawn[0].values) and np.array_equal(each.labels, drawn[0].labels)


def test_participants_are_those_of_the_trial_as_far_as_measured(trial):
    trial.train_to(1)
    real, made = small_cohort(SCHEMA, 400), trial.generator().generate(4000, torch.Generator().manual_seed(1))
    for label in (0, 1):
        means = [each.values[each.labels == label].mean(axis=0) for each in (real, made)]
        assert np.abs(means[1] - means[0])[0].max() < 5  # mmHg, of a spread of 8
        assert np.abs(means[1] - means[0])[1].max() < 0.7  # mg, of a spread of 1
    assert len(set(made.ids)) == 4000
