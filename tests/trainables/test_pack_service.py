"""Packs as trials see them through Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import ray
import torch

from cohorts import Schema
from privacy import DPSGD, BudgetExhausted
from privacy.accounting.budget import Budget
from privacy.ledger.actor import serve_ledger
from privacy.ledger.ledger import Ledger
from privacy.mechanisms.auc import NoisyScores, ScoreFloors
from privacy.policies.in_the_open import InTheOpen
from tests.conftest import SMALL_SCHEMA, sealed, small_cohort
from trainables.service import packs
from trainables.service.answers import PackLost
from trainables.service.driver import served, trials_of
from trainables.service.packs import PackKeeper
from trainables.trial import Trial, TrialPlan

SCHEMA = Schema.model_validate(SMALL_SCHEMA)
SETTINGS = {"sampling_rate": 0.1, "width": 16, "latent_size": 4, "noise_multiplier": 2.0}


@pytest.fixture(scope="module")
def cluster(shared_ray):
    with shared_ray.connected():
        yield


@pytest.fixture(scope="module")
def ledger(cluster, tmp_path_factory):
    """One for all tests, with enough for each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DPGAN_TUNE_DATA", str(tmp_path_factory.mktemp("home")))
        ledger = Ledger.for_cohort(sealed(small_cohort(SCHEMA, 400)))
        ledger.declare("first", Budget(200.0, 1e-5), {"train": DPSGD(0.1, 2.0, 100).event})
        yield ledger


@pytest.fixture(scope="module")
def plan(ledger):
    books = serve_ledger(ledger)
    train = sealed(small_cohort(SCHEMA, 300), "train")
    validation = sealed(small_cohort(SCHEMA, 100, seed=1), "validation")
    yield TrialPlan(
        schema=SCHEMA,
        access=InTheOpen("first", books, train, validation, NoisyScores(ScoreFloors.two(40, 40), 2, 0.05)),
        train_share=0.75,
        epsilon=float("inf"),
        delta=1e-5,
        scored_epochs=(1, 2, 4),
        engine="packed",
        seed=None,
    )
    ray.kill(books._actor)


@pytest.fixture(scope="module")
def elsewhere(plan):
    """The same for trials that ask packs to train them."""
    return served(plan)


@pytest.fixture(scope="module")
def trials(plan):
    """Where trials that packs host are begun."""
    return trials_of(plan)


def pack_of(plan):
    return plan.packs._packs.pack(f"process {os.getpid()} of {ray.get_runtime_context().get_node_id()}")


def charged(ledger, split, *trials):
    return [each for _, each in ledger.books.release_charges() if each.split == split and each.trial in trials]


def test_trials_of_one_device_share_one_process_which_pays_for_each(elsewhere, ledger):
    trials = [Trial(f"trial {number}", SETTINGS, elsewhere) for number in range(4)]
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda trial: trial.train_to(2), trials))
    for trial in trials:
        assert len(charged(ledger, "train", trial.name)) == 1
    assert all(trial.epoch == 2 and trial.receipt for trial in trials)
    assert all(trial.candidate.engine.state_dict()["steps"] == 20 for trial in trials)
    weights = [trial.candidate.engine.generator().state_dict()["layers.0.weight"] for trial in trials]
    assert not torch.equal(weights[0], weights[1])
    pack = pack_of(elsewhere)
    assert ray.get(pack.__ray_call__.remote(lambda server: os.getpid())) != os.getpid()


def test_a_seeded_trial_is_the_same_in_a_pack_and_alone(elsewhere):
    alone = Trial("alone", SETTINGS, replace(elsewhere, packs=None, seed=5))
    packed = Trial("packed", SETTINGS, replace(elsewhere, seed=5))
    for trial in (alone, packed):
        trial.train_to(2)
    ours, theirs = (trial.candidate.engine.generator().state_dict() for trial in (packed, alone))
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-4)


def test_a_stretch_that_does_not_fit_in_the_budget_is_not_trained(elsewhere, ledger):
    trial = Trial("greedy", {**SETTINGS, "noise_multiplier": 0.1}, elsewhere)
    with pytest.raises(BudgetExhausted, match="train epochs 1 to 4"):
        trial.train_to(4)
    assert trial.epoch == 0 and not charged(ledger, "train", "greedy")


def test_a_pack_that_dies_comes_back_and_what_it_was_doing_is_paid_for_again(elsewhere, ledger):
    trial = Trial("guest", SETTINGS, elsewhere)
    trial.train_to(1)
    ray.get(pack_of(elsewhere).__ray_call__.remote(dies_in_training))
    with pytest.raises(PackLost):
        trial.train_to(2)
    assert trial.epoch == 1
    assert len(charged(ledger, "train", "guest")) == 2  # the one that was lost had been paid for
    trial.train_to(2)
    assert len(charged(ledger, "train", "guest")) == 3


