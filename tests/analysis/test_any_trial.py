"""Whatever a schema may say, its trial is measured, drawn, judged and written down, without a traceback."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analysis.dataset.dictionary import dictionary
from analysis.quality.by_copies import with_copies
from analysis.quality.estimates import estimates
from analysis.quality.gate import judge
from cohorts import Participants, Schema, write_copies
from privacy.mechanisms.measurements import Measured, Measurements
from privacy.mechanisms.misfit import misfit
from tests.cohorts.test_cohort_files import random_cohort, schemas
from trainables.candidate import Setting
from trainables.measured.candidate import MeasuredNetwork
from trainables.measured.copies import Copies

PEOPLE = 50


def released(schema: Schema, measured: Measured, seed: int) -> Participants:
    """What a network draws that was hardly fitted: figures of all kinds will stray."""
    torch.manual_seed(seed)
    network = MeasuredNetwork.of({"width": 16}, Setting(schema, 1.0, "packed", torch.device("cpu")))
    network.take(measured)
    network.fit(2, torch.Generator().manual_seed(seed))
    return network.generator().generate(PEOPLE, torch.Generator().manual_seed(seed))


def through_everything(schema: Schema, seed: int, rho: float) -> None:
    people = random_cohort(schema, [f"P{number}" for number in range(PEOPLE)], seed)
    measured = Measurements.costing(schema, 1.0, rho).release(people.values, people.labels)
    release = released(schema, measured, seed)
    drawn = Copies(measured, schema, np.random.default_rng(seed))
    copies = [drawn.draw(PEOPLE) for _ in range(2)]
    for each in (release, *copies, people):
        assert np.isfinite(misfit(measured, each)["misfit"])
        assert judge(measured, each).verdict in ("passed", "failed", "not judged")
    table = with_copies(estimates(measured, schema), copies)
    assert all(line.lower <= line.estimate <= line.upper for line in table)
    assert len(dictionary(schema))
    with TemporaryDirectory() as folder:
        assert write_copies(copies, Path(folder))


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(schema=schemas(), seed=st.integers(0, 2**20), rho=st.sampled_from([0.01, 0.2, 50.0]))
def test_any_trial_goes_through(schema, seed, rho):
    through_everything(schema, seed, rho)
