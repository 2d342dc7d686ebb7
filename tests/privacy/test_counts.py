import numpy as np
import pytest

from privacy.counts import SENSITIVITY, NoisyCounts


def test_the_charge_is_that_of_a_histogram():
    assert SENSITIVITY == 1
    assert NoisyCounts(groups=4, largest=100, noise_sd=5.0).event.rho == pytest.approx(1 / (2 * 25))
    assert NoisyCounts.costing(4, 100, rho=0.02).event.rho == pytest.approx(0.02)
    assert NoisyCounts.costing(4, 100, rho=0.02).event.rho <= 0.02


def test_counts_are_right_but_for_the_stated_noise():
    group_of = np.repeat([0, 1, 2], [100, 200, 0])
    mechanism = NoisyCounts(groups=3, largest=1000, noise_sd=4.0)
    draws = np.array([mechanism.release(group_of) for _ in range(1500)])
    assert draws[:, :2].mean(axis=0) == pytest.approx([100, 200], abs=6 * 4 / np.sqrt(1500))
    assert (draws[:, :2] - [100, 200]).std() == pytest.approx(4, rel=0.12)
    assert draws.min() == 0, "an empty group is noisy too, and never negative"


def test_whoever_is_in_no_group_is_not_counted():
    noisy = NoisyCounts(groups=2, largest=100, noise_sd=1e-3).release(np.array([0, 1, 1, 7, -1]))
    assert noisy.tolist() == [1, 2]


def test_no_count_exceeds_the_public_limit():
    assert NoisyCounts(groups=1, largest=10, noise_sd=1e-3).release(np.zeros(50, dtype=int)).tolist() == [10]


def test_adding_a_participant_changes_one_count_by_one():
    exact = NoisyCounts(groups=3, largest=100, noise_sd=1e-3)
    before = exact.release(np.array([0, 2, 2]))
    for added, change in ((0, 1), (1, 1), (2, 1), (5, 0)):
        after = exact.release(np.array([0, 2, 2, added]))
        assert np.linalg.norm(after - before) == change <= SENSITIVITY


@pytest.mark.parametrize("group_of", [np.array([0.5, 1.0]), np.zeros((2, 2), dtype=int), np.array([True, False])])
def test_groups_that_are_no_vector_of_integers_are_refused(group_of):
    with pytest.raises(ValueError, match="one integer for each participant"):
        NoisyCounts(2, 10, 1.0).release(group_of)


@pytest.mark.parametrize("fields", [(0, 10, 1.0), (2, 0, 1.0), (2, 10, 0.0), (2, 10, float("nan"))])
def test_counts_without_groups_limit_or_noise_cannot_be_planned(fields):
    with pytest.raises(ValueError):
        NoisyCounts(*fields)
