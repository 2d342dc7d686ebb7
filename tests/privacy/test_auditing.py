"""Estimators of the audit against figures that are known."""

import importlib
import math
import os

import numpy as np
import pytest
from dp_accounting import get_epsilon_gaussian
from scipy.stats import norm

from analysis.auditing.bounds import (
    Hits,
    attack_auc,
    epsilon_by_events,
    gaussian_epsilon,
    gaussian_shift,
    noise_scale,
    one_run_epsilon,
    one_run_guesses,
    one_run_p_value,
)
from privacy.accounting.dpsgd import epsilon
from privacy.mechanisms.dpsgd import DPSGD


def hits_of(shift: float, threshold: float, observations: int, rate: float = 1.0) -> Hits:
    """What is expected of a sampled Gaussian."""
    missed = norm.sf(threshold)
    hit = (1 - rate) * missed + rate * norm.sf(threshold - shift)
    return Hits(round(hit * observations), observations, round(missed * observations), observations)


@pytest.mark.parametrize(("shift", "rate"), [(0.5, 1.0), (1.0, 1.0), (1.0, 0.1)])
def test_many_observations_show_nearly_the_true_shift_and_never_more(shift, rate):
    found = gaussian_shift(hits_of(shift, 1.5, 5_000_000, rate), rate)
    assert 0.95 * shift < found <= shift


def test_few_observations_show_less():
    few, many = (gaussian_shift(hits_of(1.0, 1.0, count)) for count in (100, 10_000))
    assert few < many < 1


def test_hits_by_chance_show_nothing():
    assert gaussian_shift(Hits(50, 1000, 50, 1000)) == 0
    assert gaussian_epsilon(0.0, 0.1, 100, 1e-5) == 0


def test_epsilon_of_a_shift_is_a_little_below_the_accountants():
    stated = epsilon([DPSGD(0.05, 1.2, 100)], 1e-5)
    found = gaussian_epsilon(1 / 1.2, 0.05, 100, 1e-5)
    assert 0.8 * stated < found <= stated


def test_one_gaussian_gives_its_known_epsilon():
    assert gaussian_epsilon(1.0, 1.0, 1, 1e-5) == pytest.approx(get_epsilon_gaussian(1.0, 1e-5), rel=1e-3)
    found = epsilon_by_events([hits_of(1.0, 1.0, 5_000_000), hits_of(1.0, 9.0, 5_000_000)], 1e-5)
    assert 0.97 * get_epsilon_gaussian(1.0, 1e-5) < found <= get_epsilon_gaussian(1.0, 1e-5)


def test_one_run_without_delta_is_a_binomial_bound():
    assert one_run_p_value(100, 100, 60, 0.0, 0.0) == pytest.approx(0.0284439668)  # P(Binomial(100, 1/2) >= 60)
    assert one_run_epsilon(1000, 1000, 500, 0.0) == 0


def test_one_run_is_not_fooled_by_an_exactly_epsilon_private_mechanism():
    rng, claimed, canaries = np.random.default_rng(1), 1.0, 400
    right = rng.binomial(canaries, math.exp(claimed) / (1 + math.exp(claimed)), 400)  # randomised response
    refuted = np.mean([one_run_epsilon(canaries, canaries, int(each), 1e-5) > claimed for each in right])
    assert refuted <= 0.1  # 0.05 is promised; 400 draws


@pytest.mark.slow  # make test-all installs jax-privacy, make test does without
@pytest.mark.parametrize(("guesses", "right"), [(100, 80), (400, 400), (1000, 560), (50, 20)])
@pytest.mark.parametrize("delta", [0.0, 1e-5, 1e-3])
def test_one_run_agrees_with_jax_privacy(guesses, right, delta):
    if os.environ.get("REQUIRE_AUDIT") != "yes":  # make test-all says it, so that nothing there is skipped in silence
        pytest.importorskip("jax_privacy", reason="pip install 'dpgan-tune[audit]' to compare")
    theirs = importlib.import_module("jax_privacy.auditing")
    others = 1000 - guesses  # canaries with too little evidence for a guess
    put_in = np.repeat([1.0, 0.0], [right, others // 2])
    left_out = np.repeat([1.0, 0.0], [guesses - right, others - others // 2])
    auditor = theirs.CanaryScoreAuditor(put_in, left_out)
    expected = auditor.epsilon_one_run(0.05, delta or 1e-300, threshold_strategy=theirs.Explicit(0.5))  # takes no 0
    assert one_run_epsilon(1000, guesses, right, delta) == pytest.approx(expected, abs=1e-4)


def test_guesses_take_both_ends():
    included = np.array([False, False, True, True, False, True])
    assert one_run_guesses(np.arange(6.0), included, 2) == 2
    assert one_run_guesses(-np.arange(6.0), included, 2) == 0


def test_noise_of_another_scale_fails_either_way():
    draws = np.random.default_rng(2).normal(0, 1.5, 20_000)
    assert noise_scale(draws, 1.5).as_stated
    assert not noise_scale(draws, 1.6).as_stated
    assert not noise_scale(draws, 1.4).as_stated


def test_an_attack_by_chance_has_an_interval_around_one_half():
    rng = np.random.default_rng(3)
    chance = attack_auc(rng.normal(size=400), rng.normal(size=300))
    assert chance.low < 0.5 < chance.high
    told = attack_auc(rng.normal(1, 1, 400), rng.normal(size=300))
    assert told.low > 0.6
    assert told.low < norm.cdf(1 / math.sqrt(2)) < told.high
