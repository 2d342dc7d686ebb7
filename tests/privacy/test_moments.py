import math
from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cohorts import Encoding, Schema
from privacy.mechanisms.moments import (
    COUNT_SHARE,
    SENSITIVITY,
    ClassMoments,
    NoisyMoments,
    NoisyProducts,
    class_sums,
    nearest_covariance,
    public_radius,
    surrogate_cohort,
)
from tests.cohorts.little_trial import SCHEMA as EVERY_KIND
from tests.conftest import small_cohort

GENEROUS = 1e9


def moments(products: tuple[NoisyProducts, NoisyProducts]) -> tuple[ClassMoments, ClassMoments]:
    """What follows from what was bought."""
    first, second = products
    return first.moments, second.moments


def sums(participants: tuple, width: int, radius: float) -> np.ndarray:
    """The statistic of participants given as (label, features)."""
    labels = np.array([label for label, _ in participants], dtype=int)
    features = np.array([features for _, features in participants], dtype=float).reshape(len(participants), width)
    return class_sums(features, labels, width, radius, 2)


@pytest.mark.parametrize("radius", [0.5, 1.0, math.sqrt(2)])
def test_no_participant_changes_any_small_data_sets_sums_by_more_than_the_sensitivity(radius):
    everybody = list(product((0, 1), product((-1.0, 0.0, 1.0), repeat=2)))
    changes = [
        np.linalg.norm(sums((*data, added), 2, radius) - sums(data, 2, radius))
        for size in range(3)
        for data in combinations_with_replacement(everybody, size)
        for added in everybody
    ]
    assert max(changes) <= SENSITIVITY
    assert max(changes) == pytest.approx(1, abs=1e-4), "the bound is reached, so a smaller one would be false"


anything = st.floats(allow_nan=True, allow_infinity=True, width=32)


@given(
    features=arrays.arrays(np.float32, st.tuples(st.integers(1, 8), st.just(5)), elements=anything),
    radius=st.floats(0.01, 10),
    data=st.data(),
)
def test_whatever_the_features_are_the_last_participant_changes_little(features, radius, data):
    labels = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(features), max_size=len(features))))
    change = class_sums(features, labels, 5, radius, 2) - class_sums(features[:-1], labels[:-1], 5, radius, 2)
    assert np.linalg.norm(change) <= SENSITIVITY


def test_nan_counts_as_the_middle_of_the_range_and_infinity_as_its_limits():
    labels = np.array([0, 1])
    odd = np.array([[np.nan, 0.5], [np.inf, -np.inf]])
    assert np.array_equal(
        class_sums(odd, labels, 2, 2.0, 2), class_sums(np.array([[0, 0.5], [1, -1]]), labels, 2, 2.0, 2)
    )


def test_the_sums_do_not_depend_on_the_order_of_participants_to_the_last_bit():
    rng = np.random.default_rng(0)
    features, labels = rng.uniform(-1, 1, (3000, 6)), rng.integers(0, 2, 3000)
    order = rng.permutation(3000)
    assert np.array_equal(
        class_sums(features, labels, 6, 1.3, 2), class_sums(features[order], labels[order], 6, 1.3, 2)
    )


def test_the_charge_is_that_of_one_gaussian_vector(schema):
    for rho in (1e-3, 0.1, 2.0):
        mechanism = NoisyMoments.costing(schema, 0.75, rho)
        assert mechanism.event.rho <= rho
        assert mechanism.event.rho == pytest.approx(rho)
        assert mechanism.event.rho == pytest.approx(SENSITIVITY**2 / (2 * mechanism.noise_sd**2))


def test_without_noise_to_speak_of_the_moments_are_those_of_the_participants():
    rng = np.random.default_rng(1)
    labels = np.repeat([0, 1], 2000)
    features = rng.multivariate_normal([0.1, -0.2], [[0.04, 0.02], [0.02, 0.05]], 4000).clip(-1, 1)
    mechanism = NoisyMoments(2, math.sqrt(2), (1500.0, 2500.0), 1e-3)
    for label, bought in enumerate(moments(mechanism.release(features, labels))):
        assert bought.mean == pytest.approx(features[labels == label].mean(axis=0), abs=1e-3)
        assert bought.covariance == pytest.approx(np.cov(features[labels == label].T), abs=1e-3)


def test_the_noise_of_the_mean_is_what_the_scale_says():
    n, radius, noise_sd = 4000, 1.0, 40.0
    mechanism = NoisyMoments(2, radius, (n, n), noise_sd)
    features, labels = np.zeros((2 * n, 2)), np.repeat([0, 1], n)
    means = np.array([[bought.mean for bought in moments(mechanism.release(features, labels))] for _ in range(250)])
    expected = noise_sd / math.sqrt(2) * radius / math.sqrt(COUNT_SHARE * (1 - COUNT_SHARE)) / n
    assert means.std() == pytest.approx(expected, rel=6 / math.sqrt(2 * means.size) + 0.03)


