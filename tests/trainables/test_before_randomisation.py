"""What was measured before randomisation is alike in all arms of every release, and what came after is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cohorts import Participants, Schema
from privacy.ledger.ledger import Ledger
from privacy.mechanisms.measurements import Measurements
from privacy.policies.unaccounted import Freely
from tests.conftest import SMALL_SCHEMA, THREE_ARMS, sealed
from trainables.candidate import Setting
from trainables.measured.candidate import MeasuredNetwork
from trainables.measured.copies import Copies
from trainables.trial import Trial, TrialPlan

OF_TWO = {
    **SMALL_SCHEMA,
    "name": "randomised",
    "visits": {**SMALL_SCHEMA["visits"], "baseline": "week 0"},
    "covariates": [
        {"name": "age", "kind": "integer", "lower": 18, "upper": 90, "column": "age"},
        {"name": "sex", "kind": "binary", "categories": ["f", "m"], "column": "sex"},
    ],
}
SCHEMAS = [Schema.model_validate(OF_TWO), Schema.model_validate({**OF_TWO, "name": "of-three", "label": THREE_ARMS})]
CANDIDATES = ("measured", "copula", "moments", "gan")


def unlucky(schema: Schema, participants: int, seed: int = 0, luck: float = 1.0) -> Participants:
    """By bad luck pressure at baseline is higher in later arms, and so is age; pressure then falls in them."""
    rng = np.random.default_rng(seed)
    labels, time = rng.integers(0, len(schema.label.classes), participants), np.arange(3)
    age = np.rint(55 + 1.5 * luck * labels + rng.normal(0, 10, participants)).clip(18, 90)
    pressure = 145 + 1.5 * luck * labels[:, None] + 0.5 * (age[:, None] - 55) - 12 * labels[:, None] * time
    values = np.full((participants, 4, 3), np.nan)
    values[:, 0] = np.rint(pressure + rng.normal(0, 6, (participants, 3))).clip(80, 200)
    values[:, 1] = (3 + 1.5 * labels[:, None] * time + rng.normal(0, 1, (participants, 3))).round(1).clip(0, 10)
    values[:, 2, 0], values[:, 3, 0] = age, rng.random(participants) < 0.3 + 0.1 * luck * labels
    ids = np.array([f"P{number}" for number in range(participants)])
    return Participants(schema, ids, labels.astype(np.int64), values.astype(np.float32))


@pytest.fixture(params=SCHEMAS, ids=["two arms", "three arms"])
def plan(request, tmp_path) -> TrialPlan:
    people = unlucky(request.param, 600)
    train, validation = sealed(people, "train"), sealed(unlucky(request.param, 100, 1), "validation")
    ledger = Ledger.for_cohort(sealed(people), tmp_path / "ledger.db")
    return TrialPlan(request.param, Freely("first", ledger, train, validation), 0.75, 5.0, 1e-5, (1, 2), "packed", None)


def release(plan: TrialPlan, candidate: str) -> Participants:
    config = {"rho": 5.0} if candidate != "gan" else {"noise_multiplier": 1.0, "sampling_rate": 0.1, "width": 16}
    trial = Trial("only", {"candidate": candidate, **config}, plan)
    trial.train_to(1)
    return trial.generator().generate(12_000, torch.Generator().manual_seed(1))


def differences(people: Participants) -> np.ndarray:
    """Of each later arm from the first, in standard errors, of everything that is measured (k - 1, M, V)."""
    arms = [people.values.astype(float)[people.labels == arm] for arm in range(len(people.schema.label.classes))]
    arms = [arm + np.random.default_rng(number).normal(0, 1e-9, arm.shape) for number, arm in enumerate(arms)]  # ties
    errors = [np.sqrt(arm.var(axis=0) / len(arm)) for arm in arms]
    return np.array(
        [
            (arm.mean(axis=0) - arms[0].mean(axis=0)) / np.hypot(error, errors[0])
            for arm, error in zip(arms[1:], errors[1:], strict=True)
        ]
    )


@pytest.mark.parametrize("candidate", CANDIDATES)
def test_arms_are_alike_before_randomisation(plan, candidate):
    found = differences(release(plan, candidate))[:, plan.schema.before_randomisation]
    assert np.abs(found).max() < 4.5  # chance: fewer than 1 in 10,000


@pytest.mark.parametrize("candidate", ["measured", "copula", "moments"])  # the GAN has learned little in an epoch
def test_arms_differ_after_it(plan, candidate):
    assert np.abs(differences(release(plan, candidate))[:, 0, 2]).max() > 10


@pytest.mark.parametrize("schema", SCHEMAS, ids=["two arms", "three arms"])
def test_what_is_alike_hangs_together_with_what_comes_later(schema):
    real = unlucky(schema, 6000, luck=0.3)  # two standard errors between the arms, or four
    torch.manual_seed(0)
    settings = {"width": 64, "generator_learning_rate": 2e-3}  # so short a fit is nearer at a slow rate
    network = MeasuredNetwork.of(settings, Setting(schema, 1.0, "packed", torch.device("cpu")))
    network.take(Measurements.costing(schema, 1.0, rho=5.0).release(real.values, real.labels))
    network.fit(200, torch.Generator().manual_seed(1))
    release = network.generator().generate(6000, torch.Generator().manual_seed(1))
    for label in range(len(schema.label.classes)):
        there, made = (
            np.corrcoef(each.values[each.labels == label][:, 2, 0], each.values[each.labels == label][:, 0, 2])[0, 1]
            for each in (real, release)
        )
        assert made == pytest.approx(there, abs=0.12)


def test_only_the_first_visit_of_a_randomised_label_is_a_baseline():
    with pytest.raises(ValueError, match="only the first visit, week 0, can be the baseline"):
        Schema.model_validate({**OF_TWO, "visits": {**SMALL_SCHEMA["visits"], "baseline": "week 4"}})
    with pytest.raises(ValueError, match="baseline is for a randomised label"):
        Schema.model_validate({**OF_TWO, "label": {**SMALL_SCHEMA["label"], "randomised": False}})
    assert not Schema.model_validate(SMALL_SCHEMA).before_randomisation.any()


def test_what_comes_later_in_copies_does_not_follow_from_chance_before_randomisation():
    """Their arms are alike before it, so a difference later is that which analysis of covariance finds in the trial."""
    trial = unlucky(SCHEMAS[0], 3000, luck=2.0)
    before = trial.values[:, [0, 1, 2, 3], 0].astype(float)
    later, arm = trial.values[:, 0, 2].astype(float), trial.labels
    adjusted = float(np.linalg.lstsq(np.column_stack([np.ones(len(arm)), arm, before]), later, rcond=None)[0][1])
    crude = later[arm == 1].mean() - later[arm == 0].mean()
    measured = Measurements.costing(SCHEMAS[0], 1.0, rho=1e4).release(trial.values, trial.labels)
    copies = Copies(measured, SCHEMAS[0], np.random.default_rng(0))
    of_copies = [
        np.subtract(*(each.values[each.labels == label, 0, 2].mean(dtype=float) for label in (1, 0)))
        for each in (copies.draw(3000) for _ in range(3))
    ]
    assert crude - adjusted > 1.2  # mmHg
    assert np.mean(of_copies) == pytest.approx(adjusted, abs=0.7)
