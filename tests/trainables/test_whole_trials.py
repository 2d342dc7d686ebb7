"""Whole packed trials are as good as those that Opacus trains, and a test of that can fail."""

import pytest

from benchmarks.equivalence import CONFIGURATIONS, SEEDS, compared, difference


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_packed_trials_are_as_good_as_those_of_opacus_and_noise_a_fifth_too_large_is_found_out():
    rows = list(compared())
    assert len(rows) == CONFIGURATIONS * SEEDS
    assert difference(rows, "packed").none
    assert not difference(rows, "noisier").none
