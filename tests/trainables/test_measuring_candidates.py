"""Candidates that measure once: what they pay, what they draw, and that a checkpoint holds all of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from cohorts import Participants, Schema
from privacy.ledger.ledger import Ledger
from privacy.mechanisms.measurements import Measurements
from privacy.policies.unaccounted import Freely
from tests.conftest import SMALL_SCHEMA, THREE_ARMS, sealed, small_cohort
from trainables.candidate import Setting
from trainables.generators import load_generator
from trainables.measured.candidate import MeasuredNetwork
from trainables.measured.copula import CopulaGenerator
from trainables.measured.network import standardised, stratified
from trainables.trial import Trial, TrialPlan

SCHEMA = Schema.model_validate(SMALL_SCHEMA)
OF_THREE_ARMS = Schema.model_validate({**SMALL_SCHEMA, "name": "three", "label": THREE_ARMS})
KINDS = ("moments", "copula", "measured")


@pytest.fixture(params=[SCHEMA, OF_THREE_ARMS], ids=["two arms", "three arms"])
def plan(tmp_path, request) -> TrialPlan:
    schema = request.param
    people = small_cohort(schema, 400)
    train, validation = sealed(people, "train"), sealed(small_cohort(schema, 100, seed=1), "validation")
    ledger = Ledger.for_cohort(sealed(people), tmp_path / "ledger.db")
    return TrialPlan(schema, Freely("first", ledger, train, validation), 0.75, 5.0, 1e-5, (1, 2), "opacus", None)


@pytest.fixture(params=KINDS)
def trial(plan, request) -> Trial:
    return Trial("only", {"candidate": request.param, "rho": 0.5}, plan)


def test_it_is_charged_one_measurement_however_long_it_trains(trial):
    assert trial.planned_epochs == (2 if trial.config["candidate"] == "measured" else 1)
    for epoch in range(1, trial.planned_epochs + 1):
        trial.train_to(epoch)
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
    assert schema == plan.schema
    for each in drawn[1:]:
        assert np.array_equal(each.values, drawn[0].values) and np.array_equal(each.labels, drawn[0].labels)


def test_participants_are_those_of_the_trial_as_far_as_measured(trial):
    trial.train_to(1)
    schema = trial.plan.schema
    real, made = small_cohort(schema, 400), trial.generator().generate(4000, torch.Generator().manual_seed(1))
    for label, arm in enumerate(schema.label.classes):
        means = [each.values[each.labels == label].mean(axis=0) for each in (real, made)]
        allowed = 4 / arm.share  # mmHg, of 24 between two arms: fewer participants, more noise
        assert np.abs(means[1] - means[0])[0].max() < allowed
        assert np.abs(means[1] - means[0])[1].max() < 1  # mg, of 3 between two arms
    assert len(set(made.ids)) == 4000


def test_a_candidate_takes_its_own_hyperparameters_of_a_configuration_that_names_none():
    """Not those that it has in common with the one that is meant where none is named."""
    setting = Setting(SCHEMA, 1.0, "packed", torch.device("cpu"))
    assert MeasuredNetwork.of({"batch_size": 64, "width": 8}, setting)._settings.batch_size == 64


def test_networks_draw_the_same_people_as_far_as_they_agree():
    """So that an ensemble of them is without the error of drawing, as a release of one is."""
    real = small_cohort(SCHEMA, 400)
    measured = Measurements.costing(SCHEMA, 1.0, rho=5.0).release(real.values, real.labels)
    drawn = []
    for latent_size in (4, 16):  # what is drawn for it comes last
        network = MeasuredNetwork.of({"latent_size": latent_size}, Setting(SCHEMA, 1.0, "packed", torch.device("cpu")))
        network.take(measured)  # and adds nothing yet to the linear map
        drawn.append(network.generator().generate(2000, torch.Generator().manual_seed(3)))
    assert np.array_equal(drawn[0].labels, drawn[1].labels)
    apart = np.abs(drawn[0].values - drawn[1].values)
    assert np.mean(apart > 1e-2) < 1e-3  # but for numbers that lie half way between two whole ones
    assert apart.max() < 1 + 1e-2


def test_a_network_that_goes_on_from_a_checkpoint_is_the_one_that_never_stopped(plan, tmp_path):
    seeded = replace(plan, seed=3)
    config = {"candidate": "measured", "rho": 0.5, "width": 16, "batch_size": 64}
    halted = Trial("halted", config, seeded)
    halted.train_to(1)
    halted.save(tmp_path)
    again = Trial("again", config, seeded)
    again.load(tmp_path)
    for trial in (halted, again):
        trial.train_to(2)
    first, second = (each.generator().generate(50, torch.Generator().manual_seed(1)) for each in (halted, again))
    assert np.array_equal(first.values, second.values)


def test_nothing_is_drawn_before_something_was_measured(trial):
    if trial.config["candidate"] != "moments":
        with pytest.raises(RuntimeError, match="nothing was measured yet"):
            trial.generator().generate(5, torch.Generator())


def bimodal(participants: int, seed: int = 0) -> Participants:
    """Pressure that has two peaks, one of them rarer in the treated arm, and a dose that goes with the peak."""
    cohort = small_cohort(SCHEMA, participants, seed)
    rng = np.random.default_rng(seed)
    high = rng.random((participants, 3)) < np.where(cohort.labels, 0.2, 0.6)[:, None]
    pressure = np.where(high, 170, 115) + rng.normal(0, 6, high.shape)
    dose = np.where(high, 7, 3) + rng.normal(0, 1, high.shape)
    values = np.stack([np.rint(pressure).clip(80, 200), dose.clip(0, 10)], axis=1)
    return replace(cohort, values=values.astype(np.float32))


def test_a_network_learns_what_a_gaussian_cannot_say():
    """How many of each arm are in the upper peak: the copula takes the same shape for both."""
    real = bimodal(4000)
    bought = Measurements.costing(SCHEMA, 1.0, rho=50.0).release(real.values, real.labels)
    torch.manual_seed(0)
    network = MeasuredNetwork.of({"width": 64}, Setting(SCHEMA, 1.0, "packed", torch.device("cpu")))
    network.take(bought)
    network.fit(400, torch.Generator().manual_seed(0))
    drawn = [each.generate(4000, torch.Generator().manual_seed(0)) for each in
             (CopulaGenerator(bought, SCHEMA), network.generator())]  # fmt: skip
    wrong = [np.abs(peaks(each) - peaks(real)).mean() for each in drawn]
    assert wrong[1] < 0.7 * wrong[0]


def test_latent_vectors_of_a_release_have_no_error_of_drawing():
    """Mean 0 and covariance 1 of their own, each moved by little; too few of them stay as they are."""
    drawn = torch.randn(500, 12, generator=torch.Generator().manual_seed(0))
    found = standardised(drawn)
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(12), rtol=0, atol=1e-5)
    torch.testing.assert_close(found.T @ found / 500, torch.eye(12), rtol=0, atol=1e-4)
    assert (found - drawn).abs().mean() < 0.2
    assert torch.equal(standardised(drawn[:30]), drawn[:30])


def test_a_stratified_draw_has_the_quantiles_of_many_and_keeps_ranks():
    """Normal draws that correlate: distribution functions are right to a tenth of the error of drawing so few."""
    root = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    few, many = (torch.randn(n, 2, generator=torch.Generator().manual_seed(n)) @ root.T for n in (200, 100_000))
    found = stratified(few, many)
    assert torch.equal(found.argsort(dim=0), few.argsort(dim=0))
    expected = torch.special.ndtri((torch.arange(200) + 0.5) / 200)
    away, drawn_away = ((each.sort(dim=0).values - expected[:, None]).abs().mean() for each in (found, few))
    assert away < 0.1 * drawn_away


def test_evenly_spread_draws_are_distributed_as_three_times_as_many_at_random():
    """Sums of them are normal, of which the distribution function is known."""
    network = MeasuredNetwork.of({}, Setting(SCHEMA, 1.0, "packed", torch.device("cpu")))
    real = small_cohort(SCHEMA, 400)
    network.take(Measurements.costing(SCHEMA, 1.0, rho=5.0).release(real.values, real.labels))
    drawing, randomness = network._network, torch.Generator().manual_seed(1)
    drawn = [drawing.even_latent(2000, randomness)[0], drawing.latent(3 * 2048, randomness)[0]]
    assert drawn[0].shape == (2048, drawn[1].shape[-1])
    weights = torch.nn.functional.normalize(torch.randn(6, 100, generator=randomness), dim=0)
    away = []
    for each in drawn:
        sums = (each[:, :6] @ weights).sort(dim=0).values  # (r, 100)
        levels = (torch.arange(len(sums)) + 0.5) / len(sums)
        away.append((torch.special.ndtr(sums) - levels[:, None]).abs().mean())
    assert away[0] < away[1]


def test_two_releases_of_one_generator_have_the_same_means():
    """By class they differ by less than half of what drawing so many people at random would make them differ by."""
    real = small_cohort(SCHEMA, 2000)
    torch.manual_seed(0)
    network = MeasuredNetwork.of({"width": 8}, Setting(SCHEMA, 1.0, "packed", torch.device("cpu")))
    network.take(Measurements.costing(SCHEMA, 1.0, rho=5.0).release(real.values, real.labels))
    drawn = [network.generator().generate(2000, torch.Generator().manual_seed(seed)) for seed in (1, 2)]
    for arm in (0, 1):
        first, second = (each.values[each.labels == arm].reshape(-1, 6) for each in drawn)
        error = np.sqrt(first.var(axis=0) / len(first) + second.var(axis=0) / len(second))
        assert (np.abs(first.mean(axis=0) - second.mean(axis=0)) / error).mean() < 0.4  # 0.8 at random


def peaks(people: Participants) -> np.ndarray:
    """Share of each arm in the upper peak at each visit, (2, 3)."""
    return np.stack([(people.values[people.labels == arm, 0] > 140).mean(axis=0) for arm in (0, 1)])
