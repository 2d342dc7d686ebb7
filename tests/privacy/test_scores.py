import math
from itertools import combinations_with_replacement, pairwise, product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from cohorts import Schema
from privacy.mechanisms.auc import MARGIN_SDS, Floors, NoisyScores, ScoreFloors, floored_auc, public_floors
from tests.conftest import SMALL_SCHEMA, THREE_ARMS


def every_data_set(participants: list[tuple], largest: int):
    """All multisets of up to `largest` participants, each a tuple (label, ranking of each classifier)."""
    for size in range(largest + 1):
        yield from combinations_with_replacement(participants, size)


def scores(data: tuple, classifiers: int, floors: ScoreFloors) -> np.ndarray:
    if floors.classes > 2:  # one classifier, whose ranking has a column for each class
        table = np.array(data, dtype=float).reshape(len(data), 1 + floors.classes)
        return np.array([floored_auc(table[:, 1:], table[:, 0].astype(int), floors)])
    table = np.array(data, dtype=float).reshape(len(data), 1 + classifiers)
    return np.array([floored_auc(table[:, 1 + k], table[:, 0].astype(int), floors) for k in range(classifiers)])


def largest_change(participants: list[tuple], largest: int, classifiers: int, floors: ScoreFloors) -> float:
    """Over all data sets up to a size and all participants to add (or, read backwards, to remove)."""
    known = {data: scores(data, classifiers, floors) for data in every_data_set(participants, largest)}
    place = {participant: rank for rank, participant in enumerate(participants)}
    return max(
        float(np.linalg.norm(known[tuple(sorted((*data, added), key=place.__getitem__))] - before))
        for data, before in known.items()
        if len(data) < largest
        for added in participants
    )


@pytest.mark.parametrize(("m1", "m0"), list(product((1, 2, 3), repeat=2)))
def test_no_participant_changes_any_small_data_sets_score_by_more_than_the_sensitivity(m1, m0):
    floors = ScoreFloors.two(m1, m0)  # up to six participants: counts below, at and above the floors
    change = largest_change(list(product((0, 1), (0, 1, 2))), 6, 1, floors)
    assert change <= floors.sensitivity + 1e-12
    assert change == pytest.approx(floors.sensitivity), "the bound is reached, so a smaller one would be false"


@pytest.mark.parametrize(("m1", "m0"), [(1, 1), (2, 1), (2, 2)])
def test_no_participant_moves_two_classifiers_scores_together_by_more_than_is_charged(m1, m0):
    floors = ScoreFloors.two(m1, m0)
    charged = math.sqrt(2 * NoisyScores(floors, 2, noise_sd=1.0).event.rho)
    change = largest_change(list(product((0, 1), (0, 1), (0, 1))), 4, 2, floors)
    assert change <= charged + 1e-12
    assert change == pytest.approx(charged)


@pytest.mark.parametrize(
    ("floors", "is_reached"),
    [
        (((1, 2), (1, 2), (1, 2)), True),
        (((2, 3), (1, 3), (1, 3)), True),
        (((1, 2), (1, 3), (1, 1)), False),
        (((1, 1), (1, 1), (1, 1)), False),
        (((3, 3), (2, 1), (1, 4)), False),
    ],
)
def test_no_participant_of_three_classes_changes_a_score_by_more_than_the_sensitivity(floors, is_reached):
    floors = ScoreFloors(tuple(Floors(*each) for each in floors))
    largest = 4 if is_reached else 3
    change = largest_change(list(product((0, 1, 2), (0, 1), (0, 1), (0, 1))), largest, 1, floors)
    assert change <= floors.sensitivity + 1e-12
    assert not is_reached or change == pytest.approx(floors.sensitivity)


def test_of_two_classes_either_way_round_is_one_score_with_one_sensitivity():
    rng = np.random.default_rng(0)
    labels, ranking = rng.integers(0, 2, 50), rng.normal(size=50)
    there = floored_auc(ranking, labels, ScoreFloors.two(20, 30))
    assert there == floored_auc(-ranking, 1 - labels, ScoreFloors.two(30, 20))
    assert (
        ScoreFloors((Floors(20, 30), Floors(30, 20), Floors(25, 25))).sensitivity < ScoreFloors.two(20, 30).sensitivity
    )


