"""What a release under a declared budget tells an ethics board."""

import json
from dataclasses import replace

import pytest

from cohorts import SplitShares
from privacy import LedgerError
from privacy.ledger.ledger import Ledger
from privacy.ledger.summary import summarise
from privacy.planning.allocation import DeclaredPlan, EpochAllocation
from privacy.planning.plan import StudyPlan
from privacy.planning.schedule import Schedule
from privacy.statements.declared_budget import DeclaredBudget
from tests.privacy.ledgers import BUDGET, epoch, ledger_with

PLAN = StudyPlan(
    policy="composed",
    epsilon=BUDGET.epsilon,
    delta=BUDGET.delta,
    shares=SplitShares(),
    paid=Schedule(trials=4, rungs=(1, 3), reduction_factor=3),
    sampling_rate=0.1,
)
SPENDING = DeclaredPlan(
    plan=PLAN, allocation=EpochAllocation(train_order=8, epoch=0.1, surrogate_rho=0, score_noise_sd=0.02)
)


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    """Four epochs of the study ``first``, and one of another."""
    ledger = ledger_with(4, tmp_path / "ledger.db")
    ledger.charge(epoch("another"))
    ledger.charge(epoch())
    return ledger


def statement(ledger: Ledger, declared_plan: DeclaredPlan = SPENDING, study: str = "first") -> DeclaredBudget:
    summary = summarise(ledger.books, ledger.cohort, ledger.public, study)
    return DeclaredBudget.of(summary, declared_plan, 2, 3, 1.234, nominal_size=400)


def test_the_first_sentence_states_the_declared_budget_and_that_it_covers_everything(ledger):
    first = statement(ledger).text().splitlines()[2]
    assert "Epsilon 3 (delta 1e-05) covers everything that read participants" in first


def test_the_page_says_all_that_a_board_asks(ledger):
    text = statement(ledger).text()
    for phrase in (
        "one participant", "adding or removing", "taken as public", "dp-accounting", "opendp", "`internal/`",
        "| train | segments of training | 5 |", "standard deviation 0.02", "before the first reading", "epsilon 1.23",
    ):  # fmt: skip
        assert phrase in text
    assert len(text.split()) < 650


def test_another_study_of_the_participants_is_counted_and_named(ledger):
    assert statement(ledger).other_studies == 1
    assert "1 other study of these participants, which the declared epsilon covers too" in statement(ledger).text()


def test_the_figures_are_the_ledgers_and_stay_within_what_was_declared(ledger):
    stated = statement(ledger)
    assert 0 < stated.spent["train"] <= stated.epsilon
    assert stated.receipt == str(ledger.receipt)


def test_the_json_says_the_same(ledger):
    stated = statement(ledger)
    fields = json.loads(json.dumps(stated.as_json(), allow_nan=False))
    assert fields["statement"] == stated.first_line
    assert (fields["epsilon"], fields["delta"], fields["accounted"]) == (3.0, 1e-5, True)
    assert fields["charges"] == [["train", "segments of training", 5]]


def test_a_secret_number_of_runs_is_not_told(ledger):
    stated = replace(statement(ledger), policy="selection", trials=None)
    assert "A secret number of runs" in stated.text()
    assert "how long the search took" in stated.text()
    assert stated.as_json()["trials"] is None


def test_nothing_is_stated_that_the_ledger_does_not_hold(ledger):
    more = PLAN.model_copy(update={"epsilon": 9.0})
    with pytest.raises(LedgerError, match="no such declaration"):
        statement(ledger, DeclaredPlan(plan=more, allocation=SPENDING.allocation))
    with pytest.raises(LedgerError, match="no such declaration"):
        statement(ledger, study="another")
