import math

import dp_accounting
import pytest
from dp_accounting import dp_event, rdp
from hypothesis import given, settings
from hypothesis import strategies as st

from cohorts import SPLITS
from privacy.accounting.budget import Budget, best_order
from privacy.accounting.calibration import room_at, room_in, smallest_noise_multiplier
from privacy.accounting.dpsgd import epsilon
from privacy.accounting.rdp import ORDERS, rdp_at
from privacy.errors import BudgetExhausted, LedgerError
from privacy.ledger.summary import summarise
from privacy.mechanisms.dpsgd import DPSGD
from tests.privacy.ledgers import BUDGET, EPOCH, SCORE, epoch, ledger_of, ledger_with, private_cohort

budgets = st.builds(Budget, st.floats(0.3, 12), st.floats(1e-8, 1e-3))
requests = st.one_of(
    st.builds(DPSGD, st.floats(0.001, 0.3), st.floats(0.6, 8), st.integers(1, 400)).map(lambda c: c.event),
    st.floats(0.5, 60).map(dp_event.GaussianDpEvent),
    st.floats(0.5, 60).map(dp_event.LaplaceDpEvent),
    st.floats(1e-4, 2).map(dp_event.ZCDpEvent),
    st.builds(
        dp_event.RepeatAndSelectDpEvent,
        st.floats(4, 60).map(dp_event.GaussianDpEvent),
        st.floats(1, 40),
        st.floats(0, 2),
    ),
    st.just(dp_event.NonPrivateDpEvent()),
)


pytestmark = pytest.mark.usefixtures("data_home")


def divergence(counted, order):
    """What dp_accounting makes of all events together, on its full grid, at one order."""
    accountant = rdp.RdpAccountant(ORDERS)
    accountant.compose(dp_accounting.ComposedDpEvent([dp_event.SelfComposedDpEvent(*each) for each in counted]))
    return float(accountant._rdp[ORDERS.index(order)])


@settings(max_examples=25)
@given(
    budget=budgets,
    planned=requests,
    sequence=st.lists(st.tuples(st.sampled_from(SPLITS), requests, st.integers(1, 60)), min_size=1, max_size=8),
)
def test_no_sequence_of_adaptive_requests_gets_past_the_budget(tmp_path_factory, budget, planned, sequence):
    ledger = ledger_of(private_cohort(), tmp_path_factory.mktemp("ledger") / "ledger.db")
    declared = ledger.declare("first", budget, {"train": planned})
    admitted = {split: [] for split in SPLITS}
    for split, event, insist in sequence:
        times = 0
        while times < insist:  # adaptive: ask again as long as it is granted, then go on to something else
            try:
                ledger.charge(epoch(split=split, event=event))
                times += 1
            except BudgetExhausted:
                over = [*admitted[split], (event, times + 1)]
                assert divergence(over, declared.orders[split]) > declared.allowances[split] * (1 - 1e-9)
                break
        if times:
            admitted[split].append((event, times))
    for split, order in declared.orders.items():
        spent = divergence(admitted[split], order)
        assert rdp.compute_epsilon([order], [spent], budget.delta)[0] <= budget.epsilon
        assert ledger.left("first")[split] == pytest.approx(declared.allowances[split] - spent, rel=1e-6, abs=1e-9)
    ledger.verify()
    ledger.close()


@settings(max_examples=200)
@given(budget=budgets, order=st.sampled_from(ORDERS))
def test_an_allowance_gives_its_epsilon_and_hardly_more_would_not(budget, order):
    allowed = budget.allowance(order)
    assert rdp.compute_epsilon([order], [allowed], budget.delta)[0] <= budget.epsilon
    assert rdp.compute_epsilon([order], [allowed * (1 + 1e-6) + 1e-12], budget.delta)[0] > budget.epsilon


@pytest.mark.parametrize(("given_epsilon", "delta"), [(0, 1e-5), (-1, 1e-5), (math.inf, 1e-5), (3, 0), (3, 1)])
def test_a_budget_that_means_nothing_is_refused(given_epsilon, delta):
    with pytest.raises(LedgerError, match="must"):
        Budget(given_epsilon, delta)


