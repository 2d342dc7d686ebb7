"""What is missing in a trial is missing in a synthetic one, as often and for whom it is."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.histograms import class_counts
from privacy.mechanisms.measurements import Measured, Measurements
from privacy.mechanisms.misfit import misfit
from privacy.mechanisms.moments import SENSITIVITY, class_sums
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from tests.cohorts.lossy_trial import LOSSY_SCHEMA, lossy_cohort, with_missed_visits
from tests.conftest import THREE_ARMS
from trainables.candidate import Setting
from trainables.measured.candidate import MeasuredNetwork

REAL = lossy_cohort(4000)


@pytest.fixture(scope="module")
def measured() -> Measured:
    return Measurements.costing(REAL.schema, 1.0, rho=5.0).release(REAL.values, REAL.labels)


@pytest.fixture(scope="module")
def synthetic(measured) -> Participants:
    """What a fitted network draws."""
    torch.manual_seed(0)
    network = MeasuredNetwork.of({"width": 32}, Setting(REAL.schema, 1.0, "packed", torch.device("cpu")))
    network.take(measured)
    network.fit(120, torch.Generator().manual_seed(1))
    return network.generator().generate(4000, torch.Generator().manual_seed(2))


def missing(people: Participants, label: int) -> np.ndarray:
    """Share of participants of a class without a value in each cell that is observed, (M, V)."""
    return np.isnan(people.values[people.labels == label]).mean(axis=0)[REAL.schema.observed]


@pytest.mark.parametrize("label", [0, 1])
def test_values_are_missing_as_often_as_in_the_trial(synthetic, label):
    assert np.abs(missing(synthetic, label) - missing(REAL, label)).max() < 0.04


@pytest.mark.parametrize("label", [0, 1])
def test_as_many_leave_after_each_visit(synthetic, label):
    left = [
        np.bincount(each.values[each.labels == label, -1, 0].astype(int), minlength=4) for each in (REAL, synthetic)
    ]
    real, made = (counts / counts.sum() for counts in left)
    assert np.abs(real - made).max() < 0.04


def test_nobody_comes_back_from_the_dead(synthetic):
    known = ~np.isnan(synthetic.values[:, :4]).all(axis=1)  # (n, V)
    assert (np.isnan(synthetic.values[:, 1]) | known).all()
    dose = ~np.isnan(synthetic.values[:, 1])  # missing after dropout alone
    assert (np.diff(dose.astype(int), axis=1) <= 0).all()


def test_those_who_leave_are_the_ones_who_left(synthetic):
    """The old leave more often, so those who stay are younger."""
    ages = [
        [float(np.nanmean(each.values[each.values[:, -1, 0] == visits, 4, 0])) for visits in (1, 3)]
        for each in (REAL, synthetic)
    ]
    (left, stayed), (left_made, stayed_made) = ages
    assert left > stayed + 2 and left_made > stayed_made + 1.5


def test_a_value_and_the_next_hang_together_where_both_are_there(synthetic):
    def together(people: Participants) -> float:
        pressure = people.values[:, 0, :2]
        both = ~np.isnan(pressure).any(axis=1)
        return float(np.corrcoef(pressure[both].T)[0, 1])

    assert together(synthetic) == pytest.approx(together(REAL), abs=0.08)


def test_participants_drawn_anew_fit_what_was_measured(synthetic, measured):
    assert misfit(measured, synthetic)["misfit"] < 2 < 3 * misfit(measured, lossy_cohort(4000, seed=3))["misfit"]


def test_values_come_back_from_their_own_scores_or_do_not(measured):
    scores = NormalScores(REAL.schema, measured.histograms)
    back = scores.values(scores.scores(REAL.values, REAL.labels), REAL.labels)
    known = REAL.values[:, -1, 0] > 0
    assert np.array_equal(np.isnan(back)[known], np.isnan(REAL.values)[known])
    for row in (2, 3, 5):
        np.testing.assert_array_equal(back[:, row], REAL.values[:, row])


def test_whoever_lacks_values_counts_once_in_every_cell(measured):
    scores = NormalScores(REAL.schema, measured.histograms)
    counts = class_counts(scores.encoding.positions(REAL.values[:1]), REAL.labels[:1], scores.bins, 2)
    assert counts.sum() == len(scores.cells) and set(counts) == {0, 1}


OF_THREE = lossy_cohort(200, Schema.model_validate({**LOSSY_SCHEMA, "name": "lossy-three", "label": THREE_ARMS}))


@cache
def measured_of_three() -> tuple[Measurements, NormalScores]:
    mechanism = Measurements.costing(OF_THREE.schema, 1.0, rho=1.0)
    positions = Encoding(OF_THREE.schema).positions(OF_THREE.values)
    return mechanism, NormalScores(OF_THREE.schema, mechanism.histograms.release(positions, OF_THREE.labels))


@settings(max_examples=30)
@given(st.integers(0, len(OF_THREE) - 1), st.floats(allow_nan=True, allow_infinity=True), st.booleans())
def test_of_three_classes_nobody_moves_a_measurement_by_more_than_is_charged(who, extreme, is_extreme):
    (mechanism, scores), others = measured_of_three(), np.delete(np.arange(len(OF_THREE)), who)
    positions, features = (
        scores.encoding.positions(OF_THREE.values),
        scores.scores(OF_THREE.values, OF_THREE.labels) / LIMIT,
    )
    if is_extreme:
        positions[who], features[who] = extreme, extreme
    labels, moments = OF_THREE.labels, mechanism.moments
    counts = [class_counts(positions[each], labels[each], scores.bins, 3) for each in (slice(None), others)]
    assert np.linalg.norm(counts[0] - counts[1]) == pytest.approx(len(scores.cells) ** 0.5)
    sums = [
        class_sums(features[each], labels[each], moments.features, moments.radius, 3) for each in (slice(None), others)
    ]
    assert np.linalg.norm(sums[0] - sums[1]) <= SENSITIVITY


def test_nobody_leaves_before_the_visit_that_everybody_attends():
    visits = {**LOSSY_SCHEMA["visits"], "dropout": {"from": "week 4"}}
    schema = Schema.model_validate({**LOSSY_SCHEMA, "name": "lossy-later", "visits": visits})
    values = REAL.values.copy()
    values = values[values[:, -1, 0] >= 2]
    labels = REAL.labels[REAL.values[:, -1, 0] >= 2]
    measured = Measurements.costing(schema, 1.0, rho=5.0).release(values, labels)
    made = measured.draw(schema, 2000, np.random.default_rng(0)).values
    assert set(made[:, -1, 0]) == {2, 3}
    assert (made[:, -1, 0] == 2).mean() == pytest.approx((values[:, -1, 0] == 2).mean(), abs=0.06)
    assert not np.isnan(made[:, 1, :2]).any()  # dose, which is missing after dropout alone


MISSED = with_missed_visits(4000)


@pytest.fixture(scope="module")
def with_missed() -> tuple[Measured, Participants]:
    """What is measured of a trial of which visits were missed, and what a fitted network draws."""
    measured = Measurements.costing(MISSED.schema, 1.0, rho=5.0).release(MISSED.values, MISSED.labels)
    torch.manual_seed(0)
    network = MeasuredNetwork.of({"width": 32}, Setting(MISSED.schema, 1.0, "packed", torch.device("cpu")))
    network.take(measured)
    network.fit(120, torch.Generator().manual_seed(1))
    return measured, network.generator().generate(4000, torch.Generator().manual_seed(2))


def test_nobody_has_part_of_a_visit_that_was_missed(with_missed):
    known = ~np.isnan(with_missed[1].values[:, :4])  # (n, 4, V)
    assert (known[:, 1] == known.any(axis=1)).all(), "a dose, which may not be missing by itself"


@pytest.mark.parametrize("label", [0, 1])
def test_visits_are_missed_as_often_as_in_the_trial(with_missed, label):
    row = MISSED.schema.presence_row
    real, made = (float((each.values[each.labels == label, row, 1] == 0).mean()) for each in (MISSED, with_missed[1]))
    assert made == pytest.approx(real, abs=0.04)


def test_at_visits_that_were_attended_values_are_missing_as_often(with_missed):
    def lacking(people: Participants) -> np.ndarray:
        there = ~np.isnan(people.values[:, 1])  # dose, (n, V)
        return np.array([np.isnan(people.values[there[:, visit], 0, visit]).mean() for visit in range(3)])

    np.testing.assert_allclose(lacking(with_missed[1]), lacking(MISSED), atol=0.03)


def test_who_missed_visits_comes_back_from_their_own_scores(with_missed):
    scores = NormalScores(MISSED.schema, with_missed[0].histograms)
    back = scores.values(scores.scores(MISSED.values, MISSED.labels), MISSED.labels)
    known = MISSED.values[:, -1, 0] > 0
    assert np.array_equal(np.isnan(back)[known], np.isnan(MISSED.values)[known])
    np.testing.assert_array_equal(back[:, MISSED.schema.presence_row], MISSED.values[:, MISSED.schema.presence_row])


def test_that_nothing_is_known_of_a_missed_visit_takes_no_table_to_say(with_missed):
    measured, row = with_missed[0], MISSED.schema.presence_row
    cells = NormalScores(MISSED.schema, measured.histograms).cells
    pairs = [[cells[number] for number in table.cells] for table in measured.tables]
    assert pairs
    assert not [pair for pair in pairs if row in {each.row for each in pair} and pair[0].visit == pair[1].visit]