@given(st.integers(0, 2**32 - 1))
def test_of_three_classes_it_is_the_mean_auc_of_each_against_the_others(seed):
    rng = np.random.default_rng(seed)
    labels, ranking = np.arange(30) % 3, rng.integers(0, 5, (30, 3)).astype(float)
    expected = np.mean([roc_auc_score(labels == each, ranking[:, each]) for each in range(3)])
    assert floored_auc(ranking, labels, ScoreFloors.none(3)) == pytest.approx(expected, abs=1e-12)


def test_floors_of_three_classes_are_those_of_each_and_of_all_others():
    schema = Schema.model_validate({**SMALL_SCHEMA, "nominal_size": 1000, "label": THREE_ARMS})
    floors = public_floors(schema, 0.2)
    assert floors.of_each == (Floors(81, 81), Floors(44, 118), Floors(27, 136))


ranked = st.lists(st.tuples(st.integers(0, 1), st.integers(-3, 3)), min_size=2, max_size=60)


@given(data=ranked, slack=st.integers(0, 5))
def test_it_is_the_auc_once_the_counts_reach_the_floors(data, slack):
    labels, ranking = np.array(data).T
    n1 = int(labels.sum())
    assume(0 < n1 < len(labels))
    floors = ScoreFloors.two(max(1, n1 - slack), max(1, len(labels) - n1 - slack))
    assert floored_auc(ranking, labels, floors) == pytest.approx(roc_auc_score(labels, ranking), abs=1e-12)


@given(data=ranked, m1=st.integers(1, 90), m0=st.integers(1, 90))
def test_below_the_floors_it_is_the_auc_times_the_counts_over_the_floors(data, m1, m0):
    labels, ranking = np.array(data).T
    n1, n0 = int(labels.sum()), int((1 - labels).sum())
    assume(n1 and n0)
    expected = roc_auc_score(labels, ranking) * min(1, n1 / m1) * min(1, n0 / m0)
    assert floored_auc(ranking, labels, ScoreFloors.two(m1, m0)) == pytest.approx(expected, abs=1e-12)


def test_without_a_class_or_without_anybody_the_score_is_nought():
    floors = ScoreFloors.two(2, 2)
    assert floored_auc(np.array([]), np.array([]), floors) == 0
    assert floored_auc(np.array([1.0, 2.0]), np.array([1, 1]), floors) == 0


def test_nan_in_a_ranking_counts_as_nought_and_infinity_as_extreme():
    labels, floors = np.array([0, 0, 1, 1]), ScoreFloors.two(1, 1)
    with_nan = floored_auc(np.array([-1, math.nan, math.nan, 1]), labels, floors)
    assert with_nan == floored_auc(np.array([-1.0, 0, 0, 1]), labels, floors)
    assert floored_auc(np.array([-math.inf, 0, 1, math.inf]), labels, floors) == 1


@pytest.mark.parametrize(
    ("rankings", "labels", "message"),
    [
        ([np.zeros(3)], np.array([0, 1, 1]), "2 classifiers were planned"),
        ([np.zeros(3), np.zeros(2)], np.array([0, 1, 1]), "one number for each label"),
        ([np.zeros((3, 1)), np.zeros(3)], np.array([0, 1, 1]), "one number for each label"),
        ([np.zeros(3), np.zeros(3)], np.array([0, 1, 2]), "whole numbers from 0 to 1"),
        ([np.zeros(3), np.zeros(3)], np.array([0, 1, math.nan]), "whole numbers from 0 to 1"),
    ],
)
def test_rankings_that_do_not_fit_are_refused(rankings, labels, message):
    with pytest.raises(ValueError, match=message):
        NoisyScores(ScoreFloors.two(2, 2), 2, 0.1).release(rankings, labels)


