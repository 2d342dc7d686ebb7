import math
import random

import dp_accounting
import numpy as np
import pytest
from dp_accounting import rdp
from hypothesis import given, settings
from hypothesis import strategies as st
from opacus.accountants import PRVAccountant
from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent

from privacy import DPSGD, affordable_epochs, epsilon
from privacy.accounting.rdp import delta_by_rdp

DELTA = 1e-5


def test_the_papers_configuration_costs_what_todays_accountant_says():
    paper = DPSGD(sampling_rate=1 / 6000, noise_multiplier=1.0, steps=3_000_000)
    assert epsilon([paper], DELTA) == pytest.approx(1.597, abs=5e-4)


def test_a_third_accountant_lies_where_it_should_for_the_papers_configuration():
    """Opacus's numerical one, another method and other people's code, off by at most 0.05."""
    accountant = PRVAccountant()
    accountant.history = [(1.0, 1 / 6000, 3_000_000)]
    assert accountant.get_epsilon(DELTA, eps_error=0.05) == pytest.approx(1.516, abs=5e-4)


CHANCE = random.Random(20)
CONFIGURATIONS = [
    (10 ** CHANCE.uniform(-4, -1), CHANCE.uniform(0.6, 10), CHANCE.randint(1, 100_000)) for _ in range(20)
]


@pytest.mark.filterwarnings("ignore:Optimal order is the")
@pytest.mark.parametrize(("rate", "noise", "steps"), CONFIGURATIONS)
def test_opacus_and_dp_accounting_agree_on_the_same_orders(rate, noise, steps):
    """On whole orders; between them each cuts its series elsewhere, and they were seen to differ by up to 0.15 %."""
    orders = [float(order) for order in range(2, 65)]
    curve = np.array(compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=orders))
    theirs, _ = get_privacy_spent(orders=orders, rdp=curve, delta=DELTA)
    ours = rdp.RdpAccountant(orders)
    ours.compose(DPSGD(rate, noise, steps).event)
    np.testing.assert_allclose(ours._rdp, curve, rtol=1e-6)
    assert ours.get_epsilon(DELTA) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize("noise", [1, 2, 3])
def test_a_whole_noise_multiplier_costs_the_same_however_it_is_written(noise):
    written_as_int, written_as_float = DPSGD(0.01, noise, 1000), DPSGD(0.01, float(noise), 1000)
    assert epsilon([written_as_int], DELTA) == epsilon([written_as_float], DELTA) > 0


@pytest.mark.parametrize("noise", [1e-160, 1e-9, -1.0, math.nan, math.inf])
def test_noise_that_the_accountant_would_misjudge_is_refused(noise):
    with pytest.raises(ValueError, match="noise multiplier"):
        DPSGD(0.01, noise, 10)


@given(
    st.lists(
        st.builds(
            DPSGD,
            sampling_rate=st.floats(1e-4, 1),
            noise_multiplier=st.one_of(st.just(0.0), st.floats(0.1, 100)),
            steps=st.integers(0, 10**6),
        ),
        max_size=4,
    ),
    st.floats(1e-9, 0.5),
)
@settings(max_examples=50)
def test_epsilon_is_that_of_all_events_handed_to_the_accountant_whole(charges, delta):
    accountant = rdp.RdpAccountant()
    accountant.compose(dp_accounting.ComposedDpEvent([charge.event for charge in charges]))
    assert epsilon(charges, delta) == pytest.approx(accountant.get_epsilon(delta), rel=1e-12)


def test_nothing_done_costs_nothing_and_no_noise_costs_everything():
    assert epsilon([], DELTA) == 0
    assert epsilon([DPSGD(0.01, 1.0, 0)], DELTA) == 0
    assert math.isinf(epsilon([DPSGD(0.01, 0.0, 1)], DELTA))


def test_two_trials_cost_more_than_either():
    one, other = DPSGD(0.01, 1.1, 800), DPSGD(0.02, 1.5, 400)
    together = epsilon([one, other], DELTA)
    assert together > max(epsilon([one], DELTA), epsilon([other], DELTA))
    assert together == epsilon([other, one], DELTA)


@settings(max_examples=20)
@given(
    rate=st.floats(0.002, 0.1),
    noise=st.floats(0.7, 4),
    longest=st.integers(1, 60),
    budget=st.floats(0.3, 10),
)
def test_affordable_epochs_stay_within_the_budget_and_one_more_would_not(rate, noise, longest, budget):
    steps = max(1, round(1 / rate))
    epochs = affordable_epochs(rate, noise, steps, longest, budget, DELTA)
    assert 0 <= epochs <= longest
    assert epsilon([DPSGD(rate, noise, epochs * steps)], DELTA) <= budget
    if epochs < longest:
        assert epsilon([DPSGD(rate, noise, (epochs + 1) * steps)], DELTA) > budget


def test_delta_at_an_epsilon_is_the_one_that_the_epsilon_was_stated_at():
    paper = DPSGD(sampling_rate=1 / 6000, noise_multiplier=1.0, steps=3_000_000)
    assert delta_by_rdp(paper.event, epsilon([paper], DELTA)) == pytest.approx(DELTA, rel=1e-3)


def test_without_noise_delta_is_1_at_any_epsilon():
    assert delta_by_rdp(DPSGD(0.01, 0.0, 1).event, 100.0) == 1