def test_a_hosted_trial_is_trained_scored_and_paid_for_by_other_processes(trials, plan, ledger):
    running = trials.begin("hosted", SETTINGS)
    reports = [running.step() for _ in plan.scored_epochs]
    assert [report["epoch"] for report in reports] == [1, 2, 4]
    assert [report["done"] for report in reports] == [False, False, True]
    assert all(report["ledger"] and 0 <= report["score"] <= 1 for report in reports)
    assert len(charged(ledger, "train", "hosted")) == len(charged(ledger, "validation", "hosted")) == 3
    running.end()


def test_a_hosted_trial_goes_on_from_its_checkpoint_when_its_pack_died(trials, ledger, tmp_path):
    running = trials.begin("unlucky", SETTINGS)
    running.step()
    running.save(tmp_path)
    ray.get(running.pack.__ray_call__.remote(dies_in_training))
    with pytest.raises(PackLost):
        running.step()
    running.end()
    paid = len(charged(ledger, "train", "unlucky"))
    again = trials.begin("unlucky", SETTINGS)
    again.load(tmp_path)
    assert again.step()["epoch"] == 2
    assert len(charged(ledger, "train", "unlucky")) == paid + 1  # the segment is redone, so it is paid for again
    again.end()


def test_a_pack_whose_gpu_failed_makes_room_for_another(trials, tmp_path):
    def break_gpu(server):
        def train(*segment):
            raise torch.AcceleratorError("an illegal memory access was encountered")

        server._host._loop.train = train

    running = trials.begin("on a broken GPU", SETTINGS)
    running.step()
    running.save(tmp_path)
    ray.get(running.pack.__ray_call__.remote(break_gpu))
    with pytest.raises(PackLost):
        running.step()
    running.end()
    again = trials.begin("on a broken GPU", SETTINGS)
    assert again.pack == running.pack  # another process under the same name
    again.load(tmp_path)
    assert again.step()["epoch"] == 2
    again.end()


def test_a_trial_whose_scorer_died_fails_and_the_next_one_is_scored(trials):
    first = trials.begin("first", SETTINGS)
    first.step()
    ray.get(first.pack.__ray_call__.remote(whose_scorers_die))
    with pytest.raises(PackLost):
        first.step()
    first.end()
    second = trials.begin("second", SETTINGS)
    assert second.pack == first.pack  # so it is scored where the first one was not
    assert 0 <= second.step()["score"] <= 1
    second.end()


def test_trials_are_spread_over_the_packs_of_a_machine_and_keep_their_seats(monkeypatch):
    monkeypatch.setattr(packs, "_resources", lambda node: {"CPU": 2.0})
    keeper = PackKeeper()
    keeper._pack_of = lambda device, plan: device
    node = "of two cores"
    first, second, third = (keeper.pack(seat, node, None, [None]) for seat in "abc")
    assert first != second
    assert keeper.pack("b", node, None, [None]) == second
    keeper.leave("b")
    assert keeper.pack("d", node, None, [None]) == second != third
    assert keeper.pack("e", node, "1", [None]) == (node, "1", 0)


def test_a_trial_that_ends_in_one_process_goes_on_in_another(trials):
    """Tune moves a trial to a process it has at hand while it still ends it where it began."""
    first, second = (trials.begin("moved", SETTINGS) for _ in range(2))
    assert second.step()["epoch"] == 1
    first.end()
    assert second.step()["epoch"] == 2
    second.end()


def test_trials_go_on_after_the_keeper_of_the_packs_died(trials, tmp_path):
    running = trials.begin("orphan", SETTINGS)
    running.step()
    running.save(tmp_path)
    ray.get(trials.packs.keeper.__ray_call__.remote(dies_when_asked_for_a_seat))
    with pytest.raises(PackLost):
        trials.begin("another", SETTINGS)
    again = trials.begin("orphan", SETTINGS)
    again.load(tmp_path)
    assert again.step()["epoch"] == 2


# What makes a process die at the very request that a test makes: one that is killed from outside may be back before it.


def dies_in_training(server):
    def train(*segment):
        os._exit(1)

    server._host._loop.train = train


def whose_scorers_die(server):
    scorers = server._host._plan.scorers
    scorer = scorers._idle.get()
    ray.get(scorer.__ray_call__.remote(dies_in_scoring))
    scorers._idle.put(scorer)


def dies_in_scoring(scorer):
    class Plan:
        def score(self, scoring):
            os._exit(1)

    scorer._plan = Plan()


def dies_when_asked_for_a_seat(keeper):
    class Seats:
        def __contains__(self, seat):
            os._exit(1)

    keeper._seats = Seats()


def test_the_process_of_a_packed_trial_imports_nothing_heavy():
    heavy = {"torch", "sklearn", "opacus", "opendp", "dp_accounting", "optuna"}
    assert not heavy & imported_by("trainables.service.trials, trainables.service.packs")


def test_processes_without_networks_do_not_import_pytorch():
    assert "torch" not in imported_by("trainables.service.scorers, privacy.ledger.actor")


def imported_by(modules: str) -> set[str]:
    """What a fresh Python has imported once it has these."""
    program = f"import sys, {modules}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(ran.stdout.split())