def a_split(n1: int, n0: int) -> tuple[np.ndarray, np.ndarray]:
    """Participants whom a ranking tells nothing about: every score is 0.5."""
    return np.zeros(n1 + n0), np.repeat([1, 0], [n1, n0])


@pytest.mark.parametrize("factor", [1, 50])
def test_the_noise_is_what_is_stated_however_many_participants_there_truly_are(factor):
    floors = ScoreFloors.two(20, 40)
    mechanism = NoisyScores.costing(floors, classifiers=2, rho=0.5)
    ranking, labels = a_split(20 * factor, 40 * factor)
    draws = np.array([mechanism.release([ranking, ranking], labels) for _ in range(1500)])
    assert mechanism.noise_sd == pytest.approx(math.sqrt(2) / 20, rel=1e-6)  # sqrt(K) / min(m1, m0) / sqrt(2 rho)
    assert draws.mean() == pytest.approx(0.5, abs=6 * mechanism.noise_sd / math.sqrt(3000))
    assert draws.std() == pytest.approx(mechanism.noise_sd, rel=6 / math.sqrt(2 * 3000))
    assert abs(np.corrcoef(draws.T)[0, 1]) < 6 / math.sqrt(1500), "each classifier has noise of its own"


def test_noise_and_price_determine_each_other():
    floors = ScoreFloors.two(50, 60)
    for rho in (1e-4, 0.01, 1.0):
        assert NoisyScores(floors, 2, NoisyScores.costing(floors, 2, rho).noise_sd).event.rho == pytest.approx(rho)
    costs = [NoisyScores(floors, 2, sd).event.rho for sd in (0.01, 0.02, 0.04)]
    assert all(more == pytest.approx(4 * less) for more, less in pairwise(costs))
    assert NoisyScores(floors, 2, 0.1).event.rho == pytest.approx(2 * NoisyScores(floors, 1, 0.1).event.rho)


def test_released_scores_stay_between_0_and_1():
    ranking, labels = a_split(5, 5)
    noisy = np.array([NoisyScores(ScoreFloors.two(1, 1), 1, 3.0).release([ranking], labels) for _ in range(60)])
    assert ((noisy >= 0) & (noisy <= 1)).all()
    assert 0 in noisy and 1 in noisy


@pytest.mark.parametrize(("size", "share"), [(6500, 0.15), (2100, 0.15), (400, 0.25), (200, 0.15)])
def test_a_random_splits_counts_rarely_fall_below_the_floors(size, share):
    classes = [{"name": "no", "value": 0, "share": 0.76}, {"name": "yes", "value": 1, "share": 0.24}]
    label = {**SMALL_SCHEMA["label"], "randomised": False, "classes": classes}
    floors = public_floors(Schema.model_validate({**SMALL_SCHEMA, "nominal_size": size, "label": label}), share)
    rng = np.random.default_rng(0)
    for floor, class_share in ((floors.of_each[0].positive, 0.24), (floors.of_each[0].negative, 0.76)):
        counts = rng.binomial(size, share * class_share, 20_000)
        assert np.mean(counts < floor) < 0.035
        assert floor >= 1
        assert floor > counts.mean() - MARGIN_SDS * counts.std() - 2, (
            "no lower than the margin asks, noise grows with it"
        )


@pytest.mark.parametrize("share", [0, -0.1, 1.5])
def test_a_split_that_is_no_share_has_no_floors(share, schema):
    with pytest.raises(ValueError, match="share of the split"):
        public_floors(schema, share)


def test_floors_below_one_participant_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        ScoreFloors.two(0, 3)


@settings(max_examples=200)
@given(
    data=ranked, added=st.tuples(st.integers(0, 1), st.integers(-3, 3)), m1=st.integers(1, 40), m0=st.integers(1, 40)
)
def test_adding_a_participant_to_larger_data_sets_stays_within_the_sensitivity(data, added, m1, m0):
    floors = ScoreFloors.two(m1, m0)
    labels, ranking = np.array([*data, added]).T
    change = floored_auc(ranking, labels, floors) - floored_auc(ranking[:-1], labels[:-1], floors)
    assert abs(change) <= floors.sensitivity + 1e-12
