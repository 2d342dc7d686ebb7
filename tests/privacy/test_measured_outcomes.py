"""What is measured of an outcome, and drawn from it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest

from analysis.survival import FollowUp
from cohorts import Encoding, Participants, Schema
from privacy.mechanisms.histograms import separate_counts
from privacy.mechanisms.measurements import Measurements
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from tests.cohorts.outcome_trials import SURVIVAL, survival_cohort, trial
from trainables.scoring.marginals import ks_distance

SCHEMA = Schema.model_validate(trial(SURVIVAL))
PEOPLE = survival_cohort(2000, SCHEMA)
MECHANISM = Measurements.costing(SCHEMA, 1.0, rho=100.0)


def test_an_outcome_is_drawn_from_the_distribution_of_its_own_class():
    """Classes have scales of their own, which have nothing in common: that of the horizon is empty in the others."""
    measured = MECHANISM.release(PEOPLE.values, PEOPLE.labels)
    drawn, row = measured.draw(SCHEMA, 2000, np.random.default_rng(0)), SCHEMA.outcome_row
    for label in range(3):
        ours, theirs = (each.values[each.labels == label, row, 0] for each in (drawn, PEOPLE))
        assert ks_distance(ours, theirs) < 0.1
    assert survival_lead(drawn) > survival_lead(PEOPLE) / 2 > 0.1


def survival_lead(people: Participants) -> float:
    """Of women over men, at half a year."""
    followed = FollowUp.of(people)
    return float(followed.curve(0).predict(180) - followed.curve(1).predict(180))


def test_an_outcome_counts_once_among_what_one_participant_changes():
    """Where it lies within its class is one cell more, however many stretches its class has."""
    histograms = MECHANISM.histograms
    positions, labels = some(10)
    for who in range(10):
        one = separate_counts(positions[who : who + 1], labels[who : who + 1], histograms.bins, 3)
        assert one.sum() == len(histograms.bins) == len(SCHEMA.covariates) + 2 * len(SCHEMA.measures) + 1


def test_scores_of_an_outcome_are_normal_in_every_class():
    scores = NormalScores(SCHEMA, MECHANISM.histograms.release(*some(2000)))
    (cell,) = (each for each in scores.cells if each.stretches)
    found = scores.scores(PEOPLE.values, PEOPLE.labels)
    assert np.abs(found).max() <= LIMIT
    back = scores.values(found, PEOPLE.labels)[:, cell.row, 0]
    for label in (0, 2):  # the second has a spike at the horizon
        of_class = found[PEOPLE.labels == label, cell.first]
        assert of_class.mean() == pytest.approx(0, abs=0.1) and of_class.std() == pytest.approx(1, abs=0.1)
        np.testing.assert_allclose(
            back[PEOPLE.labels == label], PEOPLE.values[PEOPLE.labels == label, cell.row, 0], atol=0.02
        )


def some(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and labels of so many."""
    return Encoding(SCHEMA).positions(PEOPLE.values[:count]), PEOPLE.labels[:count]


def spread_too_far(scores: NormalScores, mean: float) -> np.ndarray:
    """Scores of a generator that spreads outcomes of each class twice as far as they are, evenly about a mean."""
    drawn, labels = np.random.default_rng(0).standard_normal((len(PEOPLE), scores.width)), PEOPLE.labels
    column = next(cell.first for cell in scores.cells if cell.stretches)
    for label in np.unique(labels):
        own = labels == label
        drawn[own, column] = mean + 2 * (drawn[own, column] - drawn[own, column].mean())
    return drawn


def test_outcomes_of_a_generator_that_spreads_them_too_far_are_not_heaped_at_the_ends_of_their_class():
    """Of a small class the spread of one score is known badly."""
    people, scores = PEOPLE, NormalScores(SCHEMA, MECHANISM.histograms.release(*some(2000)))
    number = next(number for number, cell in enumerate(scores.cells) if cell.stretches)
    drawn = spread_too_far(scores, 0.0)
    found, too_far = (
        scores.encoding.positions(scores.values(each, people.labels))[:, number]
        for each in (scores.as_defined(drawn, people.labels), drawn)
    )
    for label in (0, 2):  # the second has a spike at the horizon
        own, other = found[people.labels == label], too_far[people.labels == label]
        expected = scores.encoding.positions(people.values)[people.labels == label, number]
        assert kstest(own, expected).statistic < 0.08 < kstest(other, expected).statistic


@pytest.mark.parametrize("mean", [0.0, -0.8, 1.9])
def test_outcomes_keep_the_mean_that_a_generator_learned_and_few_are_beyond_the_scale(mean):
    """Products of scores know of the noise in the histogram that the scale of a small class is made by."""
    people, scores = PEOPLE, NormalScores(SCHEMA, MECHANISM.histograms.release(*some(2000)))
    column = next(cell.first for cell in scores.cells if cell.stretches)
    found = scores.as_defined(spread_too_far(scores, mean), people.labels)[:, column]
    for label in (0, 2):
        own = found[people.labels == label]
        assert own.mean() == pytest.approx(mean, abs=0.02)
        assert (np.abs(own) > LIMIT).mean() < 0.02
