"""Noise of a test follows from the test's name, and outside of tests from nothing."""

from __future__ import annotations

import secrets

import numpy as np
import pytest

from privacy.mechanisms.gaussian import GaussianNoise
from privacy.mechanisms.randomness import fresh_generator
from tests.repeatable_noise import repeatable_noise

pytestmark = pytest.mark.fresh_noise

NOISE = GaussianNoise(size=1000, lower=0.0, upper=1.0, sensitivity=1.0, scale=3.0)


def drawn() -> list[float]:
    """One number of each source, opendp's noise last."""
    torchs = float(fresh_generator().get_state().double().sum())
    return [float(secrets.randbits(32)), np.random.default_rng().random(), torchs, *NOISE.release(np.full(1000, 0.5))]


def test_noise_follows_from_the_name_within_and_from_nothing_outside():
    with repeatable_noise("one"):
        one = drawn()
    with repeatable_noise("one"):
        again = drawn()
    with repeatable_noise("other"):
        other = drawn()
    assert one == again
    assert not set(one) & set(other) and not set(drawn()) & set(drawn())
    assert np.std(one[3:]) == pytest.approx(3.0, rel=0.15)