@pytest.mark.parametrize("noise_sd", [1e-3, 1.0, 1e3, 1e12])
def test_however_large_the_noise_the_moments_are_those_of_some_distribution(noise_sd, cohort):
    mechanism = NoisyMoments(6, 2.0, (150.0, 150.0), noise_sd)
    features = Encoding(cohort.schema).encode(cohort.values)
    for bought in moments(mechanism.release(features, cohort.labels)):
        assert (np.abs(bought.mean) <= 1).all()
        assert np.linalg.eigvalsh(bought.covariance).min() >= -1e-9
        assert np.trace(bought.covariance) <= 4.0 + 1e-9


def test_an_empty_cohort_is_read_like_any_other(schema):
    mechanism = NoisyMoments.costing(schema, 0.75, 0.1)
    bought = moments(mechanism.release(np.empty((0, 6)), np.empty(0, dtype=int)))
    assert all(np.isfinite(each.covariance).all() for each in bought)


symmetric = arrays.arrays(np.float64, (4, 4), elements=st.floats(-2, 2)).map(lambda m: (m + m.T) / 2)


@given(matrix=symmetric, other=symmetric)
def test_the_nearest_covariance_is_one_of_that_trace_and_no_other_is_nearer(matrix, other):
    trace = float(np.clip(np.trace(matrix), 4e-4, 3.0))
    nearest = nearest_covariance(matrix, 3.0)
    assert np.linalg.eigvalsh(nearest).min() >= -1e-9
    assert np.trace(nearest) == pytest.approx(trace)
    candidate = other @ other.T + 1e-6 * np.eye(4)
    candidate *= trace / np.trace(candidate)
    assert np.linalg.norm(nearest - matrix) <= np.linalg.norm(candidate - matrix) + 1e-9


def test_a_covariance_is_its_own_nearest():
    covariance = np.array([[0.5, 0.2], [0.2, 0.3]])
    assert nearest_covariance(covariance, 3.0) == pytest.approx(covariance)


def test_the_radius_counts_categories_as_certain_and_measurements_as_half_their_range(schema):
    assert public_radius(schema) == pytest.approx(math.sqrt(6 * 0.25))
    every_kind = Schema.model_validate(EVERY_KIND)  # 2 visits of 2 measurements and 3 categories; an age and a sex
    assert public_radius(every_kind) == pytest.approx(math.sqrt(5 * 0.25 + 2 * 3 + 1))


def test_surrogate_participants_have_values_that_each_kind_of_measure_can_have():
    schema = Schema.model_validate(EVERY_KIND)
    width = Encoding(schema).width
    wide = ClassMoments(np.zeros(width), np.eye(width))
    surrogate = surrogate_cohort((wide, wide), schema, 200, np.random.default_rng(0))
    assert len(surrogate) == 200
    assert surrogate.labels.sum() == 100
    for m, measure in enumerate(schema.all_measures):
        values = surrogate.values[:, m][:, schema.observed[m]]
        assert (values >= measure.lower).all() and (values <= measure.upper).all()
        if measure.kind != "continuous":
            assert np.array_equal(values, np.rint(values))


def test_the_surrogate_of_a_generous_budget_resembles_the_cohort(schema):
    cohort, encoding = small_cohort(schema, 3000), Encoding(schema)
    real = encoding.encode(cohort.values)
    bought = moments(NoisyMoments.costing(schema, 1.0, GENEROUS).release(real, cohort.labels))
    surrogate = surrogate_cohort(bought, schema, 3000, np.random.default_rng(0))
    drawn = encoding.encode(surrogate.values)
    for label in (0, 1):
        of_real, of_drawn = real[cohort.labels == label], drawn[surrogate.labels == label]
        assert of_drawn.mean(axis=0) == pytest.approx(of_real.mean(axis=0), abs=0.03)
        assert np.cov(of_drawn.T) == pytest.approx(np.cov(of_real.T), abs=0.01)


@pytest.mark.parametrize(
    ("features", "labels"),
    [
        (np.zeros((3, 5)), np.array([0, 1, 1])),
        (np.zeros((3, 6)), np.array([0, 1])),
        (np.zeros(6), np.array([0])),
        (np.zeros((3, 6)), np.array([0, 1, 2])),
    ],
)
def test_features_and_labels_that_do_not_fit_are_refused(features, labels, schema):
    with pytest.raises(ValueError, match="nothing was released"):
        NoisyMoments.costing(schema, 0.75, 1.0).release(features, labels)


@pytest.mark.parametrize("fields", [(0, 1.0, (5.0, 5.0), 1.0), (2, 0.0, (5.0, 5.0), 1.0), (2, 1.0, (0.0, 5.0), 1.0)])
def test_moments_of_nothing_cannot_be_planned(fields):
    with pytest.raises(ValueError):
        NoisyMoments(*fields)