def test_the_order_is_the_one_at_which_the_plan_costs_least_epsilon():
    order = best_order(BUDGET, DPSGD(0.01, 1.0, 2300).event)
    accountant = rdp.RdpAccountant()
    accountant.compose(DPSGD(0.01, 1.0, 2300).event)
    spent, optimal = accountant.get_epsilon_and_optimal_order(BUDGET.delta)
    assert spent == pytest.approx(3.0, abs=0.1)  # the plan uses up the budget, so both orders mean the same
    assert order == pytest.approx(optimal, abs=0.5)


def test_a_declaration_comes_before_the_first_reading_and_stays():
    ledger = ledger_of(private_cohort())
    declared = ledger.declare("first", BUDGET, {"train": EPOCH}, policy="composed")
    count = ledger.receipt.count
    assert ledger.declare("first", BUDGET, {"train": SCORE}, policy="composed") == declared
    assert ledger.receipt.count == count
    with pytest.raises(LedgerError, match="cannot change"):
        ledger.declare("first", Budget(30.0, 1e-5), policy="composed")
    ledger.charge(epoch(study="undeclared"))
    with pytest.raises(LedgerError, match="before it declared"):
        ledger.declare("undeclared", BUDGET)


def test_a_refused_request_is_not_written_and_a_smaller_one_may_still_be():
    ledger = ledger_with(1)
    before = ledger.receipt
    with pytest.raises(BudgetExhausted, match=r"epsilon 1\.\d+ of the declared 3 is spent"):
        ledger.charge(epoch(event=dp_event.GaussianDpEvent(0.5)))
    assert ledger.receipt == before
    ledger.charge(epoch(event=dp_event.GaussianDpEvent(50.0)))


def test_earlier_studies_count_and_ten_of_epsilon_3_do_not_give_ten_statements_of_epsilon_3():
    ledger = ledger_with(0)
    granted = 0
    for study in ["first", *(f"study {number}" for number in range(2, 11))]:
        try:
            ledger.declare(study, BUDGET, {"train": EPOCH})
            while True:
                ledger.charge(epoch(study=study))
                granted += 1
        except (BudgetExhausted, LedgerError):
            continue
    charges = dp_event.SelfComposedDpEvent(EPOCH, granted)
    assert rdp.RdpAccountant().compose(charges).get_epsilon(BUDGET.delta) <= BUDGET.epsilon
    ledger.verify()


def test_a_declaration_without_room_is_refused_and_says_what_was_spent():
    ledger = ledger_with(0)
    ledger.charge(epoch(event=dp_event.GaussianDpEvent(1.6)))
    with pytest.raises(LedgerError, match=r"no room for epsilon 1 .*: epsilon 2\.\d+ of 3 by study first is already"):
        ledger.declare("second", Budget(1.0, 1e-5))
    ledger.declare("second", Budget(5.0, 1e-5))


def test_every_earlier_study_is_named_with_what_its_own_statement_says_of_it():
    ledger = ledger_with(0)
    ledger.charge(epoch(event=dp_event.GaussianDpEvent(1.6)))
    ledger.declare("second", Budget(6.0, 1e-5))
    ledger.charge(epoch(study="second", event=dp_event.GaussianDpEvent(1.6)))
    first, second = (summarise(ledger.books, "secret", False, study).spent["train"] for study in ("first", "second"))
    with pytest.raises(LedgerError) as refused:
        ledger.declare("third", Budget(2.0, 1e-5))
    said = f"epsilon {first:.4g} of 3 by study first, epsilon {second:.4g} of 6 by study second and those before it"
    assert said in str(refused.value)
    assert "is the total for each participant, and only if whoever approved the budget agrees." in str(refused.value)


def test_where_scores_were_read_without_noise_a_larger_epsilon_is_not_advised():
    ledger = ledger_with(0)
    ledger.charge(epoch(study="freely", split="validation", event=dp_event.NonPrivateDpEvent()))
    with pytest.raises(LedgerError, match=r"no finite epsilon, however large") as refused:
        ledger.declare("second", Budget(1e6, 1e-5))
    assert "larger epsilon, which" not in str(refused.value)


