import math
import pickle

import dp_accounting
import numpy as np
import pytest
from dp_accounting import rdp
from hypothesis import given
from hypothesis import strategies as st
from opendp.mod import GLOBAL_FEATURES

from privacy.mechanisms.gaussian import GaussianNoise

pytestmark = pytest.mark.fresh_noise

THREE = GaussianNoise(size=3, lower=0.0, upper=1.0, sensitivity=0.5, scale=0.1)


def test_the_charge_is_that_of_the_gaussian_mechanism():
    assert THREE.event.rho == pytest.approx(0.5**2 / (2 * 0.1**2), rel=1e-9)
    charged, reference = rdp.RdpAccountant(), rdp.RdpAccountant()
    charged.compose(THREE.event)
    reference.compose(dp_accounting.GaussianDpEvent(0.1 / 0.5))
    assert charged.get_epsilon(1e-5) == pytest.approx(reference.get_epsilon(1e-5), rel=1e-6)


@given(rho=st.floats(1e-6, 100), sensitivity=st.floats(1e-3, 1e3))
def test_noise_bought_for_a_price_never_costs_more_and_hardly_less(rho, sensitivity):
    noise = GaussianNoise.costing(rho, size=2, lower=0, upper=1, sensitivity=sensitivity)
    assert noise.event.rho <= rho
    assert noise.event.rho == pytest.approx(rho, rel=1e-9)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused_and_not_disclosed(wrong):
    with pytest.raises(ValueError, match="NaN or infinite") as refusal:
        THREE.release(np.array([0.123, 0.456, wrong]))
    assert "0.123" not in str(refusal.value)


@pytest.mark.parametrize("values", [np.zeros(2), np.zeros(4), np.zeros((1, 3)), np.array(0.5), np.array([])])
def test_a_vector_of_the_wrong_length_is_refused(values):
    with pytest.raises(ValueError, match="3 statistics were planned"):
        THREE.release(values)


def test_values_beyond_the_range_count_as_its_limits():
    noise = GaussianNoise(size=2, lower=-1.0, upper=1.0, sensitivity=1e-9, scale=1e-3)
    assert noise.release(np.array([1e300, -1e300])) == pytest.approx([1, -1], abs=0.01)


@pytest.mark.parametrize(
    "change",
    [{"size": 0}, {"lower": 1.0}, {"upper": math.inf}, {"lower": math.nan}]
    + [{name: wrong} for name in ("sensitivity", "scale") for wrong in (0.0, -1.0, math.nan, math.inf)],
)
def test_a_mechanism_that_promises_nothing_cannot_be_made(change):
    fields = {"size": 3, "lower": 0.0, "upper": 1.0, "sensitivity": 0.5, "scale": 0.1}
    with pytest.raises(ValueError):
        GaussianNoise(**{**fields, **change})


def test_the_noise_has_mean_zero_and_the_stated_standard_deviation():
    draws = GaussianNoise(size=20_000, lower=0, upper=1, sensitivity=1, scale=0.3).release(np.full(20_000, 0.5))
    assert abs(draws.mean() - 0.5) < 6 * 0.3 / math.sqrt(20_000)
    assert draws.std() == pytest.approx(0.3, rel=6 / math.sqrt(2 * 20_000))
    assert np.mean(np.abs(draws - 0.5) < 0.3) == pytest.approx(0.6827, abs=0.02)


def test_no_seed_of_ours_reaches_the_noise():
    import random

    import torch

    def seeded() -> np.ndarray:
        random.seed(0), np.random.seed(0), torch.manual_seed(0)
        return THREE.release(np.full(3, 0.5))

    assert not np.array_equal(seeded(), seeded())


def test_of_opendps_optional_features_only_contrib_is_on():
    import privacy.mechanisms.gaussian  # noqa: F401

    assert set(GLOBAL_FEATURES) == {"contrib"}


def test_a_mechanism_travels_to_another_process():
    assert pickle.loads(pickle.dumps(THREE)) == THREE
