"""Whichever candidate draws participants, and whatever it has learned, they keep the schema's constraints."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from analysis.ensemble import ensemble
from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.measurements import Measured, Measurements
from privacy.mechanisms.moments import NoisyMoments
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.candidate import Generator, Setting, candidate_named
from trainables.measured.candidate import MeasuredNetwork
from trainables.measured.copula import CopulaGenerator
from trainables.measured.moments import MomentsGenerator

FREE = Schema.model_validate(SMALL_SCHEMA)
BOUND = FREE.model_copy(update={"constraints": ("pressure strictly falls", "dose rises", "pressure[week 8] <= 140")})
REAL = small_cohort(BOUND, 300)


@pytest.fixture(scope="module")
def measured() -> Measured:
    return Measurements.costing(BOUND, 1.0, rho=0.1).release(REAL.values, REAL.labels)


def generator(candidate: str, measured: Measured, schema: Schema) -> Generator:
    """One that has learned very little."""
    torch.manual_seed(0)
    setting = Setting(schema, 1.0, "packed", torch.device("cpu"))
    if candidate == "moments":
        products = NoisyMoments.costing(schema, 1.0, rho=0.1).release(Encoding(FREE).encode(REAL.values), REAL.labels)
        return MomentsGenerator([each.moments for each in products], schema)
    if candidate == "copula":
        return CopulaGenerator(measured, schema)
    if candidate == "measured":
        network = MeasuredNetwork.of({"width": 8}, setting)
        network.take(measured)
        return network.generator()
    return candidate_named("gan").of({"noise_multiplier": 1.0, "sampling_rate": 0.1, "width": 16}, setting).generator()


def draw(each: Generator) -> Participants:
    return each.generate(500, torch.Generator().manual_seed(3))


def violations(people: Participants) -> np.ndarray:
    """Who breaks a constraint, bool (n,)."""
    pressure, dose = people.values[:, 0], people.values[:, 1]
    broken: np.ndarray = (np.diff(pressure, axis=1) >= 0).any(axis=1) | (np.diff(dose, axis=1) < 0).any(axis=1)
    return broken | (pressure[:, 2] > 140)


@pytest.mark.parametrize("candidate", ["measured", "copula", "moments", "gan"])
def test_nobody_who_is_drawn_breaks_a_constraint(measured, candidate):
    first, again = draw(generator(candidate, measured, BOUND)), draw(generator(candidate, measured, BOUND))
    assert not violations(first).any()
    if candidate != "moments":  # which measures anew
        np.testing.assert_array_equal(first.values, again.values)
        free = draw(generator(candidate, measured, FREE))
        assert violations(free).any()
        np.testing.assert_array_equal(first.labels, free.labels)  # classes are drawn as ever
        np.testing.assert_array_equal(first.values, BOUND.constrained().kept(free.values))


def test_an_ensemble_of_them_is_made_of_their_rows(measured):
    drawn = {name: draw(generator(name, measured, BOUND)) for name in ("measured", "copula")}
    together = ensemble(list(drawn.values()), BOUND, torch.Generator().manual_seed(1))
    assert not violations(together).any()
    rows = np.concatenate([drawn["measured"].values[:250], drawn["copula"].values[250:]])
    assert sorted(map(bytes, together.values)) == sorted(map(bytes, rows))
