"""The paid-for table: intervals that hold for the trial's population, at the noise that was bought."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest

from analysis.quality.bought import BinValues, bought_cells
from analysis.quality.estimates import Estimate, as_frame, estimates
from cohorts import Encoding, Participants, Schema
from privacy.mechanisms import histograms
from privacy.mechanisms.histograms import Bins, NoisyHistograms
from privacy.mechanisms.measurements import Measured
from privacy.mechanisms.simplex import onto_simplex
from tests.cohorts.lossy_trial import LOSSY_SCHEMA, lossy_cohort
from tests.conftest import SMALL_SCHEMA

COHORTS = 200
SCHEMA = Schema.model_validate(SMALL_SCHEMA)
LOSSY = Schema.model_validate({**LOSSY_SCHEMA, "nominal_size": 400})


def measured(people: Participants, mechanism: NoisyHistograms) -> Measured:
    return Measured(mechanism.release(Encoding(people.schema).positions(people.values), people.labels), ())


@pytest.fixture
def quickly(monkeypatch):
    """In place of smoothing, which takes long: tails that are empty but for noise are left empty, as it leaves them.

    The table needs smooth shares for sampling errors alone.
    """

    def emptied(noisy: np.ndarray, noise_sd: np.ndarray, _: object) -> np.ndarray:
        return np.array(
            [onto_simplex(np.where(each > 2 * sd, each, 0.0)) for each, sd in zip(noisy, noise_sd, strict=True)]
        )

    monkeypatch.setattr(histograms, "smooth_shares", emptied)


def true_value(line: Estimate, population: Participants) -> float:
    """What a line of the table is about, in a population so large that it is known."""
    schema = population.schema
    row = [each.name for each in schema.all_measures].index(line.measure)
    visit = schema.visit_names.index(line.visit) if line.visit else 0
    names = [each.name for each in schema.label.classes]

    def of(group: str) -> float:
        values = population.values[population.labels == names.index(group), row, visit].astype(float)
        known = values[~np.isnan(values)]
        if line.quantity == "missing":
            return float(np.isnan(values).mean())
        if line.quantity == "variance":
            return float(known.var())
        if line.category:
            categories = [str(each) for each in schema.all_measures[row].categories]
            return float((known == categories.index(line.category)).mean())
        return float(known.mean())

    later, _, first = line.group.partition(" less ")
    return of(later) - of(first) if first else of(later)


@pytest.mark.parametrize(
    ("rho", "participants"),
    [
        pytest.param(0.08, 400, id="mostly noise, as at epsilon 3"),
        pytest.param(100.0, 1000, id="mostly sampling", marks=pytest.mark.slow),
    ],
)
def test_intervals_hold_in_95_of_100_trials(quickly, rho, participants):
    mechanism, population = NoisyHistograms.costing(LOSSY, 1.0, rho), lossy_cohort(200_000, LOSSY, 999)
    truths: dict[tuple, float] = {}
    covered: dict[str, list[bool]] = defaultdict(list)
    for seed in range(COHORTS):
        for line in estimates(measured(lossy_cohort(participants, LOSSY, seed), mechanism), LOSSY):
            key = (line.measure, line.visit, line.quantity, line.category, line.group)
            if key not in truths:
                truths[key] = true_value(line, population)
            covered[line.quantity].append(line.lower <= truths[key] <= line.upper)
    for quantity, each in covered.items():
        if len(each) > 2 * COHORTS:
            allowed = max(0.02, 4 * math.sqrt(0.95 * 0.05 / len(each)))  # of few lines chance alone may take more
            assert abs(np.mean(each) - 0.95) <= allowed, quantity


def test_without_noise_the_table_is_the_trials_own(cohort, quickly):
    exact = replace(NoisyHistograms.costing(SCHEMA, 1.0, 1.0), noise_sd=1e-6)
    for line in estimates(measured(cohort, exact), SCHEMA):
        truth = true_value(line, cohort)
        assert abs(line.estimate - truth) <= line.binning_at_most + 1e-6
        if line.quantity == "mean":  # the standard error that every textbook has
            own = cohort.values[cohort.labels == [c.name for c in SCHEMA.label.classes].index(line.group)]
            row, visit = [m.name for m in SCHEMA.measures].index(line.measure), SCHEMA.visit_names.index(line.visit)
            assert line.sampling_sd == pytest.approx(own[:, row, visit].std() / np.sqrt(len(own)), rel=0.03)


def test_an_interval_stays_within_what_is_possible(cohort, quickly):
    hardly = NoisyHistograms.costing(SCHEMA, 1.0, 1e-4)
    for line in estimates(measured(cohort, hardly), SCHEMA):
        if line.quantity == "mean":
            limits = next((each.lower, each.upper) for each in SCHEMA.measures if each.name == line.measure)
            assert limits[0] <= line.lower <= line.estimate <= line.upper <= limits[1]
        assert line.quantity != "variance"  # of which so much noise says nothing


def test_all_cells_together_say_the_size_of_a_class_better_than_one(cohort, quickly):
    noisy = measured(cohort, NoisyHistograms.costing(SCHEMA, 1.0, 0.08)).histograms[0]
    cells = bought_cells(noisy, [Bins.of(cell) for cell in Encoding(SCHEMA).cells])
    assert {round(float(each.counts.sum()), 6) for each in cells} == {round(noisy.participants, 6)}


def test_a_value_counts_as_the_mean_of_those_its_bin_may_hold():
    cell = Encoding(SCHEMA).cells[0]  # pressure: 121 whole numbers in 32 bins
    values = BinValues.of(cell, Bins.of(cell))
    assert values.least[0] == 80 and values.greatest[-1] == 200
    assert (values.least[1:] - values.greatest[:-1] == 1).all()
    assert (values.mean == (values.least + values.greatest) / 2).all() and values.furthest(np.full(32, 1 / 32)) <= 2


def test_the_table_names_what_it_estimates(cohort, quickly):
    frame = as_frame(estimates(measured(cohort, NoisyHistograms.costing(SCHEMA, 1.0, 1.0)), SCHEMA))
    assert len(frame[frame["quantity"] == "mean"]) == 2 * 3 * 2
    apart = frame[frame["quantity"] == "difference in means"]
    assert set(apart["group"]) == {"treated less control"} and len(apart) == 2 * 3


def test_nothing_is_said_of_values_that_perhaps_nobody_has(quickly):
    """Those whose events come early have no values at late visits: their mean was once said to be anything at all."""
    people = lossy_cohort(400, LOSSY, 1)
    people.values[people.labels == 1, 0, 2] = np.nan
    table = estimates(measured(people, NoisyHistograms.costing(LOSSY, 1.0, 0.2)), LOSSY)
    of_pressure = {
        (line.quantity, line.group) for line in table if (line.measure, line.visit) == ("pressure", "week 8")
    }
    names = [each.name for each in LOSSY.label.classes]
    assert {quantity for quantity, group in of_pressure if group == names[1]} == {"missing"}
    assert ("mean", names[0]) in of_pressure and not any("less" in group for _, group in of_pressure)
