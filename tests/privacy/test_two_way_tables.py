"""Two-way tables: which are chosen, what one participant changes, and what comes out where products say nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.quality.gate import judge
from cohorts import Participants, Schema
from privacy.accounting.rdp import rdp_at
from privacy.mechanisms.measurements import Measured, Measurements
from privacy.mechanisms.misfit import misfit
from privacy.mechanisms.noisy_top import NoisyTop
from privacy.mechanisms.normal_scores import NormalScores
from privacy.mechanisms.two_way_tables import Gains, NoisyTables, Parts
from tests.conftest import SMALL_SCHEMA
from trainables.measured.copies import Copies
from trainables.measured.tables import Tables

COUNT = 3000
CANCER = Schema.model_validate(
    {
        **SMALL_SCHEMA,
        "name": "cancer",
        "nominal_size": COUNT,
        "visits": {"column": "visit", "codes": ["week 0"]},
        "measures": [
            {"name": "nodes", "kind": "integer", "lower": 0, "upper": 40, "column": "nodes"},
            {"name": "chemotherapy", "kind": "binary", "categories": [0, 1], "column": "chemo"},
            {"name": "age", "kind": "continuous", "decimals": 1, "lower": 18, "upper": 95, "column": "age"},
            {"name": "marker", "kind": "continuous", "lower": 0, "upper": 10, "column": "marker", "missing": "allowed"},
        ],
    }
)
NODES, CHEMOTHERAPY = 0, 1


def people(count: int = COUNT, seed: int = 0) -> Participants:
    """Chemotherapy for those with one to three positive nodes, as it once was; age and marker go with nothing."""
    rng = np.random.default_rng(seed)
    nodes = np.where(rng.random(count) < 0.5, 0, rng.geometric(0.2, count)).clip(0, 40)
    chemo = rng.random(count) < np.where((nodes > 0) & (nodes < 4), 0.6, 0.02)
    marker = np.where(rng.random(count) < 0.1, np.nan, rng.normal(5, 1.5, count).clip(0, 10))
    values = np.stack([nodes, chemo, rng.normal(55, 12, count).round(1).clip(18, 95), marker], axis=1)
    ids = np.array([f"P{number}" for number in range(count)])
    return Participants(CANCER, ids, rng.integers(0, 2, count), values[:, :, None].astype(np.float32))


def mechanism(rho: float = 0.25) -> Measurements:
    """With tables."""
    return Measurements.costing(CANCER, 1.0, rho)


def gains(among: Participants, measurements: Measurements, bought: Measured) -> Gains:
    """Of these people, after what was bought."""
    assert measurements.tables is not None
    return measurements.tables.gains(among.values, among.labels, bought.known(NormalScores(CANCER, bought.histograms)))


def given_chemotherapy(among: Participants) -> np.ndarray:
    """Share of those without a positive node, with one to three, and with more."""
    nodes, chemo = among.values[:, NODES, 0], among.values[:, CHEMOTHERAPY, 0]
    groups = (nodes == 0, (nodes > 0) & (nodes < 4), nodes >= 4)
    return np.array([chemo[each].mean() for each in groups])


@cache
def measured_quickly() -> tuple[Measurements, Measured]:
    """Few draws say what is known already."""
    measurements = mechanism()
    assert measurements.tables is not None
    measurements = replace(measurements, tables=replace(measurements.tables, draws=32))
    return measurements, measurements.release(people().values, people().labels)


@given(st.integers(0, COUNT - 1))
def test_no_participant_changes_a_gain_or_a_table_by_more_than_one(who):
    everybody, others = people(), people().take(np.delete(np.arange(COUNT), who))
    with_one, without = (gains(each, *measured_quickly()) for each in (everybody, others))
    assert np.abs(with_one.gained - without.gained).max() <= 1
    for pair in with_one.pairs:
        change = with_one.parts.table(with_one.counts, *pair) - without.parts.table(without.counts, *pair)
        assert np.abs(change).sum() == change.max() == 1


def test_what_is_charged_is_the_choice_and_the_counts():
    tables = NoisyTables.costing(CANCER, 1.0, rho=0.02)
    assert tables is not None
    for order in (1.5, 4.0, 32.0):
        choice = order * tables.chosen.count / (2 * tables.chosen.scale**2)
        counts = order * tables.chosen.count / (2 * tables.noise_sd**2)
        assert rdp_at(tables.event, order) == pytest.approx(choice + counts)
        assert 0.0199 * order < choice + counts <= 0.02 * order * (1 + 1e-9)
    measurements = mechanism()
    assert measurements.tables is not None
    assert rdp_at(measurements.event, 4.0) == pytest.approx(
        sum(rdp_at(each.event, 4.0) for each in (measurements.histograms, measurements.moments, measurements.tables))
    )


def test_counts_carry_the_noise_that_is_charged():
    everybody, measurements = people(), mechanism()
    bought = measurements.release(everybody.values, everybody.labels)
    assert measurements.tables is not None
    parts = Parts(NormalScores(CANCER, bought.histograms), measurements.tables.parts)
    together = parts.counts(parts.of(everybody.values, everybody.labels))
    sizes = sum(each.participants for each in bought.histograms)
    added = [(each.shares * sizes - parts.table(together, *each.cells)).ravel() for each in bought.tables]
    noise = np.concatenate(added)
    assert np.std(noise) == pytest.approx(measurements.tables.noise_sd, rel=5 / math.sqrt(2 * len(noise)))


def test_noise_decides_where_there_is_more_of_it_than_is_gained():
    everybody, (measurements, bought) = people(), measured_quickly()
    assert measurements.tables is not None
    known = bought.known(NormalScores(CANCER, bought.histograms))
    blind = replace(measurements.tables, chosen=NoisyTop(1, scale=1e5))
    chosen = {blind.release(everybody.values, everybody.labels, known)[0].cells for _ in range(20)}
    assert len(chosen) > 1


def test_the_larger_of_two_is_told_as_often_as_the_exponential_mechanism_says():
    """Of two that differ by 10 at a scale of 10, with odds of e to 1."""
    choice = NoisyTop(count=1, scale=10.0)
    found = np.mean([choice.release(np.array([0, 10]))[0] for _ in range(4000)])
    assert found == pytest.approx(math.e / (1 + math.e), abs=0.03)
    assert choice.event.rho == pytest.approx(1 / (2 * 10.0**2))


@pytest.mark.parametrize("numbers", [np.array([1.5, 2.5]), np.array([1]), np.array([[1, 2]])])
def test_numbers_whose_sensitivity_nobody_stated_are_not_chosen_from(numbers):
    with pytest.raises(ValueError, match="nothing was released"):
        NoisyTop(count=2, scale=10.0).release(numbers)


def test_the_pair_that_products_say_nothing_of_is_chosen_first():
    everybody = people()
    first = mechanism().release(everybody.values, everybody.labels).tables[0]
    assert set(first.cells) == {NODES, CHEMOTHERAPY}


def test_a_pair_that_hangs_together_as_scores_do_gains_nothing():
    """Two measures that are Gaussian together, one of them cut in two: that is what is known already."""
    rng, everybody = np.random.default_rng(0), people()
    age = everybody.values[:, 2, 0]
    everybody.values[:, CHEMOTHERAPY, 0] = (age - 55) / 12 + rng.normal(0, 1, COUNT) > 0.5
    measurements = mechanism(rho=50.0)
    found = gains(everybody, measurements, measurements.release(everybody.values, everybody.labels))
    pair = dict(zip(found.pairs, found.gained, strict=True))[CHEMOTHERAPY, 2]
    assert pair < 0.04 * COUNT


def test_few_participants_are_measured_by_histograms_and_products_alone():
    """Their tables would be mostly noise, and what these cost is better spent on the others."""
    assert NoisyTables.costing(CANCER, 0.1, rho=0.02) is None
    small = Measurements.costing(CANCER, 0.1, rho=0.25)
    assert small.tables is None and rdp_at(small.event, 4.0) == pytest.approx(1.0)
    few = people(COUNT // 10)
    bought = small.release(few.values, few.labels)
    assert bought.tables == () and "misfit_tables" not in misfit(bought, few)


def test_tables_come_back_from_their_file_and_older_files_have_none():
    everybody = people()
    bought = mechanism().release(everybody.values, everybody.labels)
    content = bought.content()
    for one, other in zip(bought.tables, Measured.of(content).tables, strict=True):
        assert one.cells == other.cells and one.parts == other.parts and one.noise_sd == other.noise_sd
        np.testing.assert_array_equal(one.shares, other.shares)
    del content["tables"]
    assert Measured.of(content).tables == ()


def test_copies_have_what_goes_up_and_down():
    """Without tables they have chemotherapy for a tenth of those without a node, and for a third where it is 60 %."""
    everybody = people()
    bought = mechanism().release(everybody.values, everybody.labels)
    copies = Copies(bought, CANCER, np.random.default_rng(1))
    found = np.mean([given_chemotherapy(copies.draw(COUNT)) for _ in range(5)], axis=0)
    assert found == pytest.approx(given_chemotherapy(everybody), abs=0.1)  # three and four nodes are in one part


def test_rows_of_copies_are_in_no_order():
    """They are chosen part by part of the tables."""
    everybody = people()
    bought = mechanism().release(everybody.values, everybody.labels)
    copy = Copies(bought, CANCER, np.random.default_rng(1)).draw(COUNT)
    own = copy.values[copy.labels == 0]
    for measure in (NODES, CHEMOTHERAPY):
        assert abs(np.corrcoef(own[:, measure, 0], np.arange(len(own)))[0, 1]) < 0.1


def test_arms_in_which_two_measures_go_opposite_ways_stay_apart():
    """Tables are of both arms together; products are not."""
    everybody, rng = people(), np.random.default_rng(0)
    age, sign = everybody.values[:, 2, 0], np.where(everybody.labels == 1, 1, -1)
    everybody.values[:, 3, 0] = (5 + sign * (age - 55) / 12 + rng.normal(0, 0.7, COUNT)).clip(0, 10)
    bought = mechanism().release(everybody.values, everybody.labels)
    copies = Copies(bought, CANCER, rng)
    drawn = [copies.draw(COUNT) for _ in range(5)]
    for label in (0, 1):
        real, own = (each.values[each.labels == label][:, 2:, 0].T for each in (everybody, drawn[0]))
        there = ~np.isnan(own).any(axis=0)
        assert np.corrcoef(own[:, there])[0, 1] == pytest.approx(np.corrcoef(real)[0, 1], abs=0.1)
    assert np.median([misfit(bought, each)["misfit_products"] for each in drawn]) < 2  # each has noise of its own


def test_no_part_is_empty_where_many_have_a_limit():
    everybody = people()
    bought = mechanism().release(everybody.values, everybody.labels)
    parts = Parts(NormalScores(CANCER, bought.histograms), 6)
    places = parts.of(everybody.values, everybody.labels)
    for number, size in enumerate(parts.sizes):
        assert np.bincount(places[:, number], minlength=size).min() > 0.01 * COUNT


def test_the_gate_finds_what_goes_up_and_down_and_is_not_in_the_release():
    everybody = people()
    bought = mechanism().release(everybody.values, everybody.labels)
    gaussian = Copies(replace(bought, tables=()), CANCER, np.random.default_rng(1)).draw(COUNT)
    found = judge(bought, gaussian)
    assert {each.what for each in found.findings} == {"table"}
    assert set(found.columns) <= {"nodes", "chemotherapy"} and "in another part of its table with" in (
        found.findings[0].sentence()
    )
    assert judge(bought, Copies(bought, CANCER, np.random.default_rng(1)).draw(COUNT)).verdict == "passed"


def test_categories_that_follow_from_each_other_are_kept_though_nobody_exchanges_them():
    """They have no order that could say who gives and who takes."""
    letters = [{"name": name, "kind": "categorical", "categories": list("abcde"), "column": name} for name in "xy"]
    schema = CANCER.model_validate({**CANCER.model_dump(), "name": "letters", "measures": letters})
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 5, (2, COUNT))
    y = np.where(rng.random(COUNT) < 0.8, 2 * x % 5, y)
    values = np.stack([x, y], axis=1)[:, :, None].astype(np.float32)
    bought = Measurements.costing(schema, 1.0, 0.25).release(values, rng.integers(0, 2, COUNT))
    found = Copies(bought, schema, rng).draw(COUNT)
    assert found.values.min() == 0 and found.values.max() == 4
    assert misfit(bought, found)["misfit_tables"] < 3


def test_who_exchanges_keeps_every_value_within_the_class():
    everybody = people()
    bought = mechanism().release(everybody.values, everybody.labels)
    scores = NormalScores(CANCER, bought.histograms)
    tables, rng = Tables(bought, scores), np.random.default_rng(1)
    drawn = rng.standard_normal((COUNT, scores.width))
    exchanged = tables.exchanged(drawn, everybody.labels, scores, tables.middle)
    for label in (0, 1):
        own = everybody.labels == label
        np.testing.assert_array_equal(np.sort(drawn[own], axis=0), np.sort(exchanged[own], axis=0))
    before, after = (
        misfit(bought, Participants(CANCER, everybody.ids, everybody.labels, scores.values(each, everybody.labels)))
        for each in (drawn, exchanged)
    )
    assert after["misfit_tables"] < before["misfit_tables"] / 3