def test_a_later_study_keeps_the_order_that_was_chosen_before_anything_was_seen():
    ledger = ledger_with(1)
    first = ledger.books.filters["first"].declaration
    second = ledger.declare("second", Budget(8.0, 1e-5), {"train": dp_event.GaussianDpEvent(1.0)})
    assert second.orders["train"] == first.orders["train"]
    assert best_order(Budget(8.0, 1e-5), dp_event.GaussianDpEvent(1.0)) != first.orders["train"]


def test_a_study_in_parallel_counts_against_both_budgets():
    ledger = ledger_with(2)
    ledger.declare("second", Budget(4.0, 1e-5))
    before = ledger.left("first")["train"]
    ledger.charge(epoch(study="second"))
    after = ledger.left("first")
    assert before - after["train"] == pytest.approx(
        rdp_at(EPOCH, ledger.books.filters["first"].declaration.orders["train"])
    )
    ledger.charge(epoch(study="second", event=dp_event.GaussianDpEvent(1.4)))
    with pytest.raises(BudgetExhausted, match="participants were read by second, which counts"):
        ledger.charge(epoch())
    ledger.verify()  # each study is within its budget up to its own last reading


def test_what_costs_nothing_is_written_down_whatever_others_have_spent_since():
    """Once nobody could open a finished study's report again after another study of the cohort."""
    ledger = ledger_with(2)
    ledger.declare("second", Budget(40.0, 1e-5))
    ledger.charge(epoch(study="second", event=dp_event.GaussianDpEvent(0.4)))
    assert ledger.left("first")["train"] == 0
    ledger.read_internally(private_cohort(), "first", "report for the data steward")
    for split in SPLITS:  # its statement is of the split that it says most of
        with pytest.raises(BudgetExhausted):
            ledger.charge(epoch(split=split))
    ledger.verify()


def test_a_draft_says_what_a_declaration_would_leave_and_writes_nothing():
    ledger = ledger_with(3)
    before = ledger.receipt
    draft = ledger.draft(Budget(5.0, 1e-5), {"train": EPOCH})
    assert ledger.receipt == before
    ledger.declare("second", Budget(5.0, 1e-5), {"train": EPOCH})
    assert ledger.left("second") == {split: draft.left(split) for split in SPLITS}


@settings(max_examples=6)
@given(rate=st.floats(0.002, 0.2), steps=st.integers(10, 5000), share=st.floats(0.2, 1), budget=budgets)
def test_the_smallest_noise_fits_and_a_little_less_does_not(rate, steps, share, budget):
    room = room_in(budget, share)
    noise = smallest_noise_multiplier(rate, steps, room)
    assert room(DPSGD(rate, noise, steps).event) >= 0
    assert epsilon([DPSGD(rate, noise, steps)], budget.delta) <= budget.epsilon
    if noise > 0.1:
        assert room(DPSGD(rate, noise * 0.9998, steps).event) < 0


def test_noise_is_the_smallest_also_where_the_accountant_has_no_figure_for_more():
    """At this order it has none for noise from about 0.45 to 0.86, but it has for less, which is enough."""
    room = room_at(1.6, 7.8)
    assert room(DPSGD(0.1, 0.6, 10).event) == -math.inf
    assert smallest_noise_multiplier(0.1, 10, room) < 0.4


def test_shares_of_a_budget_together_fit_in_the_whole():
    order = best_order(BUDGET, DPSGD(0.02, 1.5, 1000).event)
    surrogate = DPSGD(1.0, smallest_noise_multiplier(1.0, 1, room_in(BUDGET, 0.2, order)), 1).event
    trials = [DPSGD(0.02, smallest_noise_multiplier(0.02, 4 * 500, room_in(BUDGET, 0.8, order)), 500).event] * 4
    ledger = ledger_of(private_cohort())
    ledger.declare("first", BUDGET, {"train": DPSGD(0.02, 1.5, 1000).event})
    ledger.charge([epoch(event=event) for event in (surrogate, *trials)])


def test_no_noise_is_enough_for_a_budget_that_earlier_studies_used_up():
    with pytest.raises(BudgetExhausted, match="No amount of noise"):
        smallest_noise_multiplier(0.1, 10, room_in(BUDGET, spent=dp_event.GaussianDpEvent(0.5)))
