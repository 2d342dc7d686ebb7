import math
from dataclasses import replace

import pytest
import torch
from ray import tune

from cohorts import Cohort
from privacy import TrainingCharge, epsilon
from tests.conftest import small_cohort
from trainables.generation import load_generator
from trainables.trial import DPGANTrial, TrialPlan

CONFIG = {"sampling_rate": 0.05, "width": 16, "latent_size": 4, "noise_multiplier": 1.5}
REPORTED = {
    "epoch",
    "planned_epochs",
    "score",
    "epsilon",
    "auc_logistic_regression",
    "auc_random_forest",
    "accuracy_logistic_regression",
    "accuracy_random_forest",
    "spearman",
    "ks",
}


@pytest.fixture
def plan(cohort: Cohort) -> TrialPlan:
    return TrialPlan(
        train=cohort,
        validation=small_cohort(cohort.schema, 100, seed=1),
        train_share=0.75,
        epsilon=5.0,
        delta=1e-5,
        scored_epochs=(1, 2, 4),
        engine="opacus",
        seed=11,
    )


def trial(plan: TrialPlan, **changes: object) -> DPGANTrial:
    return tune.with_parameters(DPGANTrial, plan=plan)(config={**CONFIG, **changes})


def numbers(result: dict) -> dict:
    return {key: result[key] for key in REPORTED}


@pytest.fixture(autouse=True)
def local_parameters(monkeypatch):
    """Hand the plan over directly: these tests need no cluster."""

    def with_parameters(trainable, plan):
        class Bound(trainable):
            def setup(self, config):
                super().setup(config, plan=plan)

        return Bound

    monkeypatch.setattr(tune, "with_parameters", with_parameters)


def test_a_trial_reports_at_the_scored_epochs_and_ends_at_the_last(plan):
    running = trial(plan)
    results = [running.train() for _ in plan.scored_epochs]
    assert [result["epoch"] for result in results] == [1, 2, 4]
    assert [result["done"] for result in results] == [False, False, True]
    assert all(result.keys() >= REPORTED for result in results)
    assert all(0 <= result["score"] <= 1 for result in results)


def test_the_reported_epsilon_is_that_of_the_steps_taken(plan):
    result = trial(plan).train()
    assert result["epsilon"] == pytest.approx(epsilon([TrainingCharge(0.05, 1.5, 20)], 1e-5))


def test_a_trial_ends_where_its_budget_does(plan):
    running = trial(replace(plan, epsilon=3.0), noise_multiplier=1.0)
    result = running.train()
    while not result["done"]:
        result = running.train()
    assert 1 <= result["planned_epochs"] < 4
    assert result["epoch"] == result["planned_epochs"]
    assert result["epsilon"] <= 3.0


def test_a_trial_that_cannot_afford_one_epoch_reads_nobody(plan):
    result = trial(replace(plan, epsilon=0.1), noise_multiplier=0.5).train()
    assert (result["epoch"], result["done"], result["epsilon"], result["score"]) == (0, True, 0.0, 0.5)
    assert "auc_random_forest" not in result


def test_a_seeded_trial_resumed_from_its_checkpoint_repeats_itself(plan, tmp_path):
    whole = trial(plan)
    straight = [numbers(whole.train()) for _ in range(3)]
    interrupted = trial(plan)
    interrupted.train()
    interrupted.save_checkpoint(str(tmp_path))
    resumed = trial(plan)
    resumed.load_checkpoint(str(tmp_path))
    assert [numbers(resumed.train()) for _ in range(2)] == straight[1:]


def test_a_reused_process_gives_what_a_fresh_one_gives(plan):
    fresh = numbers(trial(plan, width=8).train())
    reused = trial(plan)
    reused.train()
    assert reused.reset_config({**CONFIG, "width": 8})
    assert numbers(reused.train()) == fresh


def test_without_a_seed_no_two_runs_are_alike(plan):
    unseeded = replace(plan, seed=None)
    assert numbers(trial(unseeded).train()) != numbers(trial(unseeded).train())


def test_training_without_noise_has_no_epsilon(plan):
    assert math.isinf(trial(plan, noise_multiplier=0.0).train()["epsilon"])


def test_fidelity_is_reported_for_public_cohorts_only(plan):
    schema = plan.train.schema.model_copy(update={"public": False})
    private = replace(plan, train=small_cohort(schema, 200), validation=small_cohort(schema, 100, seed=1), seed=None)
    result = trial(private).train()
    assert "spearman" not in result
    assert "ks" not in result


def test_a_checkpoint_holds_a_generator_that_makes_valid_participants(plan, tmp_path):
    running = trial(plan)
    running.train()
    running.save_checkpoint(str(tmp_path))
    synthetic = load_generator(tmp_path).generate(50, torch.Generator().manual_seed(1))
    assert len(synthetic) == 50
    assert synthetic.schema == plan.train.schema
    pressure, dose = synthetic.values[:, 0], synthetic.values[:, 1]
    assert pressure.min() >= 80
    assert pressure.max() <= 200
    assert (pressure == pressure.round()).all()
    assert dose.min() >= 0
    assert dose.max() <= 10


def test_a_checkpoint_holds_no_participant_and_no_seed(plan, tmp_path):
    running = trial(replace(plan, seed=None))
    running.train()
    running.save_checkpoint(str(tmp_path))
    state = torch.load(tmp_path / "trial.pt", weights_only=True)
    assert set(state) == {"epoch", "engine"}
    assert set(state["engine"]) == {
        "steps",
        "generator",
        "average",
        "discriminator",
        "generator_optimizer",
        "discriminator_optimizer",
    }
