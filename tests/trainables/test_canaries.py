"""The audit of a run of DP-SGD sees most of the stated epsilon, and more than it where the run is broken."""

import numpy as np
import pytest
import torch
from opacus.optimizers import DPOptimizer

from analysis.auditing import gradient_canaries as canaries
from analysis.auditing.gradient_canaries import (
    CanaryPlan,
    OpacusInstrument,
    lower_bound,
    one_run_bound,
    run_canaries,
    scale_of_noise,
)
from privacy import DPSGD
from privacy.mechanisms.gradient_noise import hide_sum
from privacy.mechanisms.poisson_sampling import poisson_batch, poisson_batches
from trainables.gan import opacus_engine
from trainables.gan.opacus_engine import OpacusEngine
from trainables.gan.packed import batch_stream, steps
from trainables.gan.packed.clipping import add_clipped, squared_norms
from trainables.gan.packed.packed_trial import PackedTrial

PLAN = CanaryPlan()


ENGINES = sorted(canaries.ENGINES)


def broken(monkeypatch: pytest.MonkeyPatch, engine: type[OpacusEngine]) -> None:
    """Have the audit meet this engine instead."""
    monkeypatch.setitem(canaries.ENGINES, "opacus", (engine, OpacusInstrument))


class QuietPlan(CanaryPlan):
    """A run with less noise than could be accounted for."""

    @property
    def mechanism(self) -> DPSGD:
        mechanism = super().mechanism
        object.__setattr__(mechanism, "noise_multiplier", 1e-6)
        return mechanism


@pytest.fixture(scope="module", params=ENGINES)
def unbroken(request):
    return run_canaries(PLAN, request.param, seed=1)


def test_the_bound_of_unbroken_code_lies_between_half_of_the_stated_epsilon_and_all_of_it(unbroken):
    assert 0.5 * PLAN.stated_epsilon <= lower_bound(unbroken, PLAN) <= PLAN.stated_epsilon


def test_guesses_about_the_whole_run_refute_something_and_not_the_stated_epsilon(unbroken):
    assert 0.2 < one_run_bound(unbroken, PLAN) <= PLAN.stated_epsilon


def test_the_noise_of_unbroken_code_has_the_stated_scale(unbroken):
    assert scale_of_noise(unbroken, PLAN.hyperparameters).as_stated


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sampled_canary_shows_as_exactly_one_clip_norm_where_there_is_no_noise(engine):
    quiet = PLAN.hyperparameters.model_copy(update={"noise_multiplier": 0.01, "clip_norm": 0.3})
    seen = run_canaries(QuietPlan(quiet, steps=5, canaries=500), engine, seed=2)
    assert np.abs(seen.gradients[:, ~seen.included]).max() < 1e-4
    inside = seen.gradients[:, seen.included]
    assert ((np.abs(inside) < 1e-4) | (np.abs(inside - 1) < 1e-4)).all()
    assert 0.01 < (inside > 0.5).mean() < 0.1  # q is 0.05


@pytest.mark.slow
def test_halved_noise_is_caught(monkeypatch):
    monkeypatch.setattr(opacus_engine, "hide_sum", lambda total, sd, normals: hide_sum(total, sd / 2, normals))
    seen = run_canaries(PLAN, seed=3)
    assert lower_bound(seen, PLAN) > PLAN.stated_epsilon
    assert not scale_of_noise(seen, PLAN.hyperparameters).as_stated


@pytest.mark.slow
@pytest.mark.parametrize("layer", [0, 2, 4], ids=["first", "second", "last"])
def test_a_layer_whose_gradient_is_not_clipped_is_caught(monkeypatch, layer):
    clip = DPOptimizer.clip_and_accumulate

    def clip_all_but_one(optimizer: DPOptimizer) -> None:
        clip(optimizer)
        optimizer.params[layer].summed_grad = optimizer.params[layer].grad_sample.sum(dim=0)

    monkeypatch.setattr(DPOptimizer, "clip_and_accumulate", clip_all_but_one)
    assert lower_bound(run_canaries(PLAN, seed=4), PLAN) > PLAN.stated_epsilon


