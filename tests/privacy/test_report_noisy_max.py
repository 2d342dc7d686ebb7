import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from privacy.selection_noise import NoisyMax


def choices(statistics: list[float], scale: float, draws: int = 6000) -> np.ndarray:
    """How often each candidate is chosen, as shares."""
    mechanism = NoisyMax(len(statistics), 0.0, 1.0, 0.1, scale)
    chosen = [mechanism.release(np.array(statistics)) for _ in range(draws)]
    return np.bincount(chosen, minlength=len(statistics)) / draws


def test_candidates_are_chosen_with_the_probabilities_of_the_exponential_mechanism():
    statistics, scale = [0.2, 0.5, 0.4, 0.9], 0.3
    expected = np.exp(np.array(statistics) / scale)
    expected /= expected.sum()
    assert choices(statistics, scale) == pytest.approx(expected, abs=6 * math.sqrt(0.25 / 6000))


@given(
    statistics=st.lists(st.floats(0, 1), min_size=2, max_size=6),
    moves=st.lists(st.floats(-1, 1), min_size=6, max_size=6),
    scale=st.floats(0.02, 2),
    order=st.floats(1.01, 50),
)
def test_neighbours_probabilities_differ_by_no_more_than_the_charge(statistics, moves, scale, order):
    """With the probabilities that the test above finds in the choices made."""
    sensitivity = 0.1
    before = np.array(statistics) / scale
    after = before + sensitivity * np.array(moves[: len(statistics)]) / scale
    log_p, log_q = before - np.logaddexp.reduce(before), after - np.logaddexp.reduce(after)
    divergence = np.logaddexp.reduce(order * log_p + (1 - order) * log_q) / (order - 1)
    assert divergence <= order * NoisyMax(len(statistics), 0.0, 1.0, sensitivity, scale).event.rho + 1e-9


def test_the_charge_is_a_squared_ratio_of_sensitivity_and_scale():
    assert NoisyMax(5, 0.0, 1.0, sensitivity=0.1, scale=0.2).event.rho == pytest.approx(0.1**2 / (2 * 0.2**2))


@given(rho=st.floats(1e-6, 100), candidates=st.integers(1, 50))
def test_a_choice_bought_for_a_price_never_costs_more_whatever_the_number_of_candidates(rho, candidates):
    mechanism = NoisyMax.costing(rho, candidates=candidates, lower=0, upper=1, sensitivity=0.05)
    assert mechanism.event.rho <= rho
    assert mechanism.event.rho == pytest.approx(rho, rel=1e-9)


def test_much_budget_finds_the_best_and_a_single_candidate_always_wins():
    generous = NoisyMax.costing(1e6, candidates=3, lower=0, upper=1, sensitivity=0.01)
    assert [generous.release(np.array([0.1, 0.9, 0.5])) for _ in range(20)] == [1] * 20
    assert NoisyMax(1, 0.0, 1.0, 0.1, 0.1).release(np.array([0.3])) == 0


def test_values_beyond_the_range_count_as_its_limits():
    shares = np.bincount([NoisyMax(2, 0.0, 1.0, 0.1, 0.1).release(np.array([1.0, 1e9])) for _ in range(2000)])
    assert shares / 2000 == pytest.approx([0.5, 0.5], abs=0.07)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_statistic_that_is_no_number_is_refused(wrong):
    with pytest.raises(ValueError, match="NaN or infinite"):
        NoisyMax(2, 0.0, 1.0, 0.1, 0.1).release(np.array([0.5, wrong]))


@pytest.mark.parametrize("statistics", [np.zeros(2), np.zeros(4), np.zeros((3, 1)), np.array([])])
def test_the_wrong_number_of_statistics_is_refused(statistics):
    with pytest.raises(ValueError, match="3 statistics were planned"):
        NoisyMax(3, 0.0, 1.0, 0.1, 0.1).release(statistics)


@pytest.mark.parametrize(
    "fields", [(0, 0, 1, 0.1, 0.1), (2, 1, 0, 0.1, 0.1), (2, 0, 1, 0, 0.1), (2, 0, 1, 0.1, math.inf)]
)
def test_a_choice_that_promises_nothing_cannot_be_planned(fields):
    with pytest.raises(ValueError):
        NoisyMax(*fields)
