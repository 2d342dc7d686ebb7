import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from dp_accounting import NonPrivateDpEvent
from ray import tune

from cohorts import Participants
from privacy import DPSGD, BudgetExhausted, LedgerError, epsilon
from privacy.ledger.ledger import Ledger
from privacy.policies.unaccounted import Freely
from tests.conftest import sealed, small_cohort
from trainables.extensions import ExtensionError
from trainables.generators import load_generator
from trainables.progress import LocalTrials, Progress
from trainables.scoring import likenesses
from trainables.scoring.taken import is_taken
from trainables.service.trials import DPGANTrial
from trainables.trial import Trial, TrialPlan

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
def ledger(cohort: Participants, tmp_path: Path) -> Ledger:
    return Ledger.for_cohort(sealed(cohort), tmp_path / "ledger.db")


@pytest.fixture
def plan(cohort: Participants, ledger: Ledger) -> TrialPlan:
    validation = sealed(small_cohort(cohort.schema, 100, seed=1), "validation")
    return TrialPlan(
        schema=cohort.schema,
        access=Freely("first", ledger, sealed(cohort, "train"), validation),
        train_share=0.75,
        epsilon=5.0,
        delta=1e-5,
        scored_epochs=(1, 2, 4),
        engine="opacus",
        seed=11,
    )


def trial(plan: TrialPlan, **changes: object) -> DPGANTrial:
    return tune.with_parameters(DPGANTrial, trials=LocalTrials(plan))(config={**CONFIG, **changes})


def numbers(result: dict) -> dict:
    return {key: result[key] for key in REPORTED}


@pytest.fixture(autouse=True)
def local_parameters(monkeypatch):
    """Hand the plan over directly: these tests need no cluster."""

    def with_parameters(trainable, trials):
        class Bound(trainable):
            def setup(self, config):
                super().setup(config, trials=trials)

        return Bound

    monkeypatch.setattr(tune, "with_parameters", with_parameters)


def test_a_trial_reports_at_the_scored_epochs_and_ends_at_the_last(plan):
    running = trial(plan)
    results = [running.train() for _ in plan.scored_epochs]
    assert [result["epoch"] for result in results] == [1, 2, 4]
    assert [result["done"] for result in results] == [False, False, True]
    assert all(result.keys() >= REPORTED for result in results)
    assert all(is_taken(name) or name in likenesses() for result in results for name in result)
    assert all(0 <= result["score"] <= 1 for result in results)


def test_the_reported_epsilon_is_that_of_the_steps_taken(plan):
    result = trial(plan).train()
    assert result["epsilon"] == pytest.approx(epsilon([DPSGD(0.05, 1.5, 20)], 1e-5))


def test_a_trial_ends_where_its_budget_does(plan):
    running = trial(replace(plan, epsilon=3.0), noise_multiplier=1.0)
    result = running.train()
    while not result["done"]:
        result = running.train()
    assert 1 <= result["planned_epochs"] < 4
    assert result["epoch"] == result["planned_epochs"]
    assert result["epsilon"] <= 3.0


def test_a_trial_that_cannot_afford_one_epoch_reads_nobody(plan, ledger):
    result = trial(replace(plan, epsilon=0.1), noise_multiplier=0.5).train()
    assert (result["epoch"], result["done"], result["epsilon"], result["score"]) == (0, True, 0.0, 0.5)
    assert "auc_random_forest" not in result
    assert charges(ledger) == []


@pytest.mark.parametrize("candidate", ["gan", "measured", "copula", "moments"])
def test_a_trial_that_could_afford_nothing_is_kept_as_one_that_can_generate_nobody(plan, tmp_path, candidate):
    class Spent(Freely):
        def training(self, *_):
            raise BudgetExhausted("no more")

    spent = replace(plan, access=Spent(*vars(plan.access).values()))
    config = {**CONFIG, "candidate": candidate, "rho": 0.5}
    ended = Progress(Trial("only", config, spent))
    assert ended.step()["out_of_budget"]
    ended.save(tmp_path)
    assert [file.name for file in tmp_path.glob("*.pt")] == ["trial.pt"]
    again = Progress(Trial("only", config, spent))
    again.load(tmp_path)
    assert again.trial.epoch == 0


def test_a_machine_without_the_classifiers_of_the_study_reads_nobody(plan, ledger):
    planned = replace(plan, scored_by=("logistic_regression", "naive_bayes", "random_forest"))
    with pytest.raises(ExtensionError, match="install the package that adds naive_bayes"):
        trial(planned).train()
    assert not charges(ledger)


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


def charges(ledger: Ledger) -> list[tuple[str, str, object]]:
    """Split, purpose and event of everything charged."""
    return [(charge.split, charge.purpose, charge.event) for _, charge in ledger.books.release_charges()]


def test_every_stretch_of_training_and_every_score_is_charged(plan, ledger):
    running = trial(plan)
    running.train()
    running.train()
    assert charges(ledger) == [
        ("train", "train epochs 1 to 1", DPSGD(0.05, 1.5, 20).event),
        ("validation", "score epoch 1 without noise", NonPrivateDpEvent()),
        ("train", "train epochs 2 to 2", DPSGD(0.05, 1.5, 20).event),
        ("validation", "score epoch 2 without noise", NonPrivateDpEvent()),
    ]


def test_nobody_is_read_when_the_charge_cannot_be_written(plan):
    class Broken:
        def read(self, cohort, mechanism, purpose):
            raise LedgerError("the disk is full")

    running = trial(replace(plan, access=replace(plan.access, books=Broken())))
    before = [weights.clone() for weights in running._running.trial.candidate.engine._discriminator.parameters()]
    with pytest.raises(LedgerError, match="disk is full"):
        running.train()
    after = running._running.trial.candidate.engine._discriminator.parameters()
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_work_redone_after_a_crash_is_charged_again(plan, ledger, tmp_path):
    running = trial(plan)
    running.train()
    running.save_checkpoint(str(tmp_path))
    running.train()  # this epoch is lost
    resumed = trial(plan)
    resumed.load_checkpoint(str(tmp_path))
    resumed.train()
    assert [purpose for split, purpose, _ in charges(ledger) if split == "train"] == [
        "train epochs 1 to 1",
        "train epochs 2 to 2",
        "train epochs 2 to 2",
    ]


def test_training_without_noise_has_no_epsilon(plan):
    assert math.isinf(trial(plan, noise_multiplier=0.0).train()["epsilon"])


def test_fidelity_is_reported_for_public_cohorts_only(plan):
    schema = plan.schema.model_copy(update={"public": False})
    train = sealed(small_cohort(schema, 200), "train")
    validation = sealed(small_cohort(schema, 100, seed=1), "validation")
    private = replace(plan, schema=schema, access=replace(plan.access, train=train, validation=validation), seed=None)
    result = trial(private).train()
    assert "spearman" not in result
    assert "ks" not in result


def test_a_checkpoint_holds_a_generator_that_makes_valid_participants(plan, tmp_path):
    running = trial(plan)
    running.train()
    running.save_checkpoint(str(tmp_path))
    generator, trained_for = load_generator(tmp_path)
    synthetic = generator.generate(50, torch.Generator().manual_seed(1))
    assert len(synthetic) == 50
    assert synthetic.schema == trained_for == plan.schema
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
    assert set(state) == {"epoch", "scored_epoch", "last_score", "candidate", "receipt"}
    assert set(state["candidate"]) == {
        "steps",
        "generator",
        "average",
        "discriminator",
        "generator_optimizer",
        "discriminator_optimizer",
    }
