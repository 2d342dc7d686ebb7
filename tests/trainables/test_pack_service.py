"""Packs as trials see them through Ray."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import ray
import torch

from privacy import BudgetExhausted, TrainingCharge
from privacy.budget import Budget
from privacy.composed import Composed
from privacy.ledger import Ledger
from privacy.ledger_actor import serve_ledger
from privacy.scores import NoisyScores, ScoreFloors
from tests.conftest import sealed, small_cohort
from trainables.candidate import Candidate, TrialPlan
from trainables.pack_host import served
from trainables.pack_service import PackLost, pack_of_this_process

SETTINGS = {"sampling_rate": 0.1, "width": 16, "latent_size": 4, "noise_multiplier": 2.0}


@pytest.fixture(scope="module")
def cluster():
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.fixture
def ledger(cluster, schema, tmp_path, monkeypatch):
    monkeypatch.setenv("DPGAN_TUNE_DATA", str(tmp_path / "home"))
    ledger = Ledger.for_cohort(sealed(small_cohort(schema, 400)))
    ledger.declare("first", Budget(20.0, 1e-5), {"train": TrainingCharge(0.1, 2.0, 100).event})
    return ledger


@pytest.fixture
def plan(ledger, schema):
    books = serve_ledger(ledger)
    yield served(
        TrialPlan(
            train=sealed(small_cohort(schema, 300)),
            validation=sealed(small_cohort(schema, 100, seed=1)),
            train_share=0.75,
            epsilon=float("inf"),
            delta=1e-5,
            scored_epochs=(1, 2, 4),
            engine="packed",
            policy=Composed("first", books, NoisyScores(ScoreFloors(40, 40), 2, 0.05)),
            seed=None,
        )
    )
    ray.kill(books._actor)


def pack_of(plan):
    return pack_of_this_process(plan.packs._keeper)


def trained(ledger):
    return [charge for _, charge in ledger.books.release_charges() if charge.split == "train"]


def test_trials_of_one_device_share_one_process_which_pays_for_each(plan, ledger):
    candidates = [Candidate(f"trial {number}", SETTINGS, plan) for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda candidate: candidate.train_to(2), candidates))
    assert sorted(charge.trial for charge in trained(ledger)) == [f"trial {number}" for number in range(4)]
    assert all(candidate.epoch == 2 and candidate.witness for candidate in candidates)
    assert all(candidate.engine.state_dict()["steps"] == 20 for candidate in candidates)
    weights = [candidate.engine.generator().state_dict()["layers.0.weight"] for candidate in candidates]
    assert not torch.equal(weights[0], weights[1])
    pack = pack_of(plan)
    assert ray.get(pack.__ray_call__.remote(lambda server: os.getpid())) != os.getpid()


def test_a_seeded_trial_is_the_same_in_a_pack_and_alone(plan):
    alone = Candidate("alone", SETTINGS, replace(plan, packs=None, seed=5))
    packed = Candidate("packed", SETTINGS, replace(plan, seed=5))
    for candidate in (alone, packed):
        candidate.train_to(2)
    ours, theirs = (candidate.engine.generator().state_dict() for candidate in (packed, alone))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-4)


def test_a_stretch_that_does_not_fit_in_the_budget_is_not_trained(plan, ledger):
    candidate = Candidate("greedy", {**SETTINGS, "noise_multiplier": 0.3}, plan)
    with pytest.raises(BudgetExhausted, match="train epochs 1 to 4"):
        candidate.train_to(4)
    assert candidate.epoch == 0 and not trained(ledger)


def test_a_pack_that_dies_comes_back_and_what_it_was_doing_is_paid_for_again(plan, ledger):
    candidate = Candidate("unlucky", SETTINGS, plan)
    candidate.train_to(1)
    pack_of(plan).__ray_call__.remote(lambda server: os._exit(1))
    while True:  # the process lives on for a moment
        try:
            candidate.train_to(candidate.epoch + 1)
        except PackLost:
            break
    charged, reached = len(trained(ledger)), candidate.epoch
    candidate.train_to(reached + 1)
    assert len(trained(ledger)) == charged + 1
    assert charged in (reached, reached + 1)  # the one in flight may have been paid for
