"""Histograms and normal scores: what one participant changes, and what comes back out of what was measured."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest

from cohorts import Encoding, Schema
from cohorts.scale import BINS
from privacy.accounting.rdp import rdp_at
from privacy.mechanisms.histograms import Bins, NoisyHistograms, class_counts, separate_counts
from privacy.mechanisms.measurements import Measurements
from privacy.mechanisms.normal_scores import LIMIT, NormalScores
from privacy.mechanisms.simplex import onto_simplex
from tests.conftest import SMALL_SCHEMA, small_cohort
from trainables.scoring.marginals import ks_distance

KINDS = Schema.model_validate(
    {
        **SMALL_SCHEMA,
        "name": "kinds",
        "nominal_size": 4000,
        "measures": [
            {"name": "lab", "kind": "continuous", "lower": 0, "upper": 500, "table": "visits", "column": "lab"},
            {"name": "drugs", "kind": "integer", "lower": 0, "upper": 5, "table": "visits", "column": "drugs"},
            {"name": "ill", "kind": "binary", "categories": [0, 1], "table": "visits", "column": "ill"},
            {
                "name": "stage",
                "kind": "categorical",
                "categories": ["I", "II", "III"],
                "table": "visits",
                "column": "stage",
            },
            {"name": "cells", "kind": "integer", "scale": "log", "lower": 0, "upper": 9000, "column": "cells"},
            {"name": "grade", "kind": "ordinal", "categories": ["none", "mild", "severe"], "column": "grade"},
        ],
    }
)
COUNT = 4000


def people(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Values (n, M, V) of every kind, skewed and rare ones among them, and labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, COUNT)
    shape = (COUNT, 3)
    lab = np.exp(rng.normal(1.5, 0.8, shape)).clip(0, 500)
    drugs = rng.poisson(1.2 + 0.8 * labels[:, None], shape).clip(0, 5)
    ill = rng.random(shape) < np.where(labels, 0.1, 0.3)[:, None]
    stage = rng.choice(3, shape, p=[0.1, 0.7, 0.2])
    cells = np.where(rng.random(shape) < 0.3, 0, np.rint(np.exp(rng.normal(4, 1.5, shape)))).clip(0, 9000)
    grade = np.digitize(drugs + rng.normal(0, 0.5, shape), [1, 2.5])
    return np.stack([lab, drugs, ill, stage, cells, grade], axis=1).astype(np.float32), labels


def drawn(measurements: Measurements, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """As many participants of each class from what was measured."""
    values, labels = people()
    measured = measurements.release(values, labels)
    scores, rng = NormalScores(KINDS, measured.histograms), np.random.default_rng(seed)
    sampled = np.empty((COUNT, scores.width))
    for label, moments in enumerate(measured.moments(scores)):
        sampled[labels == label] = LIMIT * moments.sample(int((labels == label).sum()), rng)
    return scores.values(sampled, labels), labels


@given(st.integers(0, COUNT - 1), st.floats(allow_nan=True, allow_infinity=True), st.booleans())
def test_no_participant_changes_counts_by_more_than_the_root_of_the_number_of_cells(who, extreme, is_extreme):
    values, labels = people()
    positions = Encoding(KINDS).positions(values)
    if is_extreme:
        positions[who] = extreme
    bins = tuple(Bins.of(cell) for cell in Encoding(KINDS).cells)
    without = np.delete(np.arange(COUNT), who)
    change = separate_counts(positions, labels, bins, 2) - separate_counts(positions[without], labels[without], bins, 2)
    assert np.linalg.norm(change) == pytest.approx(math.sqrt(len(bins)))
    assert np.count_nonzero(change) == len(bins)


def test_what_is_charged_is_all_of_it_and_no_more_than_was_asked_for():
    measurements = Measurements.costing(KINDS, 0.75, rho=0.2)
    for order in (1.5, 4.0, 32.0):
        parts = (measurements.histograms, measurements.moments, measurements.tables)
        together = sum(rdp_at(each.event, order) for each in parts)
        assert rdp_at(measurements.event, order) == pytest.approx(together)
        assert 0.19 * order < together <= 0.2 * order * (1 + 1e-9)


def test_counts_carry_the_noise_that_is_charged():
    values, labels = people()
    mechanism = NoisyHistograms.costing(KINDS, 0.75, rho=0.05)
    positions = Encoding(KINDS).positions(values)
    exact = class_counts(positions, labels, mechanism.bins, 2)
    released = np.concatenate([each.counts for each in mechanism.release(positions, labels)])
    noisy = exact > 6 * mechanism.noise_sd  # nothing is clamped there
    assert noisy.sum() > 15
    added = (released - exact) / np.sqrt(np.tile(np.concatenate([each.noises for each in mechanism.bins]), 2))
    spread = np.std(added[noisy])
    assert spread == pytest.approx(mechanism.noise_sd, rel=5 / math.sqrt(2 * noisy.sum()))
    assert mechanism.event.rho == pytest.approx(len(mechanism.bins) / (2 * mechanism.noise_sd**2), rel=1e-6)


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=BINS))
def test_shares_are_the_nearest_that_are_shares(noisy):
    found = onto_simplex(np.array(noisy))
    assert found.min() >= 0 and found.sum() == pytest.approx(1)
    for other in np.random.default_rng(0).dirichlet(np.ones(len(noisy)), 50):
        assert np.linalg.norm(found - noisy) <= np.linalg.norm(other - noisy) + 1e-9


def test_how_large_scores_are_is_known_where_values_are_few_whole_numbers():
    """What is measured is hardly more than directions: were this wrong, so would be every mean that they tell."""
    values, labels = people()
    scores = NormalScores(KINDS, Measurements.costing(KINDS, 1.0, 1e5).release(values, labels).histograms)
    squares = np.square(scores.scores(values, labels)).mean(axis=0)
    skewed, few = ([cell.first for cell in scores.cells if cell.measure.name == name] for name in ("lab", "drugs"))
    evenly = np.setdiff1d(np.arange(scores.width), skewed)  # most of whose values are in one bin
    assert squares[evenly] == pytest.approx(scores.squares[evenly], abs=0.04)
    assert (scores.squares[few] < 0.95).all()


def test_how_large_scores_are_is_known_where_nobody_has_the_limit():
    """As of positive nodes, at least 1 of at most 50: nobody has the 0 that is in the bin of 1."""
    nodes = {"name": "nodes", "kind": "integer", "lower": 0, "upper": 50, "column": "nodes"}
    schema = KINDS.model_validate({**KINDS.model_dump(), "name": "nodes", "measures": [nodes]})
    rng = np.random.default_rng(0)
    values = rng.geometric(0.3, (COUNT, 1, 3)).clip(1, 50).astype(np.float32)
    labels = rng.integers(0, 2, COUNT)
    scores = NormalScores(schema, Measurements.costing(schema, 1.0, 1e5).release(values, labels).histograms)
    assert len(scores.pooled[0]) < 51 and not scores.heaps.any()
    squares = np.square(scores.scores(values, labels)).mean(axis=0)
    assert scores.squares == pytest.approx(squares, abs=0.04)


def test_values_of_a_few_bins_are_as_dense_as_the_bins_beside_them_have_it():
    """Prothrombin times within wide limits: nearly all are in three bins, in which they do not lie in steps."""
    time = {"name": "time", "kind": "continuous", "lower": 0, "upper": 64, "decimals": 2, "column": "time"}
    schema = Schema.model_validate({**SMALL_SCHEMA, "measures": [time]})
    values = np.random.default_rng(0).normal(11, 1, (4000, 1, 3)).astype(np.float32)
    labels = np.arange(4000) % 2
    scores = NormalScores(schema, Measurements.costing(schema, 1.0, 1e4).release(values, labels).histograms)
    gaussian = np.random.default_rng(1).standard_normal((4000, scores.width))
    drawn = scores.values(gaussian, labels)[:, 0].T  # (3, n)
    assert max(ks_distance(ours, theirs) for ours, theirs in zip(drawn, values[:, 0].T, strict=True)) < 0.05
    found = scores.scores(values, labels)
    usual = np.abs(values - 11) < 3  # beyond, scores are cut
    np.testing.assert_allclose(scores.values(found, labels)[usual], values[usual], atol=0.02)
    assert max(kstest(each, "norm").statistic for each in found.T) < 0.04  # in steps it would be 0.08, and 0.06 above


def treated_before(share: float = 0.4) -> tuple[Schema, np.ndarray, np.ndarray]:
    """Days of earlier treatment, none for many, and a score of which as many have the highest."""
    days = {"name": "days", "kind": "integer", "lower": 0, "upper": 2850, "column": "days"}
    score = {"name": "score", "kind": "continuous", "decimals": 1, "lower": 0, "upper": 100, "column": "score"}
    schema = KINDS.model_validate({**KINDS.model_dump(), "name": "before", "measures": [days, score]})
    rng = np.random.default_rng(0)
    labels, shape = rng.integers(0, 2, COUNT), (COUNT, 3)
    treated, least = rng.random(shape) < 1 - share, rng.random(shape) < 1 - share
    days_before = np.floor(treated * (1 + rng.gamma(1.5, 400, shape))).clip(0, 2850)
    scored = np.where(least, rng.normal(60, 12, shape).round(1).clip(0, 99), 100)
    return schema, np.stack([days_before, scored], axis=1).astype(np.float32), labels


def test_as_many_have_the_very_limit_as_did():
    """As days of earlier treatment, which are 0 for many: spread over their bin these would be days that nobody had."""
    schema, values, labels = treated_before()
    measured = Measurements.costing(schema, 1.0, rho=10.0).release(values, labels)
    drawn = measured.draw(schema, 40 * COUNT, np.random.default_rng(1)).values
    for row, limit in ((0, 0), (1, 100)):
        assert (drawn[:, row] == limit).mean() == pytest.approx((values[:, row] == limit).mean(), abs=0.02)
        assert drawn[:, row].mean() == pytest.approx(values[:, row].mean(), rel=0.03)


def test_where_nobody_has_the_limit_nobody_is_made_to():
    """Noise alone is not believed to be people, whatever a class is."""
    schema, values, labels = treated_before(0.0)
    inside = np.clip(values, 5, 95)
    mechanism = Measurements.costing(schema, 1.0, rho=0.02)
    believed = [mechanism.release(inside, labels).histograms[0].limits for _ in range(20)]
    assert np.count_nonzero(believed) <= 4  # of 240, each by a chance of 0.0014


@pytest.mark.parametrize("none", [0.0, 0.3])
def test_a_limit_that_nobody_has_takes_nobody_from_the_value_beside_it(none):
    """As positive lymph nodes of those who are in a trial because they have one: 0 and 1 share a bin, not people."""
    nodes = {"name": "nodes", "kind": "integer", "lower": 0, "upper": 49, "column": "nodes"}
    schema = KINDS.model_validate({**KINDS.model_dump(), "name": "nodes", "measures": [nodes]})
    rng = np.random.default_rng(0)
    values = rng.choice([0, 1, 2, 5, 12], (COUNT, 1, 3), p=[none, 0.6 - none, 0.2, 0.1, 0.1]).astype(np.float32)
    measured = Measurements.costing(schema, 1.0, rho=1.0).release(values, rng.integers(0, 2, COUNT))
    drawn = measured.draw(schema, 10 * COUNT, np.random.default_rng(1)).values
    for value in (0, 1):
        assert (drawn == value).mean() == pytest.approx((values == value).mean(), abs=0.03)
    assert none or not (drawn == 0).any()


def test_values_come_back_from_their_own_scores():
    values, labels = people()
    histograms = Measurements.costing(KINDS, 0.75, rho=100.0).histograms
    scores = NormalScores(KINDS, histograms.release(Encoding(KINDS).positions(values), labels))
    back = scores.values(scores.scores(values, labels), labels)
    exactly = [1, 2, 3, 5]
    assert np.array_equal(back[:, exactly], values[:, exactly])  # few whole numbers and categories
    assert np.array_equal(back[:, 4] == 0, values[:, 4] == 0)
    usual = values[:, 0] < np.quantile(values[:, 0], 0.99)  # beyond, scores are cut
    assert np.abs(back[:, 0] - values[:, 0])[usual].max() < 500 / BINS


def test_every_kind_keeps_its_shares_by_class():
    """Binary measures do not collapse, and a skewed one keeps its median, as those of the cases that once failed."""
    (values, labels), (synthetic, _) = people(), drawn(Measurements.costing(KINDS, 1.0, rho=2.0))
    for label in (0, 1):
        real, made = values[labels == label], synthetic[labels == label]
        assert np.abs(real[:, 2].mean(axis=0) - made[:, 2].mean(axis=0)).max() < 0.07
        for stage in range(3):
            assert np.abs((real[:, 3] == stage).mean(axis=0) - (made[:, 3] == stage).mean(axis=0)).max() < 0.12
        assert np.abs(real[:, 1].mean(axis=0) - made[:, 1].mean(axis=0)).max() < 0.25
        assert np.abs(np.median(real[:, 0], axis=0) - np.median(made[:, 0], axis=0)).max() < 500 / BINS / 2
        for grade in range(3):
            assert np.abs((real[:, 5] == grade).mean(axis=0) - (made[:, 5] == grade).mean(axis=0)).max() < 0.12


def test_many_zeros_and_a_long_tail_keep_their_shares_on_a_log_scale():
    (values, _), (synthetic, _) = people(), drawn(Measurements.costing(KINDS, 1.0, rho=2.0))
    real, made = values[:, 4], synthetic[:, 4]
    assert np.abs((real == 0).mean(axis=0) - (made == 0).mean(axis=0)).max() < 0.04
    for share in (0.5, 0.75, 0.95):  # the median is 25
        assert np.abs(np.log(np.quantile(made, share, axis=0) / np.quantile(real, share, axis=0))).max() < 0.5


def test_what_is_ordered_hangs_together_with_what_it_follows():
    """A grade that grows with the number of drugs has one score, and one correlation."""
    (values, _), (synthetic, _) = people(), drawn(Measurements.costing(KINDS, 1.0, rho=2.0))
    real, made = (np.corrcoef(each[:, 1, 0], each[:, 5, 0])[0, 1] for each in (values, synthetic))
    assert real > 0.8 and made == pytest.approx(real, abs=0.15)  # a Gaussian, cut in three


def test_a_measure_may_have_more_categories_than_others_have_bins():
    many = {"name": "site", "kind": "categorical", "categories": list(range(BINS + 8)), "column": "site"}
    schema = Schema.model_validate({**SMALL_SCHEMA, "measures": [many]})
    sites = np.random.default_rng(0).integers(0, BINS + 8, (400, 1, 3)).astype(np.float32)
    mechanism = NoisyHistograms.costing(schema, 1.0, rho=50.0)
    labels = np.arange(400) % 2
    scores = NormalScores(schema, mechanism.release(Encoding(schema).positions(sites), labels))
    assert np.array_equal(scores.values(scores.scores(sites, labels), labels), sites)


def test_histograms_of_strangers_to_the_schema_are_refused():
    mechanism = NoisyHistograms.costing(KINDS, 0.75, rho=0.05)
    with pytest.raises(ValueError, match="nothing was released"):
        mechanism.release(np.zeros((5, 2)), np.zeros(5))
    with pytest.raises(ValueError, match="nothing was released"):
        mechanism.release(np.zeros((5, len(mechanism.bins))), np.full(5, 2))


def test_noise_alone_gives_participants_all_the_same():
    """A budget that buys nothing still gives values that their measures can have."""
    cohort = small_cohort(Schema.model_validate(SMALL_SCHEMA), 60)
    measured = Measurements.costing(cohort.schema, 0.75, rho=1e-4).release(cohort.values, cohort.labels)
    scores = NormalScores(cohort.schema, measured.histograms)
    sampled = LIMIT * measured.moments(scores)[0].sample(200, np.random.default_rng(0))
    values = scores.values(sampled, np.zeros(200, dtype=np.int64))
    assert np.isfinite(values).all()
    assert values[:, 0].min() >= 80 and values[:, 0].max() <= 200
    for histogram in measured.histograms:
        assert all(each.min() >= 0 for each in histogram.shares(scores.bins))
