"""A secret number of runs: its law, its price, and one run that stands for all."""

import itertools
import math

import numpy as np
import pytest
from dp_accounting import GaussianDpEvent, NeighboringRelation, ZCDpEvent, dp_event
from dp_accounting.rdp import RdpAccountant, compute_epsilon, rdp_privacy_accountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import geom, logser, nbinom

from privacy.accounting.events import event_fields, event_from_fields
from privacy.accounting.private_selection import LawOfRuns, cheapest_law, dominated, dominated_noise
from privacy.accounting.rdp import ORDERS, epsilon_by_rdp, rdp_at, rdp_curve
from privacy.mechanisms.dpsgd import DPSGD

MANY = 3000


def first(law: LawOfRuns) -> np.ndarray:
    return np.array(list(itertools.islice(law.probabilities(), MANY)))


@pytest.mark.parametrize("mean", [2, 8, 32])
def test_the_law_is_scipys(mean):
    numbers = np.arange(1, MANY + 1)
    assert first(LawOfRuns(mean=mean, shape=1)) == pytest.approx(geom.pmf(numbers, 1 / mean), abs=1e-8)
    logarithmic = LawOfRuns(mean=mean, shape=0)
    assert first(logarithmic) == pytest.approx(logser.pmf(numbers, 1 - logarithmic._gamma), abs=1e-8)
    between = LawOfRuns(mean=mean, shape=0.5)
    negative = nbinom(0.5, between._gamma)
    assert first(between) == pytest.approx(negative.pmf(numbers) / negative.sf(0), abs=1e-8)


@pytest.mark.parametrize("shape", [0, 0.5, 1])
@pytest.mark.parametrize("mean", [1, 1.5, 4, 32])
def test_it_is_a_law_of_numbers_from_1_with_its_mean(shape, mean):
    probabilities = first(LawOfRuns(mean=mean, shape=shape))
    assert probabilities.sum() == pytest.approx(1, abs=1e-6)
    assert probabilities @ np.arange(1, MANY + 1) == pytest.approx(mean, rel=1e-4)


def test_draws_follow_the_law():
    law = LawOfRuns(mean=4, shape=1)
    drawn = np.array([law.draw() for _ in range(4000)])
    assert drawn.min() >= 1
    expected = first(law)[:8]
    observed = np.array([(drawn == number).mean() for number in range(1, 9)])
    assert np.abs(observed - expected).max() < 5 * math.sqrt(0.25 / 4000)  # five standard deviations


def test_quantiles_pass_their_probability():
    law = LawOfRuns(mean=32, shape=0)
    summed = np.cumsum(first(law))
    for probability in (0.1, 0.5, 0.9, 0.99):
        number = law.quantile(probability)
        assert summed[number - 1] >= probability > (summed[number - 2] if number > 1 else 0)


@pytest.mark.parametrize(("shape", "epsilon"), [(0, 3.73), (1, 4.57), (math.inf, 9.18)])
def test_a_run_of_epsilon_2_costs_what_is_known(shape, epsilon):
    """One Gaussian release of epsilon 2 at delta 1e-5, the best of 32 on average."""
    low, high = 0.5, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if epsilon_by_rdp(GaussianDpEvent(middle), 1e-5) <= 2 else (middle, high)
    event = dp_event.RepeatAndSelectDpEvent(GaussianDpEvent(high), 32, shape)
    assert epsilon_by_rdp(event, 1e-5) == pytest.approx(epsilon, abs=0.35)


def test_the_geometric_price_is_the_papers_formula():
    """Papernot & Steinke, Theorem 2 for shape 1: eps(l) + 2 eps(l') (1 - 1/l') + 2 ln(m)/l' + ln(m)/(l - 1)."""
    event, mean = ZCDpEvent(0.02), 16
    ours = rdp_curve(LawOfRuns(mean=mean, shape=1).event(event))
    orders, inner = np.array(ORDERS), rdp_curve(event)
    constant = 2 * np.min((1 - 1 / orders) * inner + math.log(mean) / orders)
    by_hand = inner + constant + math.log(mean) / (orders - 1)
    monotone = np.minimum.accumulate(by_hand[::-1])[::-1]
    assert ours == pytest.approx(monotone, rel=1e-6)


@pytest.mark.parametrize("shape", [0, 0.5, 1, 3])
def test_the_ledgers_figures_are_dp_accountings(shape):
    event = dp_event.RepeatAndSelectDpEvent(DPSGD(0.01, 1.5, 500).event, 8.0, float(shape))
    again = event_from_fields(event_fields(event))
    accountant = RdpAccountant(neighboring_relation=NeighboringRelation.ADD_OR_REMOVE_ONE).compose(event)
    assert epsilon_by_rdp(again, 1e-5) == accountant.get_epsilon(1e-5)
    order = 8.0
    alone = compute_epsilon([order], [rdp_at(again, order)], 1e-5)[0]
    assert alone >= accountant.get_epsilon(1e-5) - 1e-12
    direct = rdp_privacy_accountant._compute_rdp_repeat_and_select(ORDERS, rdp_curve(event.event), 8.0, float(shape))
    assert rdp_curve(again) == pytest.approx(np.maximum(direct, 0))


def test_the_cheapest_law_is_cheapest():
    event = DPSGD(0.01, 1.5, 500).event
    chosen = cheapest_law(16, lambda law: epsilon_by_rdp(law.event(event), 1e-5))
    for shape in (0, 0.5, 1):
        other = LawOfRuns(mean=16, shape=shape)
        assert epsilon_by_rdp(chosen.event(event), 1e-5) <= epsilon_by_rdp(other.event(event), 1e-5)


@settings(max_examples=8)
@given(rate=st.floats(0.002, 0.2), noise=st.floats(0.8, 6.0), other=st.floats(0.002, 0.2), epochs=st.integers(1, 20))
def test_a_configuration_never_costs_more_than_the_run_that_stands_for_all(rate, noise, other, epochs):
    run = DPSGD(rate, noise, epochs * round(1 / rate))
    steps = epochs * round(1 / other)
    own = dominated_noise(run, other, steps)
    event = DPSGD(other, own, steps).event
    assert dominated(event, run.event)
    law = LawOfRuns(mean=8, shape=0)
    ours, theirs = (epsilon_by_rdp(law.event(each), 1e-5) for each in (event, run.event))
    assert ours <= theirs * (1 + 1e-9)
