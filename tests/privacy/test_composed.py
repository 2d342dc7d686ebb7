"""Under ``composed`` no sequence of requests, each chosen after seeing earlier results, gets past the budget."""

from pathlib import Path

import numpy as np
import pytest
from dp_accounting.rdp import compute_epsilon
from hypothesis import given, settings
from hypothesis import strategies as st

from cohorts import Participants
from privacy import DPSGD, BudgetExhausted
from privacy.accounting.budget import Budget
from privacy.accounting.events import composed
from privacy.accounting.rdp import rdp_at
from privacy.ledger.ledger import Ledger
from privacy.mechanisms.auc import NoisyScores, ScoreFloors
from privacy.policies.in_the_open import InTheOpen
from tests.privacy.ledgers import EPOCH, everybody, ledger_of, private_cohort

BUDGET = Budget(epsilon=2.0, delta=1e-5)


class Coin:
    """A judge that ranks by chance."""

    classifiers = ("logistic_regression", "random_forest")

    def rankings(self, participants: Participants) -> list[np.ndarray]:
        return [np.random.default_rng(seed).random(len(participants)) for seed in (0, 1)]


REQUESTS = st.lists(
    st.one_of(
        st.tuples(st.just("train"), st.floats(0.01, 0.5), st.floats(0.5, 20), st.integers(1, 200)),
        st.tuples(st.just("score"), st.floats(0.01, 0.5), st.none(), st.none()),
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=25)
@given(requests=REQUESTS)
def test_no_sequence_of_requests_gets_past_the_declared_budget(requests, tmp_path_factory):
    ledger = ledger_of(private_cohort(), tmp_path_factory.mktemp("filter") / "ledger.db")
    declared = ledger.declare("first", BUDGET, {"train": EPOCH})
    read: dict[str, list] = {"train": [], "validation": []}
    for kind, *how in requests:
        try:
            if kind == "train":
                mechanism = DPSGD(*how)
                reading = access(ledger, any_scores(0.1)).training("t", mechanism, "train epochs 1 to 1")
                assert reading.mechanism is mechanism  # what is handed on is what was paid
                read["train"].append(mechanism.event)
            else:
                mechanism = any_scores(how[0])
                access(ledger, mechanism).scores("t", 1, Coin())
                read["validation"].append(mechanism.event)
        except BudgetExhausted:
            pass
    for split, events in read.items():
        order = declared.orders[split]
        spent = rdp_at(composed(events), order)
        assert compute_epsilon([order], [spent], BUDGET.delta)[0] <= BUDGET.epsilon
    ledger.verify()
    ledger.close()


def access(ledger: Ledger, mechanism: NoisyScores) -> InTheOpen:
    return InTheOpen("first", ledger, everybody("train"), everybody("validation"), mechanism)


def any_scores(noise_sd: float) -> NoisyScores:
    return NoisyScores(ScoreFloors.two(20, 20), 2, noise_sd)


def test_a_refused_request_opens_nobody_and_charges_nothing(tmp_path: Path):
    ledger = ledger_of(private_cohort(), tmp_path / "ledger.db")
    ledger.declare("first", BUDGET, {"train": EPOCH})
    before = ledger.receipt
    with pytest.raises(BudgetExhausted):
        access(ledger, any_scores(0.1)).training("t", DPSGD(0.5, 0.5, 1000), "train epochs 1 to 9")
    assert ledger.receipt == before


def test_scores_that_leave_carry_the_noise_that_was_charged(tmp_path: Path):
    ledger = ledger_of(private_cohort(), tmp_path / "ledger.db")
    policy = access(ledger, any_scores(0.05))
    scores = [policy.scores("t", 1, Coin())[0]["auc_random_forest"] for _ in range(200)]
    assert np.std(scores) == pytest.approx(0.05, rel=0.25)
    charged = [charge.event for _, charge in ledger.books.release_charges()]
    assert charged == [policy.mechanism.event] * 200