@pytest.mark.slow
def test_a_layer_that_is_left_out_of_the_norm_is_caught(monkeypatch):
    clip = DPOptimizer.clip_and_accumulate

    def forget_a_layer(optimizer: DPOptimizer) -> None:
        forgotten = optimizer.params[2]
        gradients = forgotten.grad_sample
        forgotten.grad_sample = torch.zeros_like(gradients)
        clip(optimizer)
        forgotten.summed_grad, forgotten.grad_sample = gradients.sum(dim=0), gradients

    monkeypatch.setattr(DPOptimizer, "clip_and_accumulate", forget_a_layer)
    assert lower_bound(run_canaries(PLAN, seed=5), PLAN) > PLAN.stated_epsilon


def test_normalising_by_the_true_batch_is_caught_by_the_scale_of_the_noise(monkeypatch):
    nominal_is_nearly_true = CanaryPlan(PLAN.hyperparameters, steps=80, canaries=4000, nominal_size=2200)

    class TrueBatch(OpacusEngine):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            optimizer = self._discriminator_optimizer
            scale = optimizer.scale_grad

            def scale_by_true_batch() -> None:
                generated = round(nominal_is_nearly_true.nominal_size * optimizer.mechanism.sampling_rate)
                optimizer.expected_batch_size = max(1, len(optimizer.params[0].grad_sample) - generated)
                scale()

            optimizer.scale_grad = scale_by_true_batch

    broken(monkeypatch, TrueBatch)
    seen = run_canaries(nominal_is_nearly_true, seed=6)
    assert not scale_of_noise(seen, PLAN.hyperparameters).as_stated


@pytest.mark.slow
def test_sampling_twice_as_often_as_charged_is_caught(monkeypatch):
    def twice(participants, rate, randomness):
        return poisson_batch(participants, 2 * rate, randomness)

    monkeypatch.setattr(opacus_engine, "poisson_batch", twice)
    assert lower_bound(run_canaries(PLAN, seed=7), PLAN) > PLAN.stated_epsilon


def test_halved_noise_in_a_pack_is_caught(monkeypatch):
    fair = PackedTrial.noise_sd.fget
    monkeypatch.setattr(PackedTrial, "noise_sd", property(lambda trial: fair(trial) / 2))
    seen = run_canaries(PLAN, "packed", seed=3)
    assert lower_bound(seen, PLAN) > PLAN.stated_epsilon
    assert not scale_of_noise(seen, PLAN.hyperparameters).as_stated


@pytest.mark.parametrize("layer", [0, 1], ids=["last", "middle"])
def test_a_layer_of_a_pack_whose_gradient_is_not_clipped_is_caught(monkeypatch, layer):
    def clip_all_but_one(total, records, factors):
        add_clipped(total, [record for record in records if record is not records[layer]], factors)
        unclipped = torch.full_like(factors, 1 / (PLAN.hyperparameters.sampling_rate * 3000))
        add_clipped(total, [records[layer]], unclipped)

    monkeypatch.setattr(steps, "add_clipped", clip_all_but_one)
    assert lower_bound(run_canaries(PLAN, "packed", seed=4), PLAN) > PLAN.stated_epsilon


def test_a_layer_of_a_pack_that_is_left_out_of_the_norm_is_caught(monkeypatch):
    monkeypatch.setattr(steps, "squared_norms", lambda records: squared_norms([records[0], *records[2:]]))
    assert lower_bound(run_canaries(PLAN, "packed", seed=5), PLAN) > PLAN.stated_epsilon


def test_a_pack_that_samples_twice_as_often_as_charged_is_caught(monkeypatch):
    def twice(participants, rate, count, randomness):
        return poisson_batches(participants, 2 * rate, count, randomness)

    monkeypatch.setattr(batch_stream, "poisson_batches", twice)
    assert lower_bound(run_canaries(PLAN, "packed", seed=7), PLAN) > PLAN.stated_epsilon


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_forty_unbroken_runs_give_at_most_two_false_alarms(engine):
    alarms = 0
    for seed in range(40):
        seen = run_canaries(PLAN, engine, seed=100 + seed)
        found = canaries.findings(seen, PLAN)
        alarms += not all(each.holds for each in found)
        assert lower_bound(seen, PLAN) >= 0.5 * PLAN.stated_epsilon
    assert alarms <= 2
